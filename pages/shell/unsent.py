"""Inputs that nobody sees, in a closed expander or tab: they run on the server and are not sent to the browser.

An input that does not run loses its value and its place in the address, and each that is sent costs the browser as much
as one that is seen (benchmarks/interface.md). What runs in here keeps both and draws nothing.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import streamlit as st
from streamlit.delta_generator import DeltaGenerator
from streamlit.proto.RootContainer_pb2 import RootContainer
from streamlit.runtime.scriptrunner import get_script_run_ctx

# What Streamlit calls the values of inputs; those of buttons are triggers, and files and components have their own.
_SET = frozenset(
    {"bool_value", "int_value", "double_value", "string_value"}
    | {"int_array_value", "double_array_value", "string_array_value"}
)
_HELD = "_unsent"  # session state: by a part's name, the keys of its inputs that the browser does not have


class _Nowhere(DeltaGenerator):
    """A place in the main area that has no position: Streamlit sends nothing for it and makes the same widget ids."""

    @property
    def _cursor(self) -> None:  # type: ignore[override]
        return None


@contextmanager
def sent_if(seen: bool, place: DeltaGenerator, name: str) -> Iterator[None]:
    """Draws into place where it is seen, else nowhere.

    When inputs come into sight the browser learns their values from here, since it knows their defaults alone.
    """
    held: dict[str, frozenset[str]] = st.session_state.setdefault(_HELD, {})
    if seen:
        for key in held.pop(name, ()):
            if key in st.session_state:
                st.session_state[key] = st.session_state[key]
        with place:
            yield
        return
    before = _keys()
    try:
        with _Nowhere(root_container=RootContainer.MAIN):
            yield
    finally:  # a page may stop among them
        held[name] = frozenset(filter(_may_be_set, _keys() - before))


def _keys() -> frozenset[str]:
    """The keys of the widgets that have run so far."""
    context = get_script_run_ctx()
    return context.shared.widget_user_keys_this_run.snapshot() if context is not None else frozenset()


def _may_be_set(key: str) -> bool:
    """Whether a script may set the value of that key's widget: not of a button, an upload or a component."""
    context = get_script_run_ctx()
    if context is None:
        return False
    state = context.session_state._state
    widget = state._new_widget_state.widget_metadata.get(str(state._key_id_mapper.get_id_from_key(key)))
    return widget is not None and widget.value_type in _SET
