"""Opens a page of the dashboard inside its frame, as a visitor gets it."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from pages.shell import cached
from tests.dashboard import ROOT
from tests.server_once import replacements

PICTURES = (
    *(cached.layout_spec, cached.headline, cached.lesson_picture, cached.models_spec, cached.timeline),
    *(cached.idea_picture, cached.idea_map, cached.bound_picture, cached.chart_spec, cached.quality_spec),
    cached.technique_picture,
)


def forget_pictures() -> None:
    """What st.cache_data keeps, and every picture: those are resources, since all sessions draw the same one."""
    st.cache_data.clear()
    for kept in PICTURES:
        kept.clear()


@pytest.fixture(scope="session", autouse=True)
def _what_a_server_does_once() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for module, name, replacement in replacements():
            patch.setattr(module, name, replacement)
        yield


@pytest.fixture
def with_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if it were installed: what the button starts in the test stands in for a worker, and needs none."""
    monkeypatch.setattr("core.host.packages._is_installed", lambda _name: True)


def more_inputs(app: AppTest) -> AppTest:
    """Size with its More inputs open, as after a click: until then the browser is sent none of them."""
    app.session_state["size_more"] = True
    return app.run()


def own_inputs(app: AppTest) -> AppTest:
    """Models with its Paste or upload open, as after a click: until then the browser is sent none of it."""
    app.session_state["models_own_menu"] = True
    return app.run()


@pytest.fixture
def open_page(request: pytest.FixtureRequest) -> Iterator[Callable[..., AppTest]]:
    """open_page("learn/layouts.py", layouts_model="Falcon 7B") runs it with the query of a link.

    What the caches keep is the same for every test but one that puts something else in its place.
    """
    replaces = "monkeypatch" in request.fixturenames
    if replaces:
        forget_pictures()

    def opened(script: str, /, **query: str) -> AppTest:
        app = AppTest.from_file(ROOT / "pages" / "frame.py", default_timeout=60)
        app.session_state["_below_near"] = Path(script).stem  # as if somebody had scrolled: the whole page
        return _run(app, script, query)

    yield opened
    if replaces:
        forget_pictures()


def opened_as_seen_first(script: str, /, **query: str) -> AppTest:
    """As a browser gets it, which is sent what lies below its window when it comes near."""
    return _run(AppTest.from_file(ROOT / "pages" / "frame.py", default_timeout=60), script, query)


def _run(app: AppTest, script: str, query: dict[str, str]) -> AppTest:
    for key, value in query.items():
        app.query_params[key] = value
    app.switch_page(script).run()
    assert not app.exception, app.exception
    return app
