"""What servers logged in public (issue numbers in each case) against the lines of the budget."""

import pytest

from core.engines.budget import GIB, activation_line, vllm_budget
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
    """vllm#15815: 10,000 tokens over two ranks, 1.26 GiB logged; (2 x 5,120 + 3 x 13,824) x 2 x 10,000 = 0.96 GiB."""
    line = activation_line(QWEN_25_32B, tokens=10_000, tensor_parallel=2)
    assert line.low_bytes == 1_034_240_000
    assert abs(line.high_bytes - 1.26 * GIB) < HALF_A_GIB


def test_a_thousand_tokens_of_llama_8b_add_what_was_seen():
    """vllm#10517: the peak grows by about 92 MiB for each 1,000 tokens; (2 x 4,096 + 3 x 14,336) x 2,000 = 97.7 MiB."""
    grown = activation_line(LLAMA_31_8B, tokens=2_000).low_bytes - activation_line(LLAMA_31_8B, tokens=1_000).low_bytes
    assert grown == 102_400_000
    assert abs(grown / 2**20 - 92) < 10


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
    config = next(case["config"] for case in measured_cases() if case["model_type"] == "mixtral")
    with pytest.raises(EngineError, match="activations of this mixtral model are not computed"):
        activation_line(read_config(config), tokens=2_048)
    with pytest.raises(EngineError, match=r"utilisation is 1\.2"):
        vllm_budget(LLAMA_31_8B, visible_bytes=GIB, weight_bytes=1, batched_tokens=1, utilisation=1.2)
