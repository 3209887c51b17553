"""A session holds how to read the widgets of the page that is shown, not of every page that was."""

import pytest
from streamlit.runtime.state import session_state
from streamlit.testing.v1 import AppTest

from pages.shell import lean_session


def page() -> None:
    import streamlit as st

    shown = st.toggle("Show", value=True, key="show")
    if shown:
        st.number_input("Tokens", value=3, key="tokens", persist_state="session")
        st.selectbox(
            "Engine", ["vLLM", "SGLang"], key="engine", on_change=lambda: st.session_state.update(said="moved")
        )


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch) -> AppTest:
    """With the patch for this test alone, whether or not a page of another test has it."""
    found = session_state.WStates.remove_stale_widgets
    monkeypatch.setattr(session_state.WStates, lean_session.NAME, getattr(found, "__wrapped__", found))
    lean_session.install()
    return AppTest.from_function(page)


def kept(app: AppTest) -> list[str]:
    """The keys of the widgets that the session still knows how to read."""
    states = app._session_state._state._new_widget_state
    return sorted(widget.rpartition("-")[2] for widget in states.widget_metadata)


def test_what_is_no_longer_drawn_is_forgotten_and_comes_back_with_its_value(app: AppTest) -> None:
    app.run()
    assert kept(app) == ["engine", "show", "tokens"]
    app.number_input(key="tokens").set_value(9).run()
    app.toggle(key="show").set_value(False).run()
    assert kept(app) == ["show"]
    app.toggle(key="show").set_value(True).run()
    assert kept(app) == ["engine", "show", "tokens"]
    assert app.number_input(key="tokens").value == 9
    app.selectbox(key="engine").select("SGLang").run()
    assert app.session_state["said"] == "moved"  # callbacks are there again too
    assert not app.exception


def component() -> None:
    import streamlit as st

    watch = st.components.v2.component("lean_session_test", js="export default () => {}")
    watch(key="watched", on_go_change=lambda: None)


def test_how_to_read_the_triggers_of_a_component_is_kept(app: AppTest) -> None:
    """Leaving presenter mode is one."""
    mounted = AppTest.from_function(component).run()
    states = mounted._session_state._state._new_widget_state
    assert [m.value_type for m in states.widget_metadata.values()].count("json_trigger_value") == 1
    assert not mounted.exception
