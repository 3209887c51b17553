"""Lays out a technique page: a section a screen, its text on the left, what can be operated on the right.

    beside.page("paging", {"table": table, "fragmentation": fragmentation, "meaning": meaning})

Each function draws what stands beside its section's text. The section is a query parameter named after the page
(?paging=2), turned by the arrow keys as a lesson's steps are. In a room the page is drawn whole: presenter mode cuts it
into screens itself. Terms of the text link to the glossary, and each figure's origin is one
click away.
"""

import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import streamlit as st

from core.evidence.records import Source
from core.learning import glossary
from core.learning.figures import figures as lesson_figures
from core.learning.techniques import texts
from core.learning.techniques.figures import figures, filled
from core.learning.techniques.texts import Section, Topic
from core.reports.exports import Picture
from pages.shell import cached, present, progress, share, style
from pages.shell.walk import Stop, walk

if TYPE_CHECKING:
    from core.figures.palette import Palette
    from core.reports.closing import Rests

LONG = 3  # breaks between paragraphs
MAP = Stop(label="Lesson map", help="All lessons at a glance", script="learn/map.py")
_PLACEHOLDER = re.compile(r"\{([a-z0-9_]+)\}")


def page(key: str, drawn: Mapping[str, Callable[[], None]]) -> None:
    """The whole page. Raises TechniqueError unless the page draws exactly the sections of its text."""
    topic = texts.topic(key)
    if list(drawn) != [section.slug for section in topic.sections]:
        raise texts.TechniqueError(f"{key}: the page draws {list(drawn)}, the text has other sections")
    if present.in_a_room():
        _whole(topic, drawn)
    else:
        _one(topic, drawn)
    share.remember_answer(topic.promise, partial(_rests, topic, share.walked_pictures()))
    progress.send()


def _rests(topic: Topic, seen: Mapping[str, Picture], colours: "Palette") -> "Rests":
    from core.reports.rests.techniques import technique_rests  # noqa: PLC0415  with the first file

    return technique_rests(topic, seen, colours)


def _whole(topic: Topic, drawn: Mapping[str, Callable[[], None]]) -> None:
    st.title(topic.title)
    st.markdown(topic.promise)
    present.contents({section.slug: filled(section.title) for section in topic.sections})
    for number, section in enumerate(topic.sections):
        st.header(filled(section.title), anchor=section.slug, divider="gray")
        _section(section, drawn[section.slug])
        progress.saw(topic.key, number)


def _one(topic: Topic, drawn: Mapping[str, Callable[[], None]]) -> None:
    head, bar = st.columns([4, 6], vertical_alignment="center")
    before, after = _around(topic)
    with bar:
        number = walk(topic.key, [filled(section.title) for section in topic.sections], before=before, after=after)
    section = topic.sections[number]
    head.caption(topic.title)
    st.title(filled(section.title), anchor=False)
    if number == 0:
        st.caption(topic.promise)
    _section(section, drawn[section.slug])
    progress.saw(topic.key, number)


def _around(topic: Topic) -> tuple[Stop, Stop]:
    """The pages before and after; the map at both ends."""
    place = texts.ORDER.index(topic.key)
    before = _stop(texts.ORDER[place - 1], "Back") if place else MAP
    after = _stop(texts.ORDER[place + 1], "Next page") if place + 1 < len(texts.ORDER) else MAP
    return before, after


def _stop(key: str, label: str) -> Stop:
    return Stop(label=label, help=texts.topic(key).title, script=f"learn/{key}.py")


def _section(section: Section, draw: Callable[[], None]) -> None:
    """The text, and beside it what can be operated; a long text takes more of the row."""
    long = section.text.count("\n\n") >= LONG
    words, stage = st.columns([5, 6] if long else [2, 3], gap="large")
    with words:
        st.markdown(glossary.linked(filled(section.text)))
        _origins(section)
    with stage:
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
        drawn = cached.technique_picture(picture_name, st.context.theme.type or "light", **inputs)
    except ValueError as refused:
        st.error(str(refused))
        return
    key = f"beside_{picture_name}{name}{inputs.get('against', '')}"
    style.draw_spec(drawn.spec, sentence=drawn.sentence, alt_text=drawn.alt_text, key=key)


def cite(source: Source) -> None:
    """Where published figures stand, and their caveat."""
    cited = f"[{source.citation}]({source.link})" if source.link else source.citation
    st.caption(f"{cited}. {source.caveat}")
