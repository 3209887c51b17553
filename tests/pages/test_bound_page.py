"""When memory stops binding, through AppTest: both pictures, and a control that moves the first."""

import pytest
from streamlit.testing.v1 import AppTest

from tests.dashboard import ROOT


def test_both_pictures_stand_and_the_chunk_moves_the_weights() -> None:
    app = AppTest.from_file(ROOT / "pages" / "frame.py", default_timeout=60).run()
    app.switch_page("learn/bound.py").run()
    assert not app.exception, app.exception
    assert len(app.get("vega_lite_chart")) == 2
    assert any("the weights stay left of it" in element.value for element in app.markdown)
    app.select_slider(key="bound_chunk").set_value(1_024).run()
    assert any("the weights from k = 1" in element.value for element in app.markdown)


@pytest.mark.parametrize(("script", "key"), [("learn/bound.py", "bound_accelerator"), ("learn/watch.py", "watch_roof")])
def test_every_accelerator_of_the_page_is_offered(open_page, script, key):
    offered = open_page(script).selectbox(key=key).options
    assert offered == ["H100 SXM5 80 GB", "A100 SXM4 80 GB", "B200 SXM 180 GB", "L4"]
