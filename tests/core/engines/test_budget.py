"""What servers logged in public (issue numbers in each case) against the lines of the budget."""

import pytest

from core.engines.budget import (
    GIB,
    activation_line,
    sglang_budget,
    sglang_static_fraction,
    vllm_budget,
)
from core.engines.face import plan_cache
from core.engines.plan import EngineError
from core.models.spec import read_config
from core.serving.model_shapes import llama_shape
from tests.core.measured_cases import measured_cases

QWEN_25_32B = llama_shape(
    num_layers=64, num_query_heads=40, num_kv_heads=8, head_dim=128, hidden_size=5120, intermediate_size=27648,
    vocab_size=152064,
)  # fmt: skip
LLAMA_31_8B = llama_shape(
    num_layers=32, num_query_heads=32, num_kv_heads=8, head_dim=128, hidden_size=4096, intermediate_size=14336,
    vocab_size=128256,
)  # fmt: skip
HALF_A_GIB = GIB // 2


@pytest.mark.parametrize(
    ("blocks", "context", "printed"),
    [(1_952, 20_000, "1.56"), (1_478, 29_000, "0.82"), (7_299, 50_000, "2.34"), (1_381, 2_048, "10.79")],
)  # vllm#10517 twice, vllm#14452, vllm#12569
def test_requests_follow_from_the_blocks_to_the_digit(blocks, context, printed):
    assert f"{blocks * 16 / context:.2f}" == printed


@pytest.mark.parametrize(
    ("spec", "ranks", "left_gib", "blocks"),
    [(QWEN_25_32B, 2, 7.71, 3_947), (LLAMA_31_8B, 1, 3.81, 1_952), (LLAMA_31_8B, 1, 2.89, 1_478)],
)  # vllm#15815, vllm#10517
def test_blocks_follow_from_the_memory_within_its_two_decimals(spec, ranks, left_gib, blocks):
    made = plan_cache(spec, engine="vllm", context_length=16, tensor_parallel=ranks)
    assert made.block_size == 16
    assert abs(left_gib * GIB / made.request_bytes - blocks) <= 0.006 * GIB / made.request_bytes


def test_the_activations_of_qwen_are_within_half_a_gib_of_the_log():
    """vllm#15815, 1.26 GiB: (3 x 5,120 + 3 x 13,824) x 2 x 10,000 = 1.06 GiB in a layer, 256 x 152,064 x 35 sampled."""
    line = activation_line(QWEN_25_32B, tokens=10_000, tensor_parallel=2)
    assert line.low_bytes == 256 * 152_064 * 35
    assert line.low_bytes <= 1.27 * GIB
    assert abs(line.high_bytes - 1.26 * GIB) < HALF_A_GIB


@pytest.mark.parametrize("ranks", [1, 2])
def test_the_sampler_s_peak_is_whole_on_every_rank(ranks):
    """vllm#10511: Llama-3-8B profiled with 8,192 tokens logged 1.26 GiB at TP 1 and at TP 2."""
    line = activation_line(LLAMA_31_8B, tokens=8_192, tensor_parallel=ranks)
    assert line.low_bytes - HALF_A_GIB < 1.26 * GIB < line.high_bytes + HALF_A_GIB
    assert line.high_bytes == 256 * 128_256 * 41


def test_a_thousand_tokens_of_llama_8b_add_what_was_seen():
    """vllm#10517: 3.81 - 2.89 GiB over 9,000 tokens: 104.7 MiB for 1,000; 3 x (4,096 + 14,336) x 2,000 is 105.5."""
    grown = (
        activation_line(LLAMA_31_8B, tokens=29_000).low_bytes - activation_line(LLAMA_31_8B, tokens=20_000).low_bytes
    )
    assert grown == 9 * 110_592_000
    assert abs(grown / 9 / 2**20 - 104.7) < 1.2  # two memories of two decimals


def test_experts_are_counted_by_how_many_a_token_has():
    """Qwen3-30B-A3B's widths: 8 experts x (max(2 x 768, 2,048) + 768) + 3 x 2,048 elements, x 2 bytes."""
    spec = read_config({
        "model_type": "qwen3_moe", "hidden_size": 2048, "intermediate_size": 6144, "moe_intermediate_size": 768,
        "num_hidden_layers": 48, "num_attention_heads": 32, "num_key_value_heads": 4, "head_dim": 128,
        "num_experts": 128, "num_experts_per_tok": 8, "vocab_size": 151936,
    })  # fmt: skip
    assert activation_line(spec, tokens=100_000).low_bytes == 100_000 * (8 * (2_048 + 768) + 6_144) * 2


def test_sglang_s_static_fraction_is_its_own():
    """SGLang 0.5.23, asked itself as on an H100: 0.83, with four ranks 0.819, with a chunk of 4,096 tokens 0.874."""
    h100 = 81_559 * 2**20
    assert sglang_static_fraction(visible_bytes=h100) == 0.83
    assert sglang_static_fraction(visible_bytes=h100, tensor_parallel=4) == 0.819
    assert sglang_static_fraction(visible_bytes=h100, chunk=4_096) == 0.874
    budget = sglang_budget(LLAMA_31_8B, visible_bytes=h100, weight_bytes=15 * GIB)
    assert budget.left_bytes == (int(h100 * 0.83) - 15 * GIB,) * 2
    with pytest.raises(EngineError, match="Take a larger card"):
        sglang_static_fraction(visible_bytes=2 * GIB)
    with pytest.raises(EngineError, match="static_fraction is 2"):
        sglang_budget(LLAMA_31_8B, visible_bytes=h100, weight_bytes=1, static_fraction=2)


def test_logs_of_pools_follow_from_their_tokens_to_the_digit():
    """vllm#21348: 367,404 tokens, K 8.23 GiB a rank (94 layers x 1 head x 128); vllm#40691: 45 blocks of 784."""
    assert f"{94 * 128 * 2 * 367_404 / GIB:.2f}" == "8.23"
    assert 1_487 // 4 * 784 == 290_864  # four groups share 1,487 blocks
    assert f"{1_487 / 45:.2f}" == "33.04"


@pytest.mark.parametrize(
    ("spec", "visible_gib", "share", "weights_gib", "tokens", "ranks", "left_gib"),
    [
        (QWEN_25_32B, 44.42, 0.90, 30.71, 10_000, 2, 7.71),
        (LLAMA_31_8B, 23.58, 0.90, 14.99, 20_000, 1, 3.81),
        (LLAMA_31_8B, 23.58, 0.90, 14.99, 29_000, 1, 2.89),
    ],
)
def test_what_is_left_is_within_half_a_gib_of_the_log(spec, visible_gib, share, weights_gib, tokens, ranks, left_gib):
    budget = vllm_budget(
        spec, visible_bytes=int(visible_gib * GIB), weight_bytes=int(weights_gib * GIB), batched_tokens=tokens,
        utilisation=share, tensor_parallel=ranks, graphs=False,
    )  # fmt: skip
    least, most = budget.left_bytes
    assert least - HALF_A_GIB < left_gib * GIB < most + HALF_A_GIB
    assert sum(line.high_bytes for line in budget.lines) + least == budget.share_bytes


def test_nothing_is_left_where_the_weights_alone_are_too_large():
    budget = vllm_budget(LLAMA_31_8B, visible_bytes=8 * GIB, weight_bytes=15 * GIB, batched_tokens=2_048)
    assert budget.left_bytes == (0, 0)


def test_what_cannot_be_computed_is_refused_by_name():
    config = next(case["config"] for case in measured_cases() if case["model_type"] == "dbrx")
    with pytest.raises(EngineError, match="activations of this dbrx model are not computed"):
        activation_line(read_config(config), tokens=2_048)
    with pytest.raises(EngineError, match=r"utilisation is 1\.2"):
        vllm_budget(LLAMA_31_8B, visible_bytes=GIB, weight_bytes=1, batched_tokens=1, utilisation=1.2)
