"""The comparison's charts: what is drawn, in which order, that labels keep apart, and that every chart renders."""

import math
from itertools import pairwise
from typing import Any

import pytest
import vl_convert

from core.figures.comparison import ComparedModel, bar_rows, compare, context_rows, layer_rows, run_rows
from core.figures.house import dress
from core.figures.models import LABEL_GAP, LINES_HEIGHT, bytes_chart, context_chart, end_labels, layers_chart
from core.figures.palette import DARK, LIGHT, Palette
from core.models.registry import load_registry

REGISTRY = {model.name: model for model in load_registry()}
THREE = ("Llama-1 7B", "Mistral-7B v0.1", "Falcon-7B")
MANY = (
    "Llama-1 7B", "Llama-2 70B", "Llama-3 8B", "Llama-3.1 8B", "Mistral-7B v0.3", "Falcon-40B", "DeepSeek-V3",
    "gpt-oss-20b", "Jamba v0.1", "Falcon-H1 0.5B", "Gemma-3n E4B", "Mamba-Codestral 7B",
)  # fmt: skip


def models(*names: str) -> list[ComparedModel]:
    return [
        compare(name, status="", facts="", config=REGISTRY[name].config, config_text=REGISTRY[name].config_text)
        for name in names
    ]


def data(spec: dict[str, Any], layer: int) -> list[dict[str, Any]]:
    own = spec["layer"][layer].get("data", spec.get("data", {}))
    values: list[dict[str, Any]] = own["values"]
    return values


def test_bars_keep_the_order_of_their_rows_and_carry_their_labels() -> None:
    rows = bar_rows(models(*THREE))
    spec = bytes_chart(rows, LIGHT).to_dict()
    assert spec["layer"][0]["encoding"]["y"]["sort"] == ["Llama-1 7B", "Mistral-7B v0.1", "Falcon-7B"]
    drawn = data(spec, 1)
    assert [row["kib"] for row in drawn] == [512, 128, 8]
    assert drawn[2]["says"] == "8 KiB · MQA, G = 1 of 71"
    assert [row["end"] for row in drawn] == [512, 128, 8]  # no ghosts: the label stands at the bar


def test_ghosts_reach_as_far_as_mha_and_say_how_far() -> None:
    drawn = data(bytes_chart(bar_rows(models(*THREE)), LIGHT, ghosts=True).to_dict(), 0)
    assert [row["end"] for row in drawn] == [512, 512, 568]  # 71 heads x 8 KiB = 568 KiB
    assert drawn[2]["says"].endswith("· MHA: 568 KiB")
    assert "MHA:" not in drawn[0]["says"]  # it is MHA


def test_a_kind_has_the_colour_of_the_palette() -> None:
    scale = bytes_chart(bar_rows(models(*THREE)), DARK).to_dict()["layer"][1]["encoding"]["color"]["scale"]
    assert dict(zip(scale["domain"], scale["range"], strict=True)) | {} == {
        "MHA": DARK.mha, "GQA": DARK.gqa, "MQA": DARK.mqa, "MLA": DARK.mla, "recurrent": DARK.recurrent,
        "shared": DARK.line, "none": DARK.line,
    }  # fmt: skip


def test_names_at_the_ends_of_lines_keep_apart_and_in_order() -> None:
    rows = context_rows(models(*MANY))
    ends = end_labels(rows)
    assert [row["bytes"] for row in ends] == sorted((row["bytes"] for row in ends), reverse=True)
    top = math.log(max(row["bytes"] for row in rows) * 1.4)
    gap = (top - math.log(min(row["bytes"] for row in rows) / 1.4)) * LABEL_GAP / LINES_HEIGHT
    heights = [math.log(row["at"]) for row in ends]
    assert all(above - below > 0.95 * gap for above, below in pairwise(heights))
    assert heights[0] <= top


def test_a_name_with_room_stays_at_its_line() -> None:
    ends = end_labels(context_rows(models("Llama-1 7B", "Falcon-7B")))
    assert ends[1]["at"] == pytest.approx(ends[1]["bytes"])


def test_a_cell_is_as_high_as_what_it_keeps() -> None:
    chosen = models("gpt-oss-20b", "Jamba v0.1")
    cells = data(layers_chart(layer_rows(chosen), run_rows(chosen), LIGHT).to_dict(), 0)
    height = {row["kept"]: row["bottom"] - row["top"] for row in cells}
    assert height["all"] > height["window"] > height["state"] > 0
    assert len(cells) == 24 + 32
    assert {math.floor(row["top"]) for row in cells if row["model"] == "Jamba v0.1"} == {1}


@pytest.mark.parametrize("colours", [LIGHT, DARK])
@pytest.mark.parametrize("names", [THREE, MANY, ("Mamba-Codestral 7B",)])
def test_every_chart_renders(names: tuple[str, ...], colours: Palette) -> None:
    chosen = models(*names)
    for chart in (
        bytes_chart(bar_rows(chosen), colours),
        bytes_chart(bar_rows(chosen), colours, ghosts=True),
        context_chart(context_rows(chosen), colours),
        layers_chart(layer_rows(chosen), run_rows(chosen), colours),
    ):
        svg = vl_convert.vegalite_to_svg(dress(chart.properties(width=800).to_dict(), colours))
        assert all(name in svg for name in names)
