"""The timeline through AppTest: the picture with its words, and the way to Models from its list."""

from streamlit.testing.v1 import AppTest

from tests.dashboard import ROOT


def opened() -> AppTest:
    app = AppTest.from_file(ROOT / "pages" / "frame.py", default_timeout=60).run()
    app.switch_page("reference/timeline.py").run()
    assert not app.exception, app.exception
    return app


def test_the_picture_says_every_model_in_words() -> None:
    charts = opened().get("vega_lite_chart")
    assert len(charts) == 1
    assert "Llama-2 7B, 2023-07, MHA, 512.0 KiB" in charts[0].proto.alt


def test_a_model_chosen_by_name_opens_on_models() -> None:
    app = opened()
    app.selectbox(key="timeline_open").set_value("Falcon-7B").run()
    assert app.title[0].value == "Models"
    assert app.multiselect(key="models_pick").value == ["Falcon-7B"]
