"""A page of several steps, one on screen: Back, the steps as numbers, and Next.

The step is a query parameter named after the page (?paging=2), so a screen is a link. The containers turn_back and
turn_next are what assets/keys.js presses for the arrow keys; the shortcut names the key on the button. Past its last
step a walk goes on to the next page.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from time import monotonic

import streamlit as st

from pages.shell.whole_callbacks import changed_beside, messages

HOLDS_S = 1.5  # how long a press stands against a value that was sent alone, maybe before it
_LEAVING = "walk_leaving"


@dataclass(frozen=True, kw_only=True)
class Stop:
    """The page before or after a walk, and what the button to it says; help is its name in full."""

    label: str
    help: str
    script: str  # relative to pages/
    query: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class _Turned:
    """A press of a button: the numbers that it and the presses just before it left, its own, and when."""

    left: frozenset[int | None]
    number: int
    since: float  # of the clock monotonic(), in seconds
    message: int  # the browser's that pressed, counted in this session


def walk(key: str, titles: Sequence[str], *, before: Stop, after: Stop) -> int:
    """Draws the row and returns the step to show, from 0; a link to a step that is not there shows the first."""
    _go_on(key, before, after)
    hold(key)
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
            st.button(name, shortcut=shortcut, key=f"{own}_step", help=goes_to, on_click=turn_to, args=(key, number))
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


def turn_to(key: str, number: int) -> None:
    """For a button's on_click: the control of that key stands at a number from now on."""
    turned = _just_turned(key)
    left = {*(turned.left if turned else ()), st.session_state.get(key)} - {number}
    st.session_state[f"{key}_turned"] = _Turned(frozenset(left), number, monotonic(), messages())
    st.session_state[key] = number


def hold(key: str) -> None:
    """Before the control is drawn: a number that was just left does not come back.

    A control that was moved just before, or the store of what was seen and answered, may send its value late, on a busy
    machine by seconds, and with it the number that the browser showed when it did. A number that comes alone, a while
    after the press, was picked, as was any third one; and messages keep their order, so none is late after one that has
    the new number.
    """
    turned: _Turned | None = st.session_state.get(f"{key}_turned")
    if turned is None:
        return
    number = st.session_state.get(key)
    if number in turned.left and (_just_turned(key) is not None or changed_beside(key)):
        st.session_state[key] = turned.number
    elif number != turned.number or messages() > turned.message:
        del st.session_state[f"{key}_turned"]


def _just_turned(key: str) -> _Turned | None:
    turned: _Turned | None = st.session_state.get(f"{key}_turned")
    return turned if turned and monotonic() - turned.since < HOLDS_S else None


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
