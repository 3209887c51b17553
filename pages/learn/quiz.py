"""The quiz over the path: one question a screen, the reason after each answer, the place kept in the browser."""

from typing import TYPE_CHECKING

import streamlit as st

from core.learning import quiz
from core.learning.places import place
from pages.shell import progress, share, walk

if TYPE_CHECKING:
    from core.reports.closing import Rests

QUESTIONS = quiz.questions()


def begin() -> int:
    """The question on screen: the one in the address, else the first open one as soon as the browser has answered."""
    if "quiz_number" not in st.session_state:
        st.session_state["quiz_resume"] = "quiz_number" not in st.query_params
        linked = st.query_params.get("quiz_number", "").removesuffix(" ✓")  # the mark of who answered it
        if linked.isdecimal() and 1 <= int(linked) <= len(QUESTIONS):
            st.session_state["quiz_number"] = int(linked)
    if st.session_state["quiz_resume"] and progress.is_known():
        st.session_state["quiz_number"] = quiz.first_open(progress.current()) + 1
        st.session_state["quiz_resume"] = False
    walk.hold("quiz_number")
    options = range(1, len(QUESTIONS) + 1)
    answered = {n for n in options if quiz.chosen(QUESTIONS[n - 1], progress.current()) is not None}
    number = st.segmented_control(
        "Question",
        options,
        default=1,
        required=True,
        format_func=lambda n: f"{n} ✓" if n in answered else str(n),
        key="quiz_number",
        bind="query-params",
        label_visibility="collapsed",
    )
    return (number or 1) - 1


def show(number: int) -> None:
    """The question, and once it is answered what was right and why."""
    question = QUESTIONS[number]
    st.subheader(question.question, anchor=False)
    chosen = quiz.chosen(question, progress.current())
    for option, text in enumerate(question.options):
        # buttons, not a radio: in a radio the arrow keys that turn the questions would change the answer
        st.button(
            text,
            key=f"quiz_{question.id}_{option}",
            type="primary" if option == chosen else "secondary",
            icon=mark(question, option, chosen),
            width=640,
            on_click=answer,
            args=(question.id, option),
        )
    if chosen is not None:
        explain(question, chosen)


def mark(question: quiz.Question, option: int, chosen: int | None) -> str | None:
    """Once there is an answer: a tick at the right option, a cross at a wrong choice."""
    if chosen is None or (option != chosen and not question.is_right(option)):
        return None
    return ":material/check:" if question.is_right(option) else ":material/close:"


def explain(question: quiz.Question, chosen: int) -> None:
    """Right or not, the reason, and the page that says more."""
    if question.is_right(chosen):
        st.success(f"Right. {question.why}")
    else:
        st.info(f"No: **{question.options[question.answer]}** {question.why}")
    where = place(question.lesson)
    st.page_link(where.script, label=f"Explained in: {where.title}", icon=":material/arrow_forward:")


def turn(number: int) -> None:
    """To the question before and after."""
    with st.container(horizontal=True):
        with st.container(key="turn_back", width="content"):
            st.button("Back", shortcut="Left", key="quiz_back", disabled=number == 0, on_click=go, args=(number,))
        last = number == len(QUESTIONS) - 1
        with st.container(key="turn_next", width="content"):
            st.button("Next", shortcut="Right", key="quiz_next", type="primary", disabled=last, on_click=go,
                      args=(number + 2,))  # fmt: skip


def answer(question: str, option: int) -> None:
    progress.answered(question, option)
    st.session_state["quiz_resume"] = False  # who has begun stays here, though the browser says late where they were


def go(number: int) -> None:
    walk.turn_to("quiz_number", number)
    st.session_state["quiz_resume"] = False


def clear() -> None:
    """Forget the answers, and begin at the first question again."""
    progress.clear("quiz:")
    walk.turn_to("quiz_number", 1)


def rests(_colours: object) -> "Rests":
    """Every question, its answer in the note, for a file."""
    from core.reports.rests.reading import quiz_rests  # noqa: PLC0415  with the first file

    return quiz_rests(QUESTIONS)


st.title("Quiz")
number = begin()
show(number)
turn(number)
share.remember_answer(f"{len(QUESTIONS)} questions over the path, from the cache to a G that you can defend.", rests)
score = quiz.score(progress.current())
st.progress(score.answered / score.total, text=score.sentence)
with st.container(horizontal=True, vertical_alignment="center"):
    st.button("Clear my answers", key="quiz_clear", disabled=not score.answered, on_click=clear)
    kept = "Kept in this browser alone" if progress.is_stored() else "This browser keeps nothing: it is lost on reload"
    st.caption(f"{kept}. No account, nothing on the server.")
progress.sync()
