"""What lies below the window: it runs, counts in links and files, and is sent when somebody comes near it."""

import pytest

from pages.shell import below
from tests.pages.conftest import opened_as_seen_first

PAGE = "tools/models/models.py"
PICTURES = ["models_bytes", "models_context", "models_weights", "models_layers", "models_engine_pages"]


def test_a_page_opens_with_what_the_window_holds():
    app = opened_as_seen_first(PAGE)
    assert not app.exception
    assert [heading.value for heading in app.subheader] == ["Side by side"]
    assert len(app.get("vega_lite_chart")) == 1
    assert not app.selectbox


def test_what_is_not_sent_is_in_links_and_files():
    app = opened_as_seen_first(PAGE, models_context="32,768", models_detail="Mixtral 8x22B")
    assert list(app.session_state["_share_pictures"]) == PICTURES
    assert app.query_params["models_context"] in ("32,768", ["32,768"])
    assert app.session_state["models_context"] == 32_768
    assert app.session_state["models_detail"] == "Mixtral 8x22B"


def test_what_comes_near_is_told_its_value():
    """The browser knows the default of an input that it has not seen, and no more."""
    app = opened_as_seen_first(PAGE, models_detail="Mixtral 8x22B")
    app.session_state[below._NEAR] = "models"
    app.run()
    assert [heading.value for heading in app.subheader][-1] == "The registry"
    box = app.selectbox(key="models_detail")
    assert (box.value, box.proto.set_value) == ("Mixtral 8x22B", True)
    assert len(app.get("vega_lite_chart")) == len(PICTURES)


def test_another_page_forgets_that_it_was_near():
    app = opened_as_seen_first(PAGE)
    app.session_state[below._NEAR] = "models"
    app.switch_page("reference/glossary.py").run()
    app.switch_page(PAGE).run()
    assert [heading.value for heading in app.subheader] == ["Side by side"]


def test_in_a_room_all_is_sent_at_once():
    app = opened_as_seen_first(PAGE, present="1")
    assert [heading.value for heading in app.subheader][-1] == "The registry"


@pytest.mark.parametrize(
    ("script", "last", "link"),
    [
        ("tools/size/size.py", "Behind the answer", {"size_tab": "Limits"}),
        ("tools/size/size.py", "Behind the answer", {"size_job": "Serve a model", "size_serve_tab": "Engine"}),
        ("reference/evidence.py", "What else is published", {"evidence_topic": "Speed"}),
        ("learn/layouts.py", "The three side by side", {"present": "1"}),
    ],
)
def test_the_rest_of_other_pages_too_but_for_a_link_to_what_it_shows(script, last, link):
    first = opened_as_seen_first(script, **{key: link[key] for key in link if key == "size_job"})
    assert not first.exception
    assert last not in [heading.value for heading in first.subheader]
    assert last in [heading.value for heading in opened_as_seen_first(script, **link).subheader]
