"""Presenter mode, `?present=1`: one idea a screen, moved by the arrow keys, with the screen in the address.

P enters and leaves. A lesson's steps are its screens and its own keys turn them; any other page is cut into screens at
its headings and before each further picture, in the browser, so that a key answers at once; past the last screen comes
the next page of the navigation. N shows the notes, W puts them into a window for the presenter's own display.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import streamlit as st

from core.learning import lessons
from pages.shell import share

ASSETS = Path(__file__).parents[1] / "assets"
LAST = -1  # ?screen=-1: the last screen of a page, for who comes back to it from the next one
ONE_COLUMN = 6  # screens that a first screen names below each other
WALKED = ("quiz", "watch")  # their own keys turn them, a question or a step at a time, as a lesson's do
_KEPT = "_presenting_on"

_component = st.components.v2.component(
    "headroom_presenter",
    html=(ASSETS / "present.html").read_text(encoding="utf-8"),
    css=(ASSETS / "present_bar.css").read_text(encoding="utf-8"),
    js=(ASSETS / "present.js").read_text(encoding="utf-8"),
)


def presenting(page: st.Page) -> bool:
    """Whether this run is for a room. It lasts from page to page, though a link within a page drops the query."""
    kept = st.session_state.get(_KEPT)
    if kept not in (None, page.url_path):
        st.query_params["present"] = "1"
    asked = in_a_room()
    st.session_state[_KEPT] = page.url_path if asked else None
    return asked


def in_a_room() -> bool:
    """For a page that is laid out otherwise there."""
    return st.query_params.get("present") == "1"


def contents(screens: Mapping[str, str]) -> None:
    """The first screen of a page: its other screens, by the anchors of their headings; many stand in two columns.

    A click turns to the screen: assets/present.js.
    """
    st.html(ASSETS / "present_words.css")
    names = list(screens)
    half = -(-len(names) // 2) if len(names) > ONE_COLUMN else len(names)
    with st.container(key="room_contents"):
        for column, part in zip(st.columns(2, gap="large"), (names[:half], names[half:]), strict=True):
            column.markdown("\n".join(f"- [{screens[anchor]}](#{anchor})" for anchor in part))


def enter_button() -> None:
    """The way in, by click or by P."""
    st.button("Present", shortcut="P", type="tertiary", key="present_enter", on_click=_enter)


def bar(pages: Sequence[st.Page], page: st.Page) -> None:
    """The keys, the mark of where one is, and the notes. Mounted before the page runs, so a slow page can be left."""
    st.html(ASSETS / "present.css")
    place = [other.url_path for other in pages].index(page.url_path)
    whole = {"page": page.url_path, "title": page.title, "place": place + 1, "pages": len(pages), "screen": _screen()}
    result = _component(
        key="present_bar",
        data={**whole, **_lesson(page)},
        on_screen_change=_keep_screen,
        on_go_change=_leave,
    )
    if result.go == "next" and place + 1 < len(pages):
        st.switch_page(pages[place + 1], query_params={"present": "1"})
    if result.go == "back" and place > 0:
        st.switch_page(pages[place - 1], query_params={"present": "1", "screen": str(LAST)})
    if result.go == "leave":  # _leave found nothing to read
        _out()
        st.rerun()


def _enter() -> None:
    st.query_params["present"] = "1"


def _leave() -> None:
    """Before the page runs again, so that it runs once, with its frame."""
    if _held().get("go") == "leave":
        _out()


def _out() -> None:
    st.session_state[_KEPT] = None
    for name in ("present", "screen"):
        st.query_params.pop(name, None)


def _held() -> Mapping[str, Any]:
    """What the bar says. On a busy machine Streamlit 1.67 was seen to call back with the bar's own value gone."""
    held: Mapping[str, Any] = st.session_state.get("present_bar") or {}
    return held


def _screen() -> int:
    """?screen= as a number from 0; anything else is the first."""
    asked = st.query_params.get("screen", "0")
    return int(asked) if re.fullmatch(r"-1|\d{1,3}", asked) else 0


def _keep_screen() -> None:
    """The browser turned to a screen by itself: put it into the address."""
    page, _, screen = str(_held().get("screen")).partition(":")
    screen = screen.partition(":")[0]  # behind it stands which turn of the bar it is
    if page == st.session_state.get(_KEPT) and re.fullmatch(r"\d{1,3}", screen):
        st.query_params["screen"] = screen


def _lesson(page: st.Page) -> dict[str, object]:
    """For a lesson: its key, which of its steps is shown, and that step's note; for another page a note a screen."""
    if page.url_path not in share.LESSONS:
        from core.learning.page_notes import notes_of  # noqa: PLC0415  for whoever presents, as below

        walks = page.url_path in WALKED
        return {"lesson": "", "walks": walks, "note": "", "notes": list(notes_of(page.url_path))}
    from core.learning.figures import texts  # noqa: PLC0415  computed for whoever presents, not for every visitor

    lesson = lessons.lesson(page.url_path)
    step = min(share.lesson_step(lesson.key), len(lesson.steps))
    note = lessons.fill(lesson.steps[step - 1].note, texts())
    return {"lesson": lesson.key, "step": step, "steps": len(lesson.steps), "note": note}
