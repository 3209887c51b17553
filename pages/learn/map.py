"""The lesson map in one screen: four phases as columns, what stands beside the walk, and what this browser has seen."""

from typing import TYPE_CHECKING

import streamlit as st

from core.learning.lessons import PHASES, Lesson, lessons
from core.learning.places import place
from core.learning.techniques import texts
from pages.learn.screens.lesson import link_to
from pages.shell import progress, share

if TYPE_CHECKING:
    from core.reports.closing import Rests

LATER = ("watch", "after", "bound")


def entry(lesson: Lesson) -> None:
    """A link to the lesson, its promise, its length and how much of it was seen."""
    count = len(lesson.steps)
    seen = min(len(progress.current().steps_seen(lesson.key)), count)
    length = f"{count} steps, {lesson.minutes} min" if count > 1 else f"{lesson.minutes} min"
    number = lessons().index(lesson) + 1
    with st.container(gap=None):
        st.page_link(lesson.script, label=f"**{number}. {lesson.title}**", query_params=link_to(lesson))
        st.caption(f"{lesson.promise}  \n{length}{f' · **{seen} of {count} seen**' if seen else ''}")


def beside() -> None:
    """The pages that belong to no step of the walk."""
    st.subheader("Beside the lessons", anchor=False)
    with st.container(key="map_beside", gap=None):
        st.page_link("learn/layouts.py", label="The three layouts")
        for key in texts.ORDER:
            st.page_link(place(key).script, label=place(key).title)
        for key in LATER:
            st.page_link(place(key).script, label=place(key).title)
        st.page_link("learn/quiz.py", label="Quiz of 25 questions")


def forget() -> None:
    """Clears the steps seen, of the walk and beside it, from this browser; answers of the quiz stay."""
    seen = any(key.startswith("lesson:") for key in progress.current().entries)
    st.button(
        "Forget what I have seen",
        type="tertiary",
        key="map_forget",
        disabled=not seen,
        on_click=progress.clear,
        args=("lesson:",),
    )


def rests(_colours: object) -> "Rests":
    """What all lessons rest on, for a file."""
    from core.reports.rests.walks import lesson_rests  # noqa: PLC0415  with the first file

    return lesson_rests(lessons())


st.title("Lesson map")
st.markdown("From a cache that eats a GPU to a G that you can defend. Walk it with the arrow keys, or start anywhere.")
with st.container(key="map_phases"):
    columns = st.columns(len(PHASES), gap="medium")
for column, (phase, name) in zip(columns, PHASES.items(), strict=True):
    with column:
        st.subheader(name, anchor=False)
        for lesson in lessons():
            if lesson.phase == phase:
                entry(lesson)
with columns[-1]:
    beside()
    forget()
share.remember_answer("From a cache that eats a GPU to a G that you can defend.", rests)
progress.sync()
