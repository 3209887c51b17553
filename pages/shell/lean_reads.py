"""A widget of Streamlit 1.67 that asks for one value of the session reads that value, not the whole state.

number_input, selectbox, radio and text_input copy every value of the session (SessionState.filtered_state) to see
whether their own is None. With a page's forty widgets that is a sixth of a rerun of Size. What stands here gives them
the state itself, which has the same two questions, `key in state` and `state[key]`; everybody else reads as before.
"""

from collections.abc import Callable
from typing import Any

from streamlit.elements.widgets import number_input, radio, selectbox, text_widgets

MODULES: tuple[Any, ...] = (number_input, radio, selectbox, text_widgets)
NAME = "get_session_state"


class OneValue:
    """The session's state as these widgets use it."""

    def __init__(self, state: Any) -> None:
        self._state = state

    @property
    def filtered_state(self) -> Any:
        """Asked by key alone, so the state itself will do."""
        return self._state

    def __getattr__(self, name: str) -> Any:
        return getattr(self._state, name)


def install() -> None:
    """Once for the process; a Streamlit without these names stays as it is."""
    for module in MODULES:
        found = getattr(module, NAME, None)
        if found is not None and not getattr(found, "lean", False):
            setattr(module, NAME, _lean(found))


def _lean(found: Callable[[], Any]) -> Callable[[], OneValue]:
    def get_session_state() -> OneValue:
        return OneValue(found())

    get_session_state.lean = True  # type: ignore[attr-defined]
    return get_session_state
