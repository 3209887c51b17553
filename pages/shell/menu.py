"""The pages of the navigation: made once a process, and the links to them at the side.

st.Page looks its file up on the disk, and every rerun lists all. Streamlit marks in a page that it may run, so each
rerun gets copies of its own.

The links are one piece of HTML, the same on every page. Streamlit's own are parts of its client, which draws all of
them anew for nearly every message: a tenth of a first visit's work (benchmarks/interface.md). assets/menu.js turns the
page after a click as the browser's Back does, without a load, and marks the page that stands.
"""

from collections.abc import Callable, Mapping, Sequence
from copy import copy
from functools import cache
from html import escape

import streamlit as st

_made: dict[str, dict[str, list[st.Page]]] = {}
Link = tuple[str, str, str]  # path, title, name of its icon


def once(script: str, listed: Callable[[], dict[str, list[st.Page]]]) -> dict[str, list[st.Page]]:
    """The pages that `listed` makes, for the script that lists them: paths of pages are relative to its folder."""
    if script not in _made:
        _made[script] = listed()
    return {part: [copy(page) for page in pages] for part, pages in _made[script].items()}


def draw(pages: Mapping[str, Sequence[st.Page]]) -> None:
    """The links at the side, under the names of their parts; those of the part without one stand first."""
    parts = tuple(
        (part, tuple((page.url_path, page.title, page.icon.split("/")[-1].strip(":")) for page in listed))
        for part, listed in pages.items()
    )
    st.sidebar.html(links_html(parts, st.get_option("server.baseUrlPath").strip("/")))


@cache
def links_html(parts: tuple[tuple[str, tuple[Link, ...]], ...], base: str) -> str:
    """Each part folds; the test ids are those of Streamlit's own links."""
    root = f"/{base}/" if base else "/"
    drawn = [_folding(part, _list(links, root)) if part else _list(links, root) for part, links in parts]
    return f'<nav class="headroom-menu" aria-label="App pages" data-testid="stSidebarNav">{"".join(drawn)}</nav>'


def _folding(part: str, links: str) -> str:
    return f'<details open><summary data-testid="stNavSectionHeader">{escape(part)}</summary>{links}</details>'


def _list(links: Sequence[Link], root: str) -> str:
    items = (
        f'<li><a data-testid="stSidebarNavLink" href="{escape(root + path)}">'
        f'<span aria-hidden="true" translate="no">{escape(icon)}</span>{escape(title)}</a></li>'
        for path, title, icon in links
    )
    return f'<ul data-testid="stSidebarNavItems">{"".join(items)}</ul>'
