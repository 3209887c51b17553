"""What this reader has seen and answered, kept in this browser's localStorage: no account, nothing on the server.

A page notes `saw(...)` or `answered(...)` and ends with `send()`, which mounts an invisible component: it applies the
noted changes to the store. A page that shows what is kept reads `current()` and ends with `sync()` in its place: the
component then hands the whole store back, so a second tab's changes are merged and a reload shows what the last visit
left. That answer costs a run of the page, which a page that is being turned must not have.
"""

import json

import streamlit as st

from core.learning import progress
from core.learning.progress import Change, Progress

_KEPT, _CHANGES = "_progress_kept", "_progress_changes"
STORE_KEY = "headroom.progress"

_JS = """
export default function (component) {
  const { data, setStateValue } = component
  const fits = ([key, value]) =>
    /^(lesson:[a-z0-9_-]{1,40}:[0-9]{1,3}|quiz:[a-z0-9_-]{1,40})$/.test(key) &&
    Number.isInteger(value) && value >= 0 && value <= 999
  const parse = (text) => {
    try { return Object.fromEntries(Object.entries(JSON.parse(text) ?? {}).filter(fits).slice(0, 500)) }
    catch { return {} }
  }
  let stored = true
  let kept
  try { kept = parse(window.localStorage.getItem(data.store) ?? "{}") }
  catch { kept = parse(data.known); stored = false }
  for (const change of data.changes) {
    if (change.value === null) {
      kept = Object.fromEntries(Object.entries(kept).filter(([key]) => !key.startsWith(change.key)))
    } else {
      kept[change.key] = change.value
    }
  }
  const text = JSON.stringify(Object.fromEntries(Object.entries(kept).sort(([a], [b]) => (a < b ? -1 : 1))))
  if (data.changes.length && stored) {
    try { window.localStorage.setItem(data.store, text) } catch { stored = false }
  }
  const news = text !== data.known || data.changes.length > 0
  if (data.answer && news) setStateValue("kept", JSON.stringify({ text, stored }))
}
"""

_store = st.components.v2.component("headroom_progress", js=_JS)


def current() -> Progress:
    """What the browser keeps, with the changes of this visit that are still on their way to it."""
    return _kept().with_changes(_changes())


def saw(lesson: str, step: int) -> None:
    """Note that a step (from 0) of a lesson (its key) was on screen; a step noted before costs nothing."""
    if step not in current().steps_seen(lesson):
        _note(progress.step_seen(lesson, step))


def answered(question: str, option: int) -> None:
    """Note the option, from 0, chosen for a question of the quiz."""
    _note(progress.answered(question, option))


def clear(prefix: str = "") -> None:
    """Forget what is under a prefix ('quiz:' or 'lesson:'); '' forgets everything."""
    _note(progress.cleared(prefix))


def sync() -> None:
    """Mount the store, once a page, after whatever the page notes: the browser answers with all that it keeps."""
    _mount(answer=True)


def send() -> None:
    """Mount the store, once a page, after whatever the page notes: the browser keeps it and does not answer.

    The changes stay noted until a page that asks has the browser's word for them; applying them again changes nothing.
    """
    _mount(answer=False)


def _mount(*, answer: bool) -> None:
    _store(
        key="progress_store",
        data={
            "answer": answer,
            "store": STORE_KEY,
            "known": st.session_state.get(_KEPT, "{}"),
            "changes": [{"key": change.key, "value": change.value} for change in _changes()],
        },
        on_kept_change=_receive,
    )


def is_known() -> bool:
    """Has the browser said what it keeps? False on a session's very first run."""
    return _KEPT in st.session_state


def is_stored() -> bool:
    """False where the browser refused to keep anything (private windows of some browsers)."""
    return bool(st.session_state.get("_progress_stored", True))


def _receive() -> None:
    """The browser answered: what it keeps is now known, and changes that it already holds are done."""
    answer = st.session_state.get("progress_store", {}).get("kept")
    try:
        said = json.loads(answer) if isinstance(answer, str) else {}
    except ValueError:
        return
    if not isinstance(said, dict):
        return
    kept = progress.parse(said.get("text"))
    st.session_state[_KEPT] = said.get("text")
    st.session_state["_progress_stored"] = said.get("stored") is not False
    if kept.with_changes(_changes()).to_json() == kept.to_json():
        st.session_state[_CHANGES] = []


def _kept() -> Progress:
    return progress.parse(st.session_state.get(_KEPT))


def _changes() -> list[Change]:
    noted: list[Change] = st.session_state.setdefault(_CHANGES, [])
    return noted


def _note(change: Change) -> None:
    st.session_state[_CHANGES] = [*_changes(), change]
