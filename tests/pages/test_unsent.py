"""Inputs of a closed part run without being sent: their value and their place in the link stay, and come into sight."""

from streamlit.testing.v1 import AppTest

from tests.pages.conftest import more_inputs

PAGE = "tools/size/size.py"


def test_a_closed_part_is_not_sent_and_counts(open_page):
    app = open_page(PAGE, size_count="2", size_tp="2", size_mean="8192")
    assert [widget.key for widget in app.number_input] == ["size_batch", "size_context"]
    assert [app.session_state[key] for key in ("size_count", "size_tp", "size_mean")] == [2, 2, 8_192]
    app.number_input(key="size_batch").set_value(8).run()
    assert app.query_params["size_tp"] in ("2", ["2"])
    assert app.query_params["size_mean"] in ("8192", ["8192"])


def test_what_comes_into_sight_is_told_its_value(open_page):
    """The browser has only the default of an input that it has never seen: the first message must set the value."""
    app = more_inputs(open_page(PAGE, size_count="2", size_tp="2"))
    seen = app.number_input(key="size_tp")
    assert (seen.value, seen.proto.set_value, seen.proto.value, seen.proto.default) == (2, True, 2.0, 1.0)
    assert app.number_input(key="size_block").value == 16
    seen.set_value(1).run()
    app.session_state["size_more"] = False
    app.run()
    assert app.session_state["size_tp"] == 1


def test_a_closed_tab_keeps_what_was_typed_in_it(open_page):
    app = turned_to(open_page(PAGE), "Server log")
    app.text_area(key="size_log").set_value("nginx started").run()
    assert not turned_to(app, "The plan").text_area
    box = turned_to(app, "Server log").text_area(key="size_log")
    assert (box.value, box.proto.set_value) == ("nginx started", True)


def turned_to(app: AppTest, tab: str) -> AppTest:
    app.session_state["size_tab"] = tab
    assert not app.run().exception
    return app
