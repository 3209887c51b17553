"""The pages that a request pins: no layer of the picture is without marks, which would be an unnamed picture."""

import pytest

from core.engines.face import plan_cache
from core.figures.engine_pages import pages_chart
from core.figures.palette import LIGHT
from core.models.registry import load_registry
from core.models.spec import read_config

MODELS = {known.name: read_config(known.config) for known in load_registry()}


@pytest.mark.parametrize(("name", "layers"), [("Llama-3.1 8B", 4), ("Qwen3-Next 80B-A3B", 4), ("Gemma-3 27B", 5)])
def test_every_layer_has_marks(name, layers):
    """Pinned, filled and two of words; Gemma-3's 52 + 10 layers in groups of 11 leave room for layers that are not."""
    plan = plan_cache(MODELS[name], engine="vllm", context_length=512)
    chart = pages_chart(plan, LIGHT).to_dict()
    marks = [layer["data"]["values"] for layer in chart["layer"]]
    assert len(marks) == layers
    assert all(marks)
