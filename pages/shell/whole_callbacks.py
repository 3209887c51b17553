"""A press is answered, and its callback runs to its end, whatever the browser sends meanwhile.

Streamlit 1.67 ends a run for the next message wherever the run touches st.session_state. A message that comes while a
press is taken up, or while its callback runs, takes the press away: the callback is never called, or is left in the
middle, some inputs set and others not, and is not called again. Here the message waits until what the browser sent
before it is taken in; Streamlit looks for it right after.
"""

import functools
from collections.abc import Callable
from typing import Any

from streamlit.runtime.state import safe_session_state


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
            take_in(self, *values, **named)
        finally:
            runner._execing = True

    whole.whole = True  # type: ignore[attr-defined]
    guarded.on_script_will_rerun = whole
