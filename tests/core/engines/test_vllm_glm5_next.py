"""GLM-5.3-Flash on vLLM: figures of its own planner, where the class's kernels stand in (libcuda is not here)."""

import pytest

from core.engines.face import plan_cache
from core.engines.plan import EngineError
from core.models.registry import load_registry
from core.models.spec import ModelSpec, read_config

GIB = 2**30


def glm(**changes: int) -> ModelSpec:
    config = next(known for known in load_registry() if known.name == "GLM-5.3-Flash").config
    named = {**config, "architectures": ["Glm5NextForConditionalGeneration"]}
    return read_config({**named, "text_config": {**config["text_config"], **changes}})


@pytest.mark.parametrize(
    ("changes", "job", "block", "request_bytes", "tokens"),
    [
        ({}, {"context_length": 32_768}, 4_608, 1_099_219_968, 1_279_512),
        ({}, {"context_length": 4_096}, 4_608, 732_813_312, 239_908),
        ({}, {"context_length": 32_768, "prefix_caching": False}, 4_608, 680_469_504, 2_066_904),
        ({}, {"context_length": 32_768, "max_batched_tokens": 8_192}, 4_608, 1_099_219_968, 1_279_512),
        ({}, {"context_length": 32_768, "tensor_parallel": 2}, 2_560, 756_467_712, 1_860_214),
        ({}, {"context_length": 131_072, "tensor_parallel": 2}, 2_560, 1_891_169_280, 2_976_342),
        ({"index_kpool": 8}, {"context_length": 32_768}, 4_352, 1_046_707_200, 1_343_488),
        ({"num_hidden_layers": 20, "linear_num_heads": 32}, {"context_length": 32_768}, 2_560, 304_668_672, 4_618_863),
    ],
)
def test_the_planner_is_met_to_the_byte(changes, job, block, request_bytes, tokens):
    plan = plan_cache(glm(**changes), engine="vllm", available_bytes=40 * GIB, **job)
    assert (plan.block_size, plan.request_bytes, plan.capacity_tokens) == (block, request_bytes, tokens)


def test_a_state_decides_the_block_and_eight_bits_are_refused():
    with pytest.raises(EngineError, match="a state decides"):
        plan_cache(glm(), engine="vllm", context_length=4_096, block_size=64)
    with pytest.raises(EngineError, match="cache_type is 'fp8'"):
        plan_cache(glm(), engine="vllm", context_length=4_096, cache_type="fp8")
