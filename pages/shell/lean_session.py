"""A session of Streamlit 1.67 forgets how to read a widget once the widget is gone.

It forgets the value of a widget that a run no longer drew, and keeps what reads, writes and checks that value (its
WidgetMetadata, its options among it) until the session ends. Whoever walks through all pages would hold some hundreds
of them. What is drawn again says it all again. The hidden widget that carries a component's triggers is never said to
be drawn: how to read it is kept, else no trigger would arrive.
"""

import functools
from typing import Any

from streamlit.runtime.state import session_state

NAME = "remove_stale_widgets"
TRIGGERS = "json_trigger_value"


def install() -> None:
    """Once for the process; a Streamlit without these names stays as it is."""
    states = getattr(session_state, "WStates", None)
    found = getattr(states, NAME, None)
    is_stale = getattr(session_state, "_is_stale_widget", None)
    if states is None or found is None or is_stale is None or getattr(found, "lean", False):
        return

    @functools.wraps(found)
    def remove_stale_widgets(self: Any, active_widget_ids: frozenset[str], fragment_ids_this_run: Any) -> None:
        found(self, active_widget_ids, fragment_ids_this_run)
        self.widget_metadata = {
            widget: metadata
            for widget, metadata in self.widget_metadata.items()
            if metadata.value_type == TRIGGERS or not is_stale(metadata, active_widget_ids, fragment_ids_this_run)
        }

    remove_stale_widgets.lean = True  # type: ignore[attr-defined]
    setattr(states, NAME, remove_stale_widgets)
