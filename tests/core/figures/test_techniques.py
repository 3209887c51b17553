"""The pictures beside the lessons: what the page needs of each to keep its place before it is drawn."""

import pytest

from core.figures.palette import DARK, LIGHT, Palette
from core.figures.technique_pictures import PICTURES, picture
from core.uptraining import results
from core.uptraining.recipe import Recipe

RUN = results.recorded()[0]
INPUTS: dict[str, dict[str, object]] = {
    "pool": {"step": 3},
    "fragmentation": {
        "prompt_median": 160, "output_median": 200, "spread": 0.9, "context_limit": 2_048, "block_size": 16,
    },
    "server_request": {"context_length": 512},
    "evicted": {"num_tokens": 160, "budget": 40, "num_sinks": 4, "marked": 60},
    "sinks": {},
    "rounding": {"group": 32, "outlier_scale": 8.0},
    "kivi": {"task": "coqa"},
    "kept_by_mla": {},
    "split_shares": {"num_query_heads": 128, "num_kv_heads": 8, "head_dim": 128, "tensor_parallel": 8},
    "conversion": {"num_kv_heads": 2, "method": "mean"},
    "losses": {
        "points": results.averaged((RUN,)), "recipe": RUN.recipe, "against": "g", "before": False, "finding": "Found.",
    },
    "training": {"steps": ((1, 2.0), (2, 1.5)), "recipe": Recipe()},
    "multiply": {"num_kv_heads": 8},
    "forgotten": {"num_tokens": 8_192, "budget": 2_048},
}  # fmt: skip


@pytest.mark.parametrize("colours", [LIGHT, DARK])
@pytest.mark.parametrize("name", PICTURES)
def test_each_says_its_height_in_pixels(name: str, colours: Palette) -> None:
    spec = picture(name, colours, **INPUTS[name]).spec
    assert "layer" in spec
    assert isinstance(spec["height"], int)
    assert 150 <= spec["height"] <= 350  # below its controls on a screen of 800 pixels
