"""Glossary: the words of the field as this dashboard uses them, searchable, each with the page that explains it."""

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

import streamlit as st

from core.learning import glossary, glossary_themes
from core.learning.glossary import Term
from core.learning.places import place
from pages.shell import present, share

if TYPE_CHECKING:
    from core.reports.closing import Rests


def entry(term: Term) -> None:
    """The word, what it means here, and on a desk its other names."""
    names = () if present.in_a_room() else term.aliases
    others = f"  \n:small[also: {', '.join(names)}]" if names else ""
    st.markdown(f"**{term.term}**  \n{term.text}{others}")


def leads_to(key: str) -> None:
    """A link to the page that explains it."""
    where = place(key)
    st.page_link(where.script, label=where.title, icon=":material/arrow_forward:")


def for_a_desk(found: Sequence[Term]) -> None:
    """Two columns in order of the alphabet, or of the search."""
    columns = st.columns(2, gap="large")
    for number, term in enumerate(found):
        with columns[number % 2]:
            entry(term)
            leads_to(term.see)


def for_a_room(found: Sequence[Term]) -> None:
    """A theme a screen, or what was sought, a few terms a screen."""
    groups = glossary_themes.sought(wanted, found) if wanted else glossary_themes.themes()
    present.contents({f"terms-{number}": group.title for number, group in enumerate(groups, start=1)})
    for number, group in enumerate(groups, start=1):
        st.header(group.title, anchor=f"terms-{number}", divider="gray")
        with st.container(key=f"room_words_{number}"):
            half = -(-len(group.terms) // 2)
            for column, part in zip(st.columns(2, gap="large"), (group.terms[:half], group.terms[half:]), strict=True):
                with column:
                    for term in part:
                        entry(term)
            with st.container(horizontal=True):
                for key in group.see:
                    leads_to(key)


def rests(wanted: str, found: Sequence[Term], _colours: object) -> "Rests":
    """The terms by theme, or what was sought, for a file."""
    from core.reports.rests.reading import glossary_rests  # noqa: PLC0415  with the first file

    return glossary_rests(glossary_themes.sought(wanted, found) if wanted else glossary_themes.themes())


st.title("Glossary")
wanted = st.text_input(
    "Find a word", key="glossary_find", bind="query-params", placeholder="KV head, sharding, H2O…", max_chars=100
)
found = glossary.find(wanted)
if not found:
    st.info(f"No term has “{wanted}” in it. Clear the field to see all {len(glossary.terms())}.")
elif present.in_a_room():
    for_a_room(found)
else:
    for_a_desk(found)
share.remember_answer(f"{len(found)} words of the field, as this dashboard uses them.", partial(rests, wanted, found))
