"""What a step reads of the weights: distinct experts, the embedding's rows, and bounds that hold."""

import random
from typing import Any

import pytest

from core.models.spec import read_config
from core.serving.job import ServingJob
from core.serving.roofline import decode_bound
from core.serving.step_reads import expected_distinct
from tests.core.serving.test_stored import DEEPSEEK_V3, GPT_OSS_20B, LLAMA_3_8B, MIXTRAL


def bound(config: dict[str, Any], batch: int, **changes: Any) -> Any:
    return decode_bound(ServingJob(model=read_config(config), batch_size=batch, context_length=16, **changes))


@pytest.mark.parametrize(
    ("experts", "taken", "batch", "distinct"),
    [(8, 2, 1, 2), (8, 2, 2, 3.5), (8, 2, 32, 7.9992), (128, 8, 1, 8), (256, 8, 64, 222.44), (32, 4, 10**6, 32)],
)
def test_expected_distinct_experts(experts: int, taken: int, batch: int, distinct: float) -> None:
    """8 experts, two a token, two tokens: 8 (1 - 0.75^2) = 3.5."""
    assert expected_distinct(experts, taken, batch) == pytest.approx(distinct, abs=0.01)


def test_it_is_the_mean_of_drawing_them() -> None:
    draw = random.Random(7)
    rounds = [len({e for _ in range(16) for e in draw.sample(range(64), 4)}) for _ in range(2_000)]
    assert expected_distinct(64, 4, 16) == pytest.approx(sum(rounds) / len(rounds), rel=0.01)


# Mixtral by hand: an expert of a layer has 3 x 4,096 x 14,336 = 176,160,768 parameters, 352,321,536 bytes; the rest is
# 46,702,792,704 - 32 x 8 of those = 1,605,636,096, of which the embedding has 131,072,000
EXPERT, BESIDE = 352_321_536, 2 * (1_605_636_096 - 131_072_000)


@pytest.mark.parametrize(("batch", "distinct"), [(1, 2), (2, 3.5), (4, 8 * (1 - 0.75**4))])
def test_mixtral_reads_the_experts_that_a_batch_wakes(batch: int, distinct: float) -> None:
    found = bound(MIXTRAL, batch)
    assert found.weight_read_bytes == pytest.approx(BESIDE + batch * 8_192 + 32 * distinct * EXPERT, abs=1)
    assert found.least_weight_read_bytes == BESIDE + batch * 8_192 + 32 * 2 * EXPERT
    assert found.most_weight_read_bytes == BESIDE + batch * 8_192 + 32 * min(8, 2 * batch) * EXPERT
    # two of eight experts are multiplied with, and the embedding is looked up
    assert found.weight_flops == 2 * batch * (BESIDE // 2 + 32 * 2 * EXPERT // 2)


def test_the_range_is_said() -> None:
    (caveat,) = bound(MIXTRAL, 2).caveats
    assert "each of 2 sequences is routed to 2 of 8 in a layer, 3.5 distinct ones expected under even routing" in caveat
    assert "between 2 and 4" in caveat


@pytest.mark.parametrize("config", [MIXTRAL, GPT_OSS_20B, DEEPSEEK_V3, LLAMA_3_8B], ids=lambda c: c["model_type"])
@pytest.mark.parametrize("weight_format", [None, "published", "nvfp4", "gguf-q4_k_m"])
def test_reads_lie_between_the_least_and_all_weights(config: dict[str, Any], weight_format: str | None) -> None:
    before = 0
    for batch in (1, 2, 8, 64, 4_096):
        found = bound(config, batch, weight_format=weight_format)
        all_bytes = bound(config, 10**6, weight_format=weight_format).weight_read_bytes
        read = found.least_weight_read_bytes, found.weight_read_bytes, found.most_weight_read_bytes
        assert before < read[0] <= read[1] <= read[2] <= all_bytes
        before = read[0] - 1


def test_a_tied_table_is_read_whole_as_the_head() -> None:
    tied, untied = ({**LLAMA_3_8B, "tie_word_embeddings": flag} for flag in (True, False))
    assert bound(tied, 1).weight_read_bytes == bound(untied, 1).weight_read_bytes - 4_096 * 2


def test_experts_make_a_batch_of_one_cheap_and_of_64_dear() -> None:
    """Mixtral at 64 reads 3.6 times the weights of batch 1; a dense Llama the same."""
    assert bound(MIXTRAL, 64).weight_read_bytes / bound(MIXTRAL, 1).weight_read_bytes == pytest.approx(3.65, abs=0.05)
    assert bound(LLAMA_3_8B, 64).weight_read_bytes / bound(LLAMA_3_8B, 1).weight_read_bytes < 1.0001
