"""A press is answered, and its callback runs to its end, whatever the browser sends meanwhile.

Streamlit 1.67 ends a run for the next message wherever the run touches st.session_state. A message that comes while a
press is taken up, or while its callback runs, takes the press away: the callback is never called, or is left in the
middle, some inputs set and others not, and is not called again. Here the message waits until what the browser sent
before it is taken in; Streamlit looks for it right after.

Every message carries the values of all inputs, as the browser knew them: which of them it changed is kept for who has
to tell a choice from a value that came along.
"""

import functools
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import streamlit as st
from streamlit.runtime.state import safe_session_state

_CHANGED, _COUNT = "_changed_by_the_message", "_messages"


def install() -> None:
    """Once for the process; a Streamlit without these names stays as it is."""
    guarded = getattr(safe_session_state, "SafeSessionState", None)
    take_in: Callable[..., None] | None = getattr(guarded, "on_script_will_rerun", None)
    if guarded is None or take_in is None or getattr(take_in, "whole", False):
        return

    @functools.wraps(take_in)
    def whole(self: Any, *values: Any, **named: Any) -> None:
        runner: Any = getattr(vars(self).get("_yield_callback"), "__self__", None)
        if not getattr(runner, "_execing", False):
            take_in(self, *values, **named)
            return
        runner._execing = False  # so a runner says that there is nothing to end
        try:
            with vars(self).get(
                "_lock", nullcontext()
            ):  # a run that is being ended writes beside this one (pages/shell/one_lock.py)
                self[_COUNT] = self[_COUNT] + 1 if _COUNT in self else 1
                take_in(self, *values, **named)
                self[_CHANGED] = _changed(self._state)
        finally:
            runner._execing = True

    whole.whole = True  # type: ignore[attr-defined]
    guarded.on_script_will_rerun = whole


def messages() -> int:
    """How many messages of the browser this session has taken in; 0 where nobody counts."""
    count: int = st.session_state.get(_COUNT, 0)
    return count


def changed_beside(key: str) -> bool:
    """Whether the message of this run changed any other input than the one of that key."""
    changed: frozenset[str] = st.session_state.get(_CHANGED, frozenset())
    return any(not widget.endswith(f"-{key}") for widget in changed)


def _changed(state: Any) -> frozenset[str]:
    """Ids of the inputs whose value differs from the run before; a button that was not pressed is none."""
    new, old = getattr(state, "_new_widget_state", {}), getattr(state, "_old_state", {})
    values = {widget: (new.get(widget), old.get(widget)) for widget in new}
    return frozenset(widget for widget, (now, before) in values.items() if now != before and (now or before))
