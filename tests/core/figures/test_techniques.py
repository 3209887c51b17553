"""The pictures beside the lessons: what the page needs of each to keep its place before it is drawn."""

import pytest

from core.figures.palette import DARK, LIGHT, Palette
from core.figures.technique_pictures import PICTURES, picture
from core.figures.techniques import runs
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


def test_tokens_of_one_fate_in_a_row_are_one_line() -> None:
    assert [*runs((True, True, False, True))] == [(True, 0, 1), (False, 2, 2), (True, 3, 3)]
    spec = picture("evicted", LIGHT, num_tokens=10, budget=4, num_sinks=1, marked=2).spec
    dropped, kept = [layer["data"]["values"] for layer in spec["layer"][1:3]]
    # A token is a tenth of the width, a cell 0.85 of that. All 10; the newest 4; the first and the newest 3.
    assert _ends(kept[:4]) == [(0.0, 0.985), (0.6, 0.985), (0.0, 0.085), (0.7, 0.985)]
    assert _ends(dropped[:2]) == [(0.0, 0.585), (0.1, 0.685)]


def _ends(rows: list[dict[str, float]]) -> list[tuple[float, float]]:
    return [(round(row["x"], 3), round(row["x2"], 3)) for row in rows]
