"""The pages of the navigation, made once a process: st.Page looks its file up on the disk, and every rerun lists all.

Streamlit marks in a page that it may run, so each rerun gets copies of its own.
"""

from collections.abc import Callable
from copy import copy

import streamlit as st

_made: dict[str, dict[str, list[st.Page]]] = {}


def once(script: str, listed: Callable[[], dict[str, list[st.Page]]]) -> dict[str, list[st.Page]]:
    """The pages that `listed` makes, for the script that lists them: paths of pages are relative to its folder."""
    if script not in _made:
        _made[script] = listed()
    return {part: [copy(page) for page in pages] for part, pages in _made[script].items()}
