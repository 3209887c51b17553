"""GLM-5.3-Flash on vLLM: figures of its own planner, where the class's kernels stand in (libcuda is not here)."""

import pytest

from core.engines.face import plan_cache
from core.engines.plan import EngineError
from core.models.spec import ModelSpec, read_config

GIB = 2**30
# The shape of the class's defaults in transformers 5.24, of which the planner was asked; the checkpoint pools 4 keys
CLASS_DEFAULTS = {
    "model_type": "glm5_next_text", "num_hidden_layers": 45, "hidden_size": 4096, "vocab_size": 154_880,
    "num_attention_heads": 64, "num_key_value_heads": 64, "kv_lora_rank": 512, "q_lora_rank": 1536,
    "qk_rope_head_dim": 0, "v_head_dim": 256, "qk_nope_head_dim": 256, "index_topk": 2048, "index_head_dim": 128,
    "index_n_heads": 32, "linear_head_dim": 128, "linear_num_heads": 64, "linear_conv_kernel_dim": 4, "hc_mult": 4,
    "index_kpool": 16,
}  # fmt: skip


def glm(**changes: int) -> ModelSpec:
    named = {"model_type": "glm5_next", "architectures": ["Glm5NextForConditionalGeneration"]}
    return read_config({**named, "text_config": {**CLASS_DEFAULTS, **changes}})


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
