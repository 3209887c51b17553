"""Watch it decode through AppTest: steps forth and back, a prompt of one's own, and one that is refused."""

from streamlit.testing.v1 import AppTest

from tests.dashboard import ROOT


def opened(**query: str) -> AppTest:
    app = AppTest.from_file(ROOT / "pages" / "frame.py", default_timeout=60).run()
    for key, value in query.items():
        app.query_params[key] = value
    app.switch_page("learn/watch.py").run()
    assert not app.exception, app.exception
    return app


def test_steps_go_forth_and_back() -> None:
    app = opened()
    assert app.title[0].value == "Prefill: 12 tokens in one step"
    assert app.button(key="watch_back").disabled
    app.button(key="watch_next").click().run()
    assert app.title[0].value == "Decode: token 13"
    app.button(key="watch_back").click().run()
    assert app.title[0].value == "Prefill: 12 tokens in one step"
    assert len(app.get("vega_lite_chart")) == 1


def test_another_prompt_starts_again() -> None:
    app = opened(watch_prompt="G")
    assert app.title[0].value == "Prefill: 1 token in one step"
    app.button(key="watch_next").click().run()
    app.text_input(key="watch_prompt").set_value("GQA keeps").run()
    assert app.title[0].value == "Prefill: 9 tokens in one step"


def test_a_prompt_that_is_too_long_is_named_and_kept() -> None:
    app = opened(watch_prompt="x" * 50)
    assert "50 characters: type 1 to 40" in app.error[0].value
    assert app.text_input(key="watch_prompt").value == "x" * 50


def test_play_starts_and_pause_stops() -> None:
    app = opened()
    app.button(key="watch_play").click().run()
    assert app.button(key="watch_play").label == "Pause"
    app.button(key="watch_play").click().run()
    assert app.button(key="watch_play").label == "Play"
