"""Opens a page of the dashboard inside its frame, as a visitor gets it."""

from collections.abc import Callable, Iterator
from functools import cache

import pytest
import streamlit as st
from streamlit.components.v2 import manifest_scanner
from streamlit.runtime.scriptrunner.script_cache import ScriptCache
from streamlit.testing.v1 import AppTest, app_test

from tests.dashboard import ROOT


@pytest.fixture(scope="session", autouse=True)
def _what_a_server_does_once() -> Iterator[None]:
    """AppTest starts a server's life anew: a look into every installed package for components with each AppTest, each
    script compiled with each run. Neither changes while tests run."""
    scripts = ScriptCache()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(manifest_scanner, "scan_component_manifests", cache(manifest_scanner.scan_component_manifests))
        patch.setattr(app_test, "ScriptCache", lambda: scripts)
        yield


@pytest.fixture
def with_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if it were installed: what the button starts in the test stands in for a worker, and needs none."""
    monkeypatch.setattr("core.host.packages._is_installed", lambda _name: True)


@pytest.fixture
def open_page(request: pytest.FixtureRequest) -> Iterator[Callable[..., AppTest]]:
    """open_page("learn/layouts.py", layouts_model="Falcon 7B") runs it with the query of a link.

    What st.cache_data keeps is the same for every test but one that puts something else in its place.
    """
    replaces = "monkeypatch" in request.fixturenames
    if replaces:
        st.cache_data.clear()

    def opened(script: str, /, **query: str) -> AppTest:
        app = AppTest.from_file(ROOT / "pages" / "frame.py", default_timeout=60)
        for key, value in query.items():
            app.query_params[key] = value
        app.switch_page(f"{script}").run()
        assert not app.exception, app.exception
        return app

    yield opened
    if replaces:
        st.cache_data.clear()
