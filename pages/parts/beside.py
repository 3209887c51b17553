"""Lays out a page beside the lessons: its sections in order, each a text and under it what can be operated.

    beside.page("paging", {"table": table, "fragmentation": fragmentation, "meaning": None})

A function draws under its section's text; None leaves the text alone. Terms of the text link to the glossary, and
each figure's origin is one click away.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

import streamlit as st

from core.evidence_records import Source
from core.learning import glossary
from core.learning.figures import figures as lesson_figures
from core.neighbours import texts as neighbours
from core.neighbours.figures import figures, filled
from core.neighbours.texts import Section
from pages import cached, style
from pages.parts import progress

TEXT_WIDTH_PX = 860  # a line that the eye can follow back, on a wide screen too
_PLACEHOLDER = re.compile(r"\{([a-z0-9_]+)\}")


def page(key: str, drawn: Mapping[str, Callable[[], None] | None]) -> None:
    """The whole page. Raises NeighbourError unless the page draws exactly the sections of its text."""
    topic = neighbours.topic(key)
    if list(drawn) != [section.slug for section in topic.sections]:
        raise neighbours.NeighbourError(f"{key}: the page draws {list(drawn)}, the text has other sections")
    st.title(topic.title)
    st.markdown(topic.promise)
    for number, section in enumerate(topic.sections):
        _section(section, drawn[section.slug])
        progress.saw(key, number)
    progress.send()


def _section(section: Section, draw: Callable[[], None] | None) -> None:
    st.header(filled(section.title), anchor=section.slug, divider="gray")
    with st.container(width=TEXT_WIDTH_PX):
        st.markdown(glossary.linked(filled(section.text)))
        _origins(section)
    if draw is not None:
        draw()


def _origins(section: Section) -> None:
    """Where each figure of the text comes from."""
    known = {**lesson_figures(), **figures()}
    names = dict.fromkeys(_PLACEHOLDER.findall(section.title + section.text))
    if names:
        with st.popover("Where the figures come from", icon=":material/calculate:"):
            for name in names:
                st.markdown(f"**{known[name].text}**  \n{known[name].how}")


def picture(picture_name: str, *, name: str = "", **inputs: Any) -> None:
    """A picture under its sentence; inputs that core refuses are named, and the controls stay as they were set.

    name tells two pictures of the same kind on a page apart.
    """
    try:
        drawn = cached.neighbour_picture(picture_name, st.context.theme.type or "light", **inputs)
    except ValueError as refused:
        st.error(str(refused))
        return
    key = f"beside_{picture_name}{name}{inputs.get('against', '')}"
    style.draw_spec(drawn.spec, sentence=drawn.sentence, alt_text=drawn.alt_text, key=key)


def cite(source: Source) -> None:
    """Where published figures stand, and their caveat."""
    cited = f"[{source.citation}]({source.link})" if source.link else source.citation
    st.caption(f"{cited}. {source.caveat}")
