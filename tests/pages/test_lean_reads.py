"""A widget that asks for its own value does not read the whole session, and goes on showing what it showed."""

import pytest
from streamlit.elements.widgets import number_input
from streamlit.runtime.state.session_state import SessionState
from streamlit.testing.v1 import AppTest

from pages.shell import lean_reads


def page() -> None:
    import streamlit as st

    st.number_input("Tokens", value=3, key="tokens")
    st.selectbox("Engine", ["vLLM", "SGLang"], key="engine")
    st.radio("Way", ["a", "b"], key="way")
    st.text_input("Name", value="x", key="name")


def shown(app: AppTest) -> list[object]:
    return [app.number_input[0].value, app.selectbox[0].value, app.radio[0].value, app.text_input[0].value]


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch) -> AppTest:
    """With the reads installed for this test alone, whether or not a page of another test has installed them."""
    for module in lean_reads.MODULES:
        monkeypatch.setattr(module, lean_reads.NAME, getattr(module, lean_reads.NAME))
    lean_reads.install()
    return AppTest.from_function(page)


def test_no_widget_copies_the_state(app: AppTest, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(_state: SessionState) -> None:
        raise AssertionError("the whole state was read")

    monkeypatch.setattr(SessionState, "filtered_state", property(refused))
    assert not app.run().exception
    assert shown(app) == [3, "vLLM", "a", "x"]


def test_a_value_that_was_set_is_shown_and_none_empties_a_widget(app: AppTest) -> None:
    app.session_state["tokens"] = None
    app.session_state["engine"] = None
    app.session_state["way"] = "b"
    app.run()
    assert shown(app) == [None, None, "b", "x"]
    app.number_input[0].set_value(9).run()
    assert shown(app) == [9, None, "b", "x"]


def test_it_is_installed_once(app: AppTest) -> None:
    first = number_input.get_session_state
    lean_reads.install()
    assert number_input.get_session_state is first
