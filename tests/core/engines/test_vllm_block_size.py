"""--block-size named on vLLM, 16 as any other: figures of its own planner at 32,768 tokens and 40 GiB."""

import gzip
import json
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest

from core.engines.face import plan_cache
from core.engines.plan import EngineError
from core.models.spec import read_config

DATA = Path(__file__).parents[2] / "data" / "engines" / "vllm_cases.json.gz"


@lru_cache(maxsize=1)
def configs() -> dict[str, Any]:
    found: dict[str, Any] = {}
    with gzip.open(DATA, "rt") as file:
        for case in json.load(file):
            found.setdefault(case["model_type"], case["config"])
    return found


@pytest.mark.parametrize(
    ("model_type", "asked", "block", "request_bytes", "tokens"),
    [
        ("deepseek_v3", 16, 16, 2_302_672_896, 611_184),
        ("deepseek_v3", 32, 32, 2_302_672_896, 611_168),
        ("qwen3_next", 16, 576, 934_281_216, 1_506_335),  # a state's page decides, whatever was named
        ("nemotron_h", 16, 1_040, 851_968_000, 1_651_507),
        ("nemotron_h", 32, 1_056, 865_075_200, 1_626_603),  # a multiple of what was named
        ("gemma3_text", 16, 16, 5_208_801_280, 270_191),
        ("gemma3_text", 32, 32, 5_216_665_600, 269_784),
    ],
)
def test_a_named_block_is_the_planners(model_type, asked, block, request_bytes, tokens):
    job = {"context_length": 32_768, "available_bytes": 40 * 2**30, "block_size": asked}
    plan = plan_cache(read_config(configs()[model_type]), engine="vllm", **job)
    assert (plan.block_size, plan.request_bytes, plan.capacity_tokens) == (block, request_bytes, tokens)


@pytest.mark.parametrize("asked", [16, 32])
def test_one_that_no_backend_takes_is_refused_as_the_planner_does(asked):
    with pytest.raises(EngineError, match="takes multiples of 64"):
        plan_cache(read_config(configs()["deepseek_v32"]), engine="vllm", context_length=4_096, block_size=asked)
