"""After G through AppTest: each idea opens from its link with its layout, and the map stands below."""

import pytest
from streamlit.testing.v1 import AppTest

from core.learning.ideas import IDEAS
from tests.dashboard import ROOT


@pytest.fixture(scope="module")
def app() -> AppTest:
    found = AppTest.from_file(ROOT / "pages" / "frame.py", default_timeout=60).run()
    return found.switch_page("learn/after.py").run()


@pytest.mark.parametrize("found", IDEAS, ids=lambda found: found.key)
def test_each_idea_opens(app: AppTest, found) -> None:
    next(group for group in app.get("button_group") if group.key == "after_idea").set_value(found.key).run()
    assert not app.exception, app.exception
    assert found.does in [element.value for element in app.markdown]
    assert len(app.get("vega_lite_chart")) == 2
