"""The lesson map: four phases, every lesson with what it is for, and what this browser has seen of it."""

import streamlit as st

from core.lessons import PHASES, Lesson, lessons
from pages.parts import progress


def entry(lesson: Lesson) -> None:
    """A link to the lesson, its promise, its length and how much of it was seen."""
    st.page_link(lesson.script, label=f"**{lesson.title}**", query_params=dict(st.query_params))
    seen = len(progress.current().steps_seen(lesson.key))
    length = f"{len(lesson.steps)} steps, {lesson.minutes} min" if len(lesson.steps) > 1 else f"{lesson.minutes} min"
    done = f" · {min(seen, len(lesson.steps))} of {len(lesson.steps)} seen" if seen else ""
    st.markdown(f"{lesson.promise}  \n:small[{length}{done}]")


st.title("Lesson map")
st.markdown(
    "From the question why a cache eats a GPU to a choice of G that you can defend. "
    "Walk it in order with the arrow keys, or start anywhere."
)
for column, (phase, name) in zip(st.columns(len(PHASES), gap="medium"), PHASES.items(), strict=True):
    with column:
        st.subheader(name, anchor=False)
        for lesson in lessons():
            if lesson.phase == phase:
                entry(lesson)
progress.sync()
