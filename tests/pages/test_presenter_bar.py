"""Presenter mode's bar where Streamlit calls back without the bar's own value, as a busy machine was seen to do."""

from streamlit.testing.v1 import AppTest


def page() -> None:
    """Of the bar's state one part is left: that somebody pressed Leave."""
    from types import SimpleNamespace

    import streamlit as st

    from pages.shell import present

    here = SimpleNamespace(url_path="layouts", title="The three layouts")
    present._component = lambda **_given: SimpleNamespace(go="leave" if pressed else None)
    pressed = st.button("leave", on_click=present._leave)
    st.button("another screen", on_click=present._keep_screen)
    if present.presenting(here):
        present.bar([here], here)


def test_a_bar_whose_value_is_gone_is_left_and_says_no_error(monkeypatch) -> None:
    monkeypatch.setattr("pages.shell.present._component", None)  # what the page puts there is gone after the test
    app = AppTest.from_function(page)
    app.query_params["present"] = "1"
    app.run()
    assert app.session_state["_presenting_on"] == "layouts"
    app.button[1].click().run()
    assert not app.exception
    assert "screen" not in app.query_params
    app.button[0].click().run()
    assert not app.exception
    assert app.session_state["_presenting_on"] is None
    assert "present" not in app.query_params
