"""A link's choice that is not here: a GPU of another server, a run that was deleted. What opens instead is said."""

from collections.abc import Collection, Mapping
from typing import Any

import streamlit as st

from core.figures.comparison import plain

MOST_SHOWN = 60  # characters of what a link asked for


def look(key: str, choices: Collection[str] | Mapping[str, str]) -> None:
    """Before the input of that key is drawn, which takes its default for what its choices do not hold.

    choices: what is shown, as the address has it; or by the value behind it, which a link may name too.
    """
    state: Any = st.session_state
    asked = st.query_params.get(key)
    if key in state or asked is None:
        return
    if isinstance(choices, Mapping):
        if asked in choices:
            state[key] = asked
        choices = {*choices, *choices.values()}
    if asked not in choices:
        state[f"{key}_asked"] = asked


def say(key: str, instead: str) -> None:
    """After the input: what the link asked for, until something else than the default is chosen."""
    state: Any = st.session_state
    asked, first = state.get(f"{key}_asked"), state.setdefault(f"{key}_instead", state.get(key))
    if asked is None:
        return
    if state.get(key) != first:
        del state[f"{key}_asked"]
        return
    shown = asked if len(asked) <= MOST_SHOWN else asked[:MOST_SHOWN] + "…"
    st.warning(plain(f"The link asks for {shown}, which is not here: {instead} stands in its place."))
