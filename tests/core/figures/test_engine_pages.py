"""The pages that a request pins: solid, hatched or a frame; a layer without marks would be an unnamed picture."""

import pytest

from core.engines.class_names import named_class
from core.engines.face import plan_cache
from core.figures.engine_pages import hatching, pages_chart
from core.figures.palette import LIGHT
from core.models.registry import load_registry
from core.models.spec import read_config

MODELS = {known.name: read_config(known.config) for known in load_registry()}


@pytest.mark.parametrize(("name", "layers"), [("Llama-3.1 8B", 5), ("Qwen3-Next 80B-A3B", 5), ("Gemma-3 27B", 5)])
def test_every_layer_has_marks(name, layers):
    """Pinned, filled and two of words; the mark of what is cut of 32 pages; Qwen3-Next's states are hatched, being
    pinned and empty; Gemma-3's 52 + 10 layers in groups of 11 leave room for layers that are not."""
    plan = plan_cache(MODELS[name], engine="vllm", context_length=512)
    chart = pages_chart(plan, LIGHT).to_dict()
    marks = [layer["data"]["values"] for layer in chart["layer"]]
    assert len(marks) == layers
    assert all(marks)


def drawn(name, engine, **job):
    """Each row's boxes as (left, right), by the row's middle; and the texts."""
    chart = pages_chart(plan_cache(named_class(MODELS[name]), engine=engine, **job), LIGHT).to_dict()
    marks = [layer["data"]["values"] for layer in chart["layer"]]
    pinned = next(rows for rows in marks if "left" in rows[0])
    rows: dict[float, list[tuple[float, float]]] = {}
    for box in pinned:
        rows.setdefault(box["top"], []).append((box["left"], box["right"]))
    return list(rows.values()), [mark["text"] for rows in marks for mark in rows if "text" in mark], marks


def test_a_row_is_as_long_as_its_bytes_where_pages_differ():
    """SGLang: 512 tokens of 24,576 bytes beside five slots of 77,266,944, of which the running state fills one."""
    (tokens, slots), _, marks = drawn("Qwen3-Next 80B-A3B", "sglang", context_length=512)
    assert len(tokens) == 1
    assert len(slots) == 5
    long = slots[-1][1] - slots[0][0]
    assert (tokens[0][1] - tokens[0][0]) / long < 2 * 512 * 24_576 / (5 * 77_266_944)
    filled = [rows for rows in marks if "left" in rows[0]][1]
    assert len([box for box in filled if box["top"] > 0.5]) == 1


def test_rows_that_would_all_be_cut_are_as_long_as_their_bytes():
    """Gemma-3 on vLLM at 32,768 tokens: six window groups pin 321 pages each, full attention 2,048 of the same size."""
    rows, _, _ = drawn("Gemma-3 27B", "vllm", context_length=32_768)
    assert [len(row) for row in rows] == [1] * 7
    window, full = (row[0][1] - row[0][0] for row in (rows[0], rows[-1]))
    assert full / window == pytest.approx(2048 / 321, rel=0.15)


def test_a_row_of_many_pages_is_cut():
    """57 pages of attention beside three of each state: 24 boxes' room, one of it for what is left out."""
    rows, texts, _ = drawn("Qwen3-Next 80B-A3B", "vllm", context_length=32_768)
    assert [len(row) for row in rows] == [3, 3, 3, 23]
    assert "…" in texts
    assert "57 × 14.2 MB" in texts


def test_hatching_stays_inside_its_rectangle():
    """180 by 32 px of a picture 900 px wide: (180 + 32) / 8 = 26 lines, cut at the edges."""
    found = hatching(0.3, 0.5, 0.1, 0.3, 0.2)
    assert len(found) == 26
    assert all(0.3 <= line["x"] <= line["x2"] <= 0.5 + 1e-9 for line in found)
    assert all(0.1 - 1e-9 <= line["y2"] <= line["y"] <= 0.3 + 0.01 for line in found)
    slope = {round((line["y"] - line["y2"]) / 0.2 * 32 / ((line["x2"] - line["x"]) * 900), 2) for line in found}
    assert slope == {1.01}
