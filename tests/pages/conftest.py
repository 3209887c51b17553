"""Opens a page of the dashboard inside its frame, as a visitor gets it."""

from collections.abc import Callable

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from tests.dashboard import ROOT


@pytest.fixture
def open_page() -> Callable[..., AppTest]:
    """open_page("learn/layouts.py", layouts_model="Falcon 7B") runs it with the query of a link."""
    st.cache_data.clear()

    def opened(script: str, /, **query: str) -> AppTest:
        app = AppTest.from_file(ROOT / "pages" / "frame.py", default_timeout=60)
        for key, value in query.items():
            app.query_params[key] = value
        app.switch_page(f"{script}").run()
        assert not app.exception, app.exception
        return app

    return opened
