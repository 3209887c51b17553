"""One lock for the state of a session, where Streamlit 1.67 has one for each of its runs.

A run that is interrupted goes on to the next point at which it looks whether it may, beside the run that takes its
place. Each guards the state by a lock of its own, so that what the first still writes meets the second while it goes
through the same dictionary: RuntimeError, and a page that shows it. Seen where a link to a heading asks for the rest of
a page at once (pages/shell/below.py), on a busy machine.
"""

import functools
import threading
from collections.abc import Callable
from typing import Any
from weakref import WeakValueDictionary

from streamlit.runtime.state import safe_session_state

_GUARD = threading.Lock()
_LOCKS: WeakValueDictionary[int, Any] = WeakValueDictionary()  # by the state's id, as long as anything guards it


def install() -> None:
    """Once for the process; a Streamlit without these names stays as it is."""
    guarded = getattr(safe_session_state, "SafeSessionState", None)
    begin: Callable[..., None] | None = getattr(guarded, "__init__", None)
    if guarded is None or begin is None or getattr(begin, "one_lock", False):
        return

    @functools.wraps(begin)
    def with_one_lock(self: Any, state: Any, *others: Any, **named: Any) -> None:
        begin(self, state, *others, **named)
        own = vars(self).get("_lock")
        if own is not None:
            with _GUARD:
                object.__setattr__(self, "_lock", _LOCKS.setdefault(id(state), own))

    with_one_lock.one_lock = True  # type: ignore[attr-defined]
    guarded.__init__ = with_one_lock
