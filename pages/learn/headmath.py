"""Cache size in your head: the shortcut on an example, then the drill with typed answers."""

import streamlit as st

from core.learning.drills import KINDS, LARGEST_SEED, LEVELS, CacheQuestion, cache_question, judge, shortcut
from pages.learn.screens import drill
from pages.learn.screens.lesson import Stage, run


def example(stage: Stage) -> None:
    """The shortcut on any example of the drill's kind."""
    (first, _) = stage.controls(1, 2)
    number = first.number_input("Example", 1, LARGEST_SEED, 3, key=stage.key("example"), bind="query-params")
    stage.picture("ladder", seed=int(min(max(number, 1), LARGEST_SEED)))


def describe(asked: CacheQuestion) -> str:
    """The model and the job, as a table."""
    rows = "\n".join(f"| {name} | **{value}** |" for name, value in asked.rows)
    return f"| The model and the job | |\n|:--|--:|\n{rows}"


def turn(stage: Stage) -> None:
    """One question: three sizes typed in any unit, judged within a tenth, then explained."""
    number_key = stage.key("question")
    with stage.left:
        st.segmented_control(
            "Work it out for one",
            list(LEVELS),
            default="sequence",
            required=True,
            key=stage.key("level"),
            bind="query-params",
            wrap=True,
        )
        first, second = st.columns(2, vertical_alignment="bottom")
        first.number_input("Question", 1, LARGEST_SEED, key=number_key, bind="query-params")
        second.button("Next question", shortcut="Q", key=stage.key("more"),
                      on_click=drill.next_question, args=(number_key,))  # fmt: skip
    level = st.session_state[stage.key("level")]
    number = drill.question_number(number_key)
    asked = cache_question(number, level)
    name = f"headmath-{level}-{number}"
    drill.start_clock(name)
    with stage.right:
        answered = answer_form(stage, asked, name)
    with stage.left:
        st.markdown(describe(asked))
        drill.show_score("headmath")
    if answered:
        stage.right.markdown("**The shortcut**\n\n" + "\n".join(f"1. {line}" for line in shortcut(asked)))


def answer_form(stage: Stage, asked: CacheQuestion, name: str) -> bool:
    """The three fields and, once checked, what is said to each. True once checked."""
    with st.form(stage.key("form"), border=False):
        fields = st.columns(3)
        typed = {
            kind: field.text_input(
                kind,
                key=f"{name}-{kind}",
                persist_state="session",
                placeholder="1.5 GB, 40 GiB, 512k",
                max_chars=100,
            )
            for kind, field in zip(KINDS, fields, strict=True)
        }
        drill.take_answer(name, typed, any(text.strip() for text in typed.values()), "Type at least one size first.")
    checked = st.session_state.get(f"{name}-checked")
    if not checked:
        return False
    verdicts = [judge(asked, kind, checked[kind]) for kind in KINDS]
    drill.note("headmath", name, all(verdict.right for verdict in verdicts))
    for verdict, column in zip(verdicts, st.columns(3), strict=True):
        say = column.success if verdict.right else column.warning
        say(f"**{verdict.kind}**: {verdict.says}")
    return True


run("headmath", {"shortcut": example, "drill": turn})
