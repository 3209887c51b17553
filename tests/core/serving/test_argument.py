"""Worked cases of the design review, figure by figure: Llama-2 70B, Mistral 7B, Falcon-7B and the 13B tables.

The 13B and 70B tables hold the parameters fixed, as when the freed ones are spent on a wider FFN
(freed_parameters='spent').
"""

from dataclasses import replace

import pytest

from core.errors import SizingError
from core.serving.inverse import fewest_accelerators, largest_batch, largest_kv_heads
from core.serving.job import ServingJob
from core.serving.memory_plan import plan
from core.serving.roofline import attention_intensity, decode_bound
from core.serving.tensor_parallel import copies_per_kv_head, kv_heads_per_rank
from core.serving.weights import ParameterCount
from core.serving.what_if import WindowPattern
from core.units import GIB
from tests.core.serving.sizing_models import FALCON_7B, LLAMA_2_7B, LLAMA_2_13B, LLAMA_2_70B, MISTRAL_7B


def job_13b(**changes: object) -> ServingJob:
    fields = {"model": LLAMA_2_13B, "batch_size": 32, "context_length": 65_536, "freed_parameters": "spent"}
    return ServingJob(**(fields | changes))  # type: ignore[arg-type]


def node_70b(num_kv_heads: int) -> ServingJob:
    """Eight A100 80 GB, one copy of Llama-2 70B, sequences of 4,096 tokens."""
    return ServingJob(
        model=LLAMA_2_70B, num_kv_heads=num_kv_heads, batch_size=1, context_length=4096, accelerator="a100-80-sxm",
        num_accelerators=8, tensor_parallel=8, freed_parameters="spent",
    )  # fmt: skip


# --- is KV traffic the bottleneck at all? N* = weight bytes / KV bytes per token


@pytest.mark.parametrize(("num_kv_heads", "crossover"), [(40, 31_777), (8, 158_885), (1, 1_271_081)])
def test_crossover_tokens(num_kv_heads: int, crossover: int) -> None:
    """26,031,728,640 / (20,480 G): 31.8 k, 159 k, 1.27 M. At G = 8 the whole FFN width leaves 409,600 parameters
    unspent, so 26,030,909,440 bytes are resident and N* is 158,880."""
    found = decode_bound(job_13b(num_kv_heads=num_kv_heads)).crossover_tokens
    assert found == pytest.approx(crossover, abs=5)


def test_mqa_instead_of_g8_buys_little_at_batch_8_and_4k() -> None:
    """(26.0 + 5.4) / (26.0 + 0.7) = 1.18."""
    eight, one = (decode_bound(job_13b(num_kv_heads=g, batch_size=8, context_length=4096)) for g in (8, 1))
    assert eight.kv_read_bytes == 5_368_709_120
    assert eight.read_bytes / one.read_bytes == pytest.approx(1.18, abs=0.005)


# --- Llama-2 70B on eight GPUs: why G = 8


@pytest.mark.parametrize(
    ("num_kv_heads", "kib_per_token", "copies", "heads_per_gpu", "node_bytes_per_token", "sequences"),
    [
        (1, 40, 8, 1, 327_680, 346),
        (4, 160, 2, 1, 327_680, 346),
        (8, 320, 1, 1, 327_680, 346),
        (16, 640, 1, 2, 655_360, 173),
        (64, 2560, 1, 8, 2_621_440, 43),
    ],
)
def test_llama_2_70b_on_eight_gpus(
    num_kv_heads: int, kib_per_token: int, copies: int, heads_per_gpu: int, node_bytes_per_token: int, sequences: int
) -> None:
    job = node_70b(num_kv_heads)
    assert job.served_model.kv_bytes_per_token() == kib_per_token * 1024
    assert copies_per_kv_head(num_kv_heads, 8) == copies
    assert kv_heads_per_rank(num_kv_heads, 8) == heads_per_gpu
    assert plan(job).kv_reserved_bytes * 8 == node_bytes_per_token * 4096
    assert largest_batch(job) == sequences


def test_llama_2_70b_node_budget() -> None:
    """8 x 85.899 GB x 0.9 - 137.95 - 8 x 2 = 464.52 GB; printed as 464.5 with weights rounded to 138."""
    found = plan(node_70b(8))
    left = 8 * (found.budget_bytes - found.weight_bytes - found.runtime_bytes)
    assert left / 1e9 == pytest.approx(464.52, abs=0.01)


def test_g8_duplicates_at_tensor_parallel_16() -> None:
    assert copies_per_kv_head(8, 16) == 2


# --- Mistral 7B: G scales the slope, the window caps the length


@pytest.mark.parametrize(
    ("num_kv_heads", "windowed", "gib_at_4k", "gib_at_32k"),
    [(32, False, 2, 16), (8, False, 0.5, 4), (32, True, 2, 2), (8, True, 0.5, 0.5)],
)
def test_mistral_7b_cache(num_kv_heads: int, windowed: bool, gib_at_4k: float, gib_at_32k: float) -> None:
    pattern = None if windowed else WindowPattern(global_layers=32, local_layers=0, window=4096)
    fields = {"model": MISTRAL_7B, "num_kv_heads": num_kv_heads, "batch_size": 1, "window_pattern": pattern}
    for context, gib in ((4096, gib_at_4k), (32_768, gib_at_32k)):
        found = plan(ServingJob(**fields, context_length=context))  # type: ignore[arg-type]
        assert found.kv_payload_bytes == gib * GIB


def test_mistral_7b_bytes_per_token() -> None:
    assert MISTRAL_7B.kv_bytes_per_token() == 131_072


# --- Falcon-7B: MQA at a context too short to need it

FALCON_COUNT = ParameterCount(total=6_921_720_704, source="meta device", sentence="FalconForCausalLM, built.")


def test_falcon_7b_keeps_a_64th_of_llama_7b() -> None:
    assert FALCON_7B.kv_bytes_per_token() == 8_192
    falcon = plan(ServingJob(model=FALCON_7B, batch_size=1, context_length=2048, parameter_count=FALCON_COUNT))
    llama = plan(ServingJob(model=LLAMA_2_7B, batch_size=1, context_length=2048))
    assert falcon.kv_payload_bytes == 16_777_216
    assert llama.kv_payload_bytes == 1_073_741_824 == 64 * falcon.kv_payload_bytes
    assert falcon.weight_bytes / 1e9 == pytest.approx(13.84, abs=0.01)  # the weights dominate: "about 14 GB"


def test_falcon_7b_heads_cannot_be_sharded() -> None:
    with pytest.raises(
        SizingError, match=r"tensor_parallel is 2, which does not divide 71 query heads: use one of 1, 71"
    ):
        ServingJob(model=FALCON_7B, batch_size=1, context_length=2048, num_accelerators=2, tensor_parallel=2)


# --- 13B, 64k, batch 32, one 80 GB GPU


@pytest.mark.parametrize(
    ("kv_bits", "gigabytes"),
    [
        (16, {1: 42.9, 2: 85.9, 4: 171.8, 5: 214.7, 8: 343.6, 40: 1718.0}),
        (8, {1: 21.5, 2: 42.9, 4: 85.9, 5: 107.4, 8: 171.8, 40: 859.0}),
        (4, {1: 10.7, 2: 21.5, 4: 42.9, 5: 53.7, 8: 85.9, 40: 429.5}),
    ],
)
def test_cache_of_the_13b(kv_bits: int, gigabytes: dict[int, float]) -> None:
    """Gigabytes to one digit; 429 in the review's table is 429.5 (429,496,729,600 bytes) cut rather than rounded."""
    found = {g: plan(job_13b(num_kv_heads=g, kv_bits=kv_bits)).kv_payload_bytes for g in gigabytes}
    assert {g: round(count / 1e9, 1) for g, count in found.items()} == gigabytes


@pytest.mark.parametrize(
    ("kv_bits", "sequences"),
    [(16, {1: 36, 2: 18, 4: 9, 5: 7, 8: 4, 40: 0}), (8, {1: 72, 2: 36, 4: 18, 5: 14, 8: 9, 40: 1})],
)
def test_sequences_of_64k_that_fit(kv_bits: int, sequences: dict[int, int]) -> None:
    found = {g: largest_batch(job_13b(num_kv_heads=g, kv_bits=kv_bits)) for g in sequences}
    assert found == sequences
    assert {g for g, answer in found.items() if not answer.fits} == {g for g, count in sequences.items() if count == 0}


@pytest.mark.parametrize(
    ("accelerator", "weight_bits", "gigabytes"),
    [("h100-sxm", 16, 48.94), ("a100-80-sxm", 16, 49.28), ("h100-sxm", 8, 61.95), ("h100-sxm", 4, 68.46)],
)
def test_memory_left_for_the_cache(accelerator: str, weight_bits: int, gigabytes: float) -> None:
    found = plan(job_13b(accelerator=accelerator, weight_bits=weight_bits))
    left = found.budget_bytes - found.weight_bytes - found.runtime_bytes
    assert left / 1e9 == pytest.approx(gigabytes, abs=0.006)


@pytest.mark.parametrize(("kv_bits", "largest"), [(16, 1), (8, 2), (4, 4)])
def test_three_choices_fit_and_all_cost_forty_gib(kv_bits: int, largest: int) -> None:
    answer = largest_kv_heads(job_13b(kv_bits=kv_bits))
    assert answer == largest
    assert answer.plan is not None
    assert answer.plan.kv_payload_bytes == 40 * GIB


def test_g5_at_four_bits_fits_with_fp8_weights_alone() -> None:
    assert not plan(job_13b(num_kv_heads=5, kv_bits=4)).fits
    assert plan(job_13b(num_kv_heads=5, kv_bits=4, weight_bits=8)).fits


def test_a_quarter_of_the_context_fits_at_g8_fp8() -> None:
    """PagedAttention charges for live tokens: a mean of 16,384 needs 42.9 GB."""
    found = plan(job_13b(num_kv_heads=8, kv_bits=8, context_length=16_384))
    assert found.kv_payload_bytes == 40 * GIB
    assert found.fits


@pytest.mark.parametrize(
    ("global_layers", "window", "fraction", "gib", "gigabytes"),
    [(10, 4096, 0.297, 47.5, 51.0), (7, 1024, 0.188, 30.1, 32.3)],
)
def test_hybrid_what_ifs_at_g8_fp8(
    global_layers: int, window: int, fraction: float, gib: float, gigabytes: float
) -> None:
    """(10 + 30 x 4,096 / 65,536) / 40 = 0.297; (7 + 33 x 1,024 / 65,536) / 40 = 0.188 of 160 GiB."""
    pattern = WindowPattern(global_layers=global_layers, local_layers=40 - global_layers, window=window)
    whole = plan(job_13b(num_kv_heads=8, kv_bits=8))
    found = plan(job_13b(num_kv_heads=8, kv_bits=8, window_pattern=pattern))
    assert found.kv_payload_bytes / whole.kv_payload_bytes == pytest.approx(fraction, abs=0.0005)
    assert found.kv_payload_bytes / GIB == pytest.approx(gib, abs=0.05)
    assert found.kv_payload_bytes / 1e9 == pytest.approx(gigabytes, abs=0.05)


def test_which_hybrids_fit_on_one_h100() -> None:
    ten = WindowPattern(global_layers=10, local_layers=30, window=4096)
    seven = WindowPattern(global_layers=7, local_layers=33, window=1024)
    assert not plan(job_13b(num_kv_heads=8, kv_bits=8, window_pattern=ten)).fits
    assert plan(job_13b(num_kv_heads=8, kv_bits=8, weight_bits=8, window_pattern=ten)).fits
    assert plan(job_13b(num_kv_heads=8, kv_bits=8, window_pattern=seven)).fits


@pytest.mark.parametrize(("kv_bits", "ranks", "gigabytes"), [(8, 4, 49.5), (16, 8, 46.2)])
def test_more_gpus_for_g8(kv_bits: int, ranks: int, gigabytes: float) -> None:
    """(26.0 + 171.8) / 4 = 49.5 GB and (26.0 + 343.6) / 8 = 46.2 GB on each: weights and cache, before the 2 GB
    reserve."""
    answer = fewest_accelerators(job_13b(num_kv_heads=8, kv_bits=kv_bits))
    assert answer == ranks
    assert answer.plan is not None
    held = answer.plan.weight_bytes + answer.plan.kv_reserved_bytes
    assert held / 1e9 == pytest.approx(gigabytes, abs=0.05)


def test_g2_duplicates_beyond_two_ranks() -> None:
    assert [copies_per_kv_head(2, ranks) for ranks in (2, 4, 8)] == [1, 2, 4]


# --- the bound on a decode step


@pytest.mark.parametrize(
    ("accelerator", "milliseconds"), [("h100-sxm", 20.5), ("a100-80-sxm", 33.7), ("h200-sxm", 14.3)]
)
def test_step_bound_with_forty_gib_of_cache(accelerator: str, milliseconds: float) -> None:
    bound = decode_bound(job_13b(num_kv_heads=1, accelerator=accelerator))
    assert bound.step_seconds is not None
    assert bound.step_seconds * 1e3 == pytest.approx(milliseconds, abs=0.05)


def test_tokens_per_second_on_an_h100() -> None:
    """(26.03 - 0.33 + 42.95) / 3.35 TB/s = 20.49 ms: 48.8 tokens/s for each of 32 users, 1,561 in total. Of the
    embedding table's 0.33 GB a step reads 32 rows."""
    bound = decode_bound(job_13b(num_kv_heads=1))
    assert bound.tokens_per_second_per_user == pytest.approx(48.8, abs=0.05)
    assert bound.tokens_per_second == pytest.approx(1_561.5, abs=0.5)
    assert bound.binds == "memory"


def test_the_same_memory_with_g8_serves_four_users() -> None:
    """Four sequences read 40 GiB too: the same step, 195.2 tokens/s in total."""
    bound = decode_bound(job_13b(num_kv_heads=8, batch_size=4))
    assert bound.kv_read_bytes == 40 * GIB
    assert bound.tokens_per_second == pytest.approx(195.2, abs=0.5)


def test_attention_is_memory_bound_all_the_same() -> None:
    """4 x 40 x 40 x 128 x 65,536 x 32 = 1,717,986,918,400 FLOPs: 1.7 ms at 989 TFLOP/s against 12.8 ms of KV reads."""
    bound = decode_bound(job_13b(num_kv_heads=1))
    assert bound.attention_flops == 1_717_986_918_400
    assert bound.attention_seconds == pytest.approx(1.7e-3, abs=0.05e-3)
    assert bound.kv_seconds == pytest.approx(12.8e-3, abs=0.05e-3)
    assert bound.attention_intensity == 40
    assert bound.ridge_flops_per_byte == pytest.approx(295.3, abs=0.05)


@pytest.mark.parametrize(
    ("num_query_heads", "num_kv_heads", "bytes_per_element", "intensity"),
    [(64, 8, 1, 16.0), (64, 4, 1, 32.0), (40, 1, 2, 40.0), (64, 8, 2, 8.0)],
)
def test_intensity_formula(num_query_heads: int, num_kv_heads: int, bytes_per_element: float, intensity: float) -> None:
    """2 (H / G) / b. Step-3 (arXiv 2507.19427, tables 2 and 3) prints 16.1 for Qwen3-32B (64/8, fp8) and 31.9 for
    Qwen3-235B (64/4, fp8); its figures come from rounded FLOPs and bytes."""
    assert attention_intensity(num_query_heads, num_kv_heads, bytes_per_element) == intensity


def test_throughput_at_fixed_memory_goes_as_one_over_g_and_bits() -> None:
    """G x bits is one budget: 16-bit G = 1, 8-bit G = 2 and 4-bit G = 4 read the same bytes."""
    reads = {decode_bound(job_13b(num_kv_heads=g, kv_bits=bits)).kv_read_bytes for g, bits in ((1, 16), (2, 8), (4, 4))}
    assert reads == {40 * GIB}


def test_a_model_with_an_exact_count_needs_no_dimensions() -> None:
    bare = replace(FALCON_7B, dimensions=replace(FALCON_7B.dimensions, vocab_size=None, intermediate_size=None))
    found = plan(ServingJob(model=bare, batch_size=1, context_length=2048, parameter_count=FALCON_COUNT))
    assert found.weight_bytes == 13_843_441_408
    assert found.workspace_bytes is None
    assert found.runtime_bytes == 2_000_000_000
