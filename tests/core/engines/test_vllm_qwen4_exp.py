"""Qwen3.8-Flash-Next on vLLM: what its planner refuses, and one plan by hand. Its plans are in vllm_own_cases."""

import json
from typing import Any

import pytest

from core.engines.plan import EngineError
from tests.core.engines.test_vllm import GIB, config_of, planned

LINEAR, FULL = "linear_attention", "full_attention"


def changed(**changes: Any) -> dict[str, Any]:
    config = json.loads(json.dumps(config_of("qwen4-exp|base|")))
    config["text_config"] |= changes
    return config


def test_a_request_by_hand() -> None:
    """A state takes 10,240 channels x 3 taps x 2 B + 48 x 128 x 128 x 2 B = 1,634,304 B, 798 tokens of 2 heads x 512 x
    2 B: 13 x 64 = 832. A block holds 12 layers of 832 x 2,048 B and of 832 / 4 x 256 B, 21,086,208 B. A request of
    32,768 tokens pins 40 of them, three for each of three groups of 12 states and one of a single convolution, and one
    for the rings of keys that wait: 53."""
    plan = planned(changed(), context_length=32_768, available_bytes=40 * GIB)
    assert (plan.block_size, plan.request_bytes) == (832, 53 * 21_086_208)
    assert [group.num_layers for group in plan.groups] == [12, 12, 12, 1, 12, 24]


@pytest.mark.parametrize(
    ("changes", "job", "words"),
    [
        ({"head_dim": 128}, {}, "head_dim is 128"),
        ({"ple_layer_ids": [4]}, {}, "ple_layer_ids names layer 4"),
        ({"layer_types": [LINEAR] * 48}, {}, "names no full_attention layer"),
        ({}, {"block_size": 30}, "block_size is 30"),
        ({}, {"cache_type": "nvfp4"}, "cache_type is 'nvfp4'"),
        ({}, {"pipeline_parallel": 2}, "pipeline_parallel is 2"),
        ({}, {"tensor_parallel": 7}, "tensor_parallel is 7"),
    ],
)
def test_what_the_planner_refuses_is_refused_by_name(changes, job, words) -> None:
    with pytest.raises(EngineError, match=words):
        planned(changed(**changes), context_length=32_768, **job)


def test_an_eight_bit_cache_makes_the_block_longer() -> None:
    assert planned(changed(), context_length=32_768, cache_type="fp8").block_size == 1_600
