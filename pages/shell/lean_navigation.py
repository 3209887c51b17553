"""A rerun leaves the sidebar's links alone.

Streamlit 1.67 sends its navigation message with every run, and its client draws each link anew for it, twice: 7 % of
what a change of an input on Size costs the browser (benchmarks/interface.md). A tab that was sent the very same message
last, and was not asked to turn to another page since, has nothing to learn from it. What is remembered hangs on the
connection, so a tab that connects again is told everything.
"""

import functools
from typing import Any
from weakref import WeakKeyDictionary

from streamlit.runtime.runtime import Runtime

NAME = "_send_message"
TURNING = ("new_session", "page_not_found")  # after these the client holds another page for the one that stands


def install() -> None:
    """Once for the process; a Streamlit without this name stays as it is."""
    found = getattr(Runtime, NAME, None)
    if found is None or getattr(found, "lean", False):
        return
    told: WeakKeyDictionary[Any, Any] = WeakKeyDictionary()  # by the connection, the navigation that its tab holds

    @functools.wraps(found)
    def _send_message(self: Any, session_info: Any, msg: Any) -> None:
        kind, holds = msg.WhichOneof("type"), told.get(session_info.client)
        if kind == "navigation":
            if holds == msg.navigation:
                return
            found(self, session_info, msg)
            told[session_info.client] = msg.navigation
            return
        if kind in TURNING and holds is not None and _turns(msg, kind, holds):
            del told[session_info.client]
        found(self, session_info, msg)

    _send_message.lean = True  # type: ignore[attr-defined]
    setattr(Runtime, NAME, _send_message)


def _turns(msg: Any, kind: str, holds: Any) -> bool:
    """Whether the client takes another page for the one that stands than its navigation says."""
    return kind == "page_not_found" or msg.new_session.page_script_hash != holds.page_script_hash
