"""Spot the GQA in a config file: read the attention keys of a real config.json, name the kind and G."""

import streamlit as st

from core.learning.drills import LARGEST_SEED, ConfigQuestion, config_question
from pages.learn.screens import drill
from pages.learn.screens.lesson import Stage, run

CHOICES = ("MHA", "MQA", "GQA", "MLA")


def answer_form(stage: Stage, asked: ConfigQuestion, name: str) -> bool:
    """Kind and G, and once checked what is said to them. True once checked."""
    with st.form(stage.key("form"), border=False):
        kind = st.segmented_control("Kind", CHOICES, key=f"{name}-kind", persist_state="session")
        count = st.number_input(
            "KV heads G (not asked for MLA)", 1, 1024, None, key=f"{name}-g", persist_state="session"
        )
        given = (kind, None if count is None else int(count))
        drill.take_answer(name, given, kind is not None, "Choose a kind first.")
    checked = st.session_state.get(f"{name}-checked")
    if not checked:
        return False
    kind, count = checked
    right = kind is not None and asked.check(kind, count)
    drill.note("spot", name, right)
    truth = asked.kind if asked.num_kv_heads is None else f"{asked.kind}, G = {asked.num_kv_heads}"
    say = stage.right.success if right else stage.right.warning
    say(f"**{truth}.** {asked.why} ({asked.model}, `{asked.repository}`)")
    return True


def turn(stage: Stage) -> None:
    """One file, two answers, and then the lines that decide."""
    number_key = stage.key("question")
    code = stage.right.container()
    with stage.left:
        st.number_input("Question", 1, LARGEST_SEED, key=number_key, bind="query-params")
        number = drill.question_number(number_key)
        asked = config_question(number - 1)
        name = f"spot-{number}"
        drill.start_clock(name)
        answered = answer_form(stage, asked, name)
        st.button("Next file", shortcut="Q", key=stage.key("more"), on_click=drill.next_question, args=(number_key,))
        drill.show_score("spot")
    with code:
        st.code(asked.marked_text if answered else asked.text, language="json")
        st.caption("Keys that say nothing about attention are left out.")


run("spot", {"drill": turn})
