"""The layouts page through AppTest: presets, G, formula and bytes move together; errors keep what was entered."""

import pyarrow as pa
import pytest
from streamlit.testing.v1 import AppTest


@pytest.fixture
def app(open_page):
    return open_page("learn/layouts.py")


def spoken(app: AppTest) -> str:
    """What the first picture says to who cannot see it: its alt text, and the words that came with its rows."""
    proto = app.get("vega_lite_chart")[0].proto
    sent = {dataset.name: pa.ipc.open_stream(dataset.data.data).read_all() for dataset in proto.datasets}
    words = sent["labels"].column("spoken").to_pylist()
    return " ".join([proto.alt, *filter(None, words)])


def texts(app: AppTest) -> str:
    return " ".join(element.value for element in app.markdown)


def test_opens_on_llama_2_70b(app):
    assert "GQA: 64 query heads share 8 key and value heads, 8 to each." in texts(app)
    assert r"327{,}680" in app.latex[0].value
    assert "4,096 bytes per token and layer" in spoken(app)


def test_changing_g_moves_picture_formula_and_bytes(app):
    app.segmented_control(key="layouts_g64").set_value(1).run()
    assert "MQA: all 64 query heads read one key and value head." in texts(app)
    assert r"40{,}960" in app.latex[0].value
    assert "512 bytes per token and layer, 1.6% of MHA's" in spoken(app)
    app.segmented_control(key="layouts_g64").set_value(64).run()
    assert r"2{,}621{,}440" in app.latex[0].value


def test_a_change_of_g_sends_rows_alone(app):
    """Streamlit builds a picture again in the browser if anything but its data differs."""
    before = app.get("vega_lite_chart")[0].proto
    app.segmented_control(key="layouts_g64").set_value(1).run()
    after = app.get("vega_lite_chart")[0].proto
    assert (after.spec, after.alt) == (before.spec, before.alt)
    assert [dataset.name for dataset in after.datasets] == ["bands", "lines", "boxes", "labels"]
    assert after.datasets != before.datasets


@pytest.mark.parametrize(
    ("name", "options", "chosen", "per_token"),
    [
        ("Mistral 7B", ["1", "2", "4", "8", "16", "32"], "GQA: 32 query heads share 8", r"131{,}072"),
        ("Falcon 7B", ["1", "71"], "MQA: all 71 query heads", r"8{,}192"),
        ("Falcon 40B", ["1", "2", "4", "8", "16", "32", "64", "128"], "GQA: 128 query heads share 8", r"122{,}880"),
        ("Llama-2 13B", ["1", "2", "4", "5", "8", "10", "20", "40"], "MHA: each of the 40", r"819{,}200"),
    ],
)
def test_presets_offer_only_divisors(app, name, options, chosen, per_token):
    app.selectbox(key="layouts_model").set_value(name).run()
    control = next(c for c in app.get("button_group") if c.key.startswith("layouts_g"))
    assert [option.content.split(" ")[0] for option in control.proto.options] == options
    assert chosen in texts(app)
    assert per_token in app.latex[0].value


def test_a_shape_of_ones_own_and_a_bound_that_the_widget_would_not_stop(app):
    app.selectbox(key="layouts_model").set_value("A shape of your own").run()
    assert "MHA: each of the 12 query heads" in texts(app)
    app.number_input(key="layouts_h").set_value(9_999).run()
    assert "query heads H is 9999: give a whole number from 1 to 512." in app.error[0].value
    assert app.number_input(key="layouts_h").value == 9_999
