"""The pages that a request pins: solid, hatched or a frame; a layer without marks would be an unnamed picture."""

import pytest

from core.engines.face import plan_cache
from core.figures.engine_pages import hatching, pages_chart
from core.figures.palette import LIGHT
from core.models.registry import load_registry
from core.models.spec import read_config

MODELS = {known.name: read_config(known.config) for known in load_registry()}


@pytest.mark.parametrize(("name", "layers"), [("Llama-3.1 8B", 4), ("Qwen3-Next 80B-A3B", 5), ("Gemma-3 27B", 5)])
def test_every_layer_has_marks(name, layers):
    """Pinned, filled and two of words; Qwen3-Next's states are hatched, being pinned and empty; Gemma-3's
    52 + 10 layers in groups of 11 leave room for layers that are not."""
    plan = plan_cache(MODELS[name], engine="vllm", context_length=512)
    chart = pages_chart(plan, LIGHT).to_dict()
    marks = [layer["data"]["values"] for layer in chart["layer"]]
    assert len(marks) == layers
    assert all(marks)


def test_hatching_stays_inside_its_rectangle():
    """180 by 32 px of a picture 900 px wide: (180 + 32) / 8 = 26 lines, cut at the edges."""
    found = hatching(0.3, 0.5, 0.1, 0.3, 0.2)
    assert len(found) == 26
    assert all(0.3 <= line["x"] <= line["x2"] <= 0.5 + 1e-9 for line in found)
    assert all(0.1 - 1e-9 <= line["y2"] <= line["y"] <= 0.3 + 0.01 for line in found)
    slope = {round((line["y"] - line["y2"]) / 0.2 * 32 / ((line["x2"] - line["x"]) * 900), 2) for line in found}
    assert slope == {1.01}
