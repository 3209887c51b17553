"""The decode pictures: rows with known figures, and charts that render in both themes."""

import json
from dataclasses import replace

import pytest
import vl_convert

from core.figures.decode import best_chart, best_rows, kernel_rows, kernels_chart, step_chart, step_rows
from core.figures.palette import DARK, LIGHT
from tests.core.decode.records import STEPS, run_record

RESULTS = run_record().results


def test_a_bar_is_the_fastest_correct_kernel_beside_its_prediction():
    rows = best_rows(RESULTS, 8, LIGHT)
    assert [row["name"] for row in rows] == ["G = 8 · MHA", "G = 1 · MQA"]
    assert [row["measured"] for row in rows] == pytest.approx([4.0, 1.0])
    assert [row["predicted"] for row in rows] == pytest.approx([2.0, 0.25])
    assert [row["label"] for row in rows] == [
        "4.00 ms  ·  50% of the roofline  ·  host_kernel",
        "1.00 ms  ·  25% of the roofline  ·  host_kernel",
    ]
    assert [row["fill"] for row in rows] == [LIGHT.mha, LIGHT.mqa]


def test_refused_and_missing_kernels_have_no_dot():
    names = {(row["panel"], row["name"]) for row in kernel_rows(RESULTS)}
    assert names == {(g, k) for g in ("G = 8", "G = 1") for k in ("sdpa_enable_gqa", "host_kernel")}


@pytest.mark.parametrize("colours", [LIGHT, DARK], ids=["light", "dark"])
def test_the_pictures_render(colours):
    for chart in (
        best_chart(RESULTS, 8, colours),
        kernels_chart(RESULTS, colours),
        step_chart(STEPS, 8, colours),
    ):
        spec = json.loads(chart.to_json())
        svg = vl_convert.vegalite_to_svg(spec)
        assert svg.count("<text") > 4
        assert "NaN" not in svg


def test_the_prediction_is_drawn_on_the_axis_of_the_measurement():
    layers = best_chart(RESULTS, 8, LIGHT).to_dict()["layer"]
    domains = {tuple(layer["encoding"]["x"]["scale"]["domain"]) for layer in layers}
    assert len(domains) == 1
    assert next(iter(domains))[0] == 0


def test_a_whole_step_is_drawn_with_its_spread_and_its_prediction():
    rows = step_rows(STEPS, 8, LIGHT)
    assert [row["measured"] for row in rows] == pytest.approx([125.0, 75.0])  # ten layers of 12 or 7 ms, and 5 ms
    assert [row["predicted"] for row in rows] == pytest.approx([60.0, 45.0])
    assert (rows[0]["low"], rows[0]["high"]) == pytest.approx((113.0, 137.0))
    assert [row["label"] for row in rows] == ["125 ms  ·  48% of the roofline", "75.0 ms  ·  60% of the roofline"]


def test_a_forecast_is_a_mark_of_its_own():
    forecast = tuple(replace(step, own_rates_seconds=0.15) for step in STEPS)
    layers = [step_chart(steps, 8, LIGHT).to_dict()["layer"] for steps in (STEPS, forecast)]
    assert [len(layer) for layer in layers] == [4, 5]
    assert layers[1][3]["encoding"]["x"]["field"] == "forecast"
    assert layers[1][0]["encoding"]["x"]["scale"]["domain"][1] == pytest.approx(1.75 * 150)  # it is the farthest mark


def test_an_axis_leaves_room_for_its_longest_label():
    farthest = max(max(row["high"], row["predicted"]) for row in best_rows(RESULTS, 8, LIGHT))
    tied = tuple(replace(result, equal_to=("packed_rows_sdpa_with_a_long_name",)) for result in RESULTS)
    ends = [
        best_chart(results, 8, LIGHT).to_dict()["layer"][0]["encoding"]["x"]["scale"]["domain"][1] / farthest
        for results in (RESULTS, tied)
    ]
    # 47 characters take (47 x 5.8 + 12) / 745 of the bars: 1.61 times would do, and 1.75 is the least. 91 take 0.72 of
    # it, of which 0.7 is the most: 1 / (1 - 0.7)
    assert ends == pytest.approx([1.75, 10 / 3])
