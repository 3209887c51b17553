"""The lesson map: four phases, every lesson with what it is for, and what this browser has seen of it."""

import streamlit as st

from core.learning.lessons import PHASES, Lesson, lessons
from pages.parts import progress
from pages.parts.lesson import link_to


def entry(lesson: Lesson) -> None:
    """A link to the lesson, its promise, its length and how much of it was seen."""
    seen = len(progress.current().steps_seen(lesson.key))
    length = f"{len(lesson.steps)} steps, {lesson.minutes} min" if len(lesson.steps) > 1 else f"{lesson.minutes} min"
    done = f" · {min(seen, len(lesson.steps))} of {len(lesson.steps)} seen" if seen else ""
    st.markdown(f"**{lesson.title}**\n\n{lesson.promise}  \n:small[{length}{done}]")
    number = lessons().index(lesson) + 1
    st.page_link(lesson.script, label=f"Lesson {number}", icon=":material/arrow_forward:", query_params=link_to(lesson))


st.title("Lesson map")
st.markdown(
    "From the question why a cache eats a GPU to a choice of G that you can defend. "
    "Walk it in order with the arrow keys, or start anywhere."
)
for phase, name in PHASES.items():
    st.subheader(name, anchor=False)
    own = [lesson for lesson in lessons() if lesson.phase == phase]
    for column, lesson in zip(st.columns(4, gap="medium"), own, strict=False):
        with column.container(border=True, height="stretch"):
            entry(lesson)
progress.sync()
