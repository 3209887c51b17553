"""A page of several steps, one on screen: Back, the steps as numbers, and Next.

The step is a query parameter named after the page (?paging=2), so a screen is a link. The containers turn_back and
turn_next are what assets/keys.js presses for the arrow keys; the shortcut names the key on the button. Past its last
step a walk goes on to the next page.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from time import monotonic

import streamlit as st

HOLDS_S = 1.5  # how long a press stands against a control's value that was sent before it
_LEAVING = "walk_leaving"


@dataclass(frozen=True, kw_only=True)
class Stop:
    """The page before or after a walk, and what the button to it says; help is its name in full."""

    label: str
    help: str
    script: str  # relative to pages/
    query: Mapping[str, str] = field(default_factory=dict)


def walk(key: str, titles: Sequence[str], *, before: Stop, after: Stop) -> int:
    """Draws the row and returns the step to show, from 0; a link to a step that is not there shows the first."""
    _go_on(key, before, after)
    _hold(key)
    numbers = list(range(1, len(titles) + 1))
    # before the control is drawn, a link's step is in the query alone
    asked = str(st.session_state.get(key, st.query_params.get(key)))
    here = next((number for number in numbers if str(number) == asked), 1)
    if key not in st.session_state and key not in st.query_params:
        st.session_state[key] = 1
    with st.container(horizontal=True, horizontal_alignment="right", vertical_alignment="center", gap="small"):
        _turn("Back", "Left", key, titles, here - 1, before)
        chosen = st.segmented_control(
            "Step",
            numbers,
            required=True,
            key=key,
            bind="query-params",
            label_visibility="collapsed",
            on_change=_picked,
            args=(key,),
        )
        here = chosen if chosen in numbers else 1
        _turn("Next", "Right", key, titles, here + 1, after)
    return here - 1


def _turn(name: str, shortcut: str, key: str, titles: Sequence[str], number: int, past: Stop) -> None:
    """A button to the step of that number, or past an end to the neighbouring page.

    The two have keys of their own: the click that comes to an end must not leave the page in the same run.
    """
    own = f"{key}_{name.lower()}"
    with st.container(key=f"turn_{name.lower()}", width="content"):
        if 1 <= number <= len(titles):
            goes_to = titles[number - 1]
            st.button(name, shortcut=shortcut, key=f"{own}_step", help=goes_to, on_click=_go, args=(key, number))
            return
        st.button(
            past.label,
            shortcut=shortcut,
            key=f"{own}_lesson",
            help=past.help,
            type="primary" if name == "Next" else "secondary",
            on_click=_leave,
            args=(key, name),
        )


def _go(key: str, number: int) -> None:
    st.session_state[key] = number
    st.session_state[f"{key}_turned"] = (number, monotonic())


def _picked(key: str) -> None:
    """A step was chosen by its number: that counts, and no earlier press of a button."""
    st.session_state.pop(f"{key}_turned", None)


def _hold(key: str) -> None:
    """Keep a step that was just turned to: a control moved just before may send its value, and the old step, late."""
    number, since = st.session_state.get(f"{key}_turned", (None, 0.0))
    if number is not None and monotonic() - since < HOLDS_S and st.session_state.get(key) != number:
        st.session_state[key] = number


def _leave(key: str, name: str) -> None:
    st.session_state[_LEAVING] = (key, name, None)


def _go_on(key: str, before: Stop, after: Stop) -> None:
    """Leave for the page that a button of this one was pressed for.

    A control that was moved just before may send its value, and with it this page's name, after the press: then this
    page runs once more, and leaves once more.
    """
    left, name, since = st.session_state.get(_LEAVING, ("", "", 0.0))
    if left == key and (since is None or monotonic() - since < HOLDS_S):
        st.session_state[_LEAVING] = (key, name, monotonic())  # from the first time on, which may come late
        past = after if name == "Next" else before
        st.switch_page(past.script, query_params=dict(past.query))
