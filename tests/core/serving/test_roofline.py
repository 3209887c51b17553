"""The decode bound: which side binds, copies under tensor parallelism, unknown figures, and price."""

from typing import Any

import pytest

from core.errors import SizingError
from core.hardware.accelerators import Accelerator
from core.serving.job import ServingJob
from core.serving.roofline import attention_intensity, cost_per_million_tokens, decode_bound
from core.serving.weights import ParameterCount
from tests.core.serving.sizing_models import HYBRID, LLAMA_2_13B, LLAMA_2_70B, MISTRAL_7B, MLA, SHARED

SOME_COUNT = ParameterCount(total=1_000_000_000, source="typed", sentence="Typed in.")


def job(**changes: Any) -> ServingJob:
    return ServingJob(**({"model": LLAMA_2_13B, "batch_size": 32, "context_length": 65_536} | changes))


def test_compute_binds_at_large_batch_and_short_context() -> None:
    """Batch 4,096 of one token: 2 x (10,971,141,120 - 163,840,000) x 4,096 FLOPs / 989.4 TFLOP/s = 89.5 ms against
    6.5 ms of weights. The embedding is looked up, not multiplied."""
    bound = decode_bound(job(num_kv_heads=1, batch_size=4096, context_length=1))
    assert bound.binds == "compute"
    assert bound.weight_flops == 2 * (10_971_141_120 - 163_840_000) * 4096
    assert bound.step_seconds == bound.compute_seconds == pytest.approx(89.5e-3, abs=0.05e-3)


def test_windows_cap_what_is_read() -> None:
    """4,096 tokens of 131,072 bytes, whatever the context."""
    bound = decode_bound(ServingJob(model=MISTRAL_7B, batch_size=1, context_length=32_768))
    assert bound.kv_read_bytes == 4096 * 131_072


def test_each_rank_reads_its_own_copy() -> None:
    """Llama-2 70B at TP = 8: G = 1, 4 and 8 read the same on every rank, 40,960 bytes per token; G = 16 twice that."""
    reads = {}
    for kv_heads in (1, 4, 8, 16):
        at = ServingJob(
            model=LLAMA_2_70B, num_kv_heads=kv_heads, batch_size=1, context_length=4096, num_accelerators=8,
            tensor_parallel=8,
        )  # fmt: skip
        reads[kv_heads] = decode_bound(at).kv_read_bytes // 4096
    assert reads == {1: 40_960, 4: 40_960, 8: 40_960, 16: 81_920}


def test_copies_lower_the_intensity() -> None:
    """G = 1 over 8 ranks: each reads a whole head for an eighth of the query heads, so 64 falls to 8."""
    at = ServingJob(model=LLAMA_2_70B, num_kv_heads=1, batch_size=1, context_length=4096)
    assert decode_bound(at).attention_intensity == 64
    assert decode_bound(at.where(num_accelerators=8, tensor_parallel=8)).attention_intensity == 8


@pytest.mark.parametrize("kv_heads", [1, 8, 40])
@pytest.mark.parametrize("kv_bits", [16, 8, 4])
@pytest.mark.parametrize("batch_size", [1, 32])
def test_intensity_depends_on_heads_and_bytes_alone(kv_heads: int, kv_bits: int, batch_size: int) -> None:
    bound = decode_bound(job(num_kv_heads=kv_heads, kv_bits=kv_bits, batch_size=batch_size))
    assert bound.attention_intensity == attention_intensity(40, kv_heads, kv_bits / 8)


def test_latent_attention_does_about_twice_its_heads_per_byte() -> None:
    """DeepSeek-V3 in bf16: 2 x 128 x (576 + 512) FLOPs over 576 x 2 bytes = 241.8, about 2 x 128 (arXiv 2505.21487)."""
    bound = decode_bound(ServingJob(model=MLA, batch_size=1, context_length=1000, parameter_count=SOME_COUNT))
    assert bound.attention_intensity == pytest.approx(241.8, abs=0.05)
    assert bound.caveats == (
        "Every expert counts as read and computed; a step that routes to fewer can be faster than this.",
    )


def test_a_shared_cache_is_read_by_each_reader() -> None:
    """Three readers of 256 elements of 2 bytes, 100 tokens."""
    bound = decode_bound(ServingJob(model=SHARED, batch_size=1, context_length=100, parameter_count=SOME_COUNT))
    assert bound.kv_read_bytes == 3 * 256 * 2 * 100


def test_recurrent_state_is_read_too() -> None:
    bound = decode_bound(ServingJob(model=HYBRID, batch_size=2, context_length=10, parameter_count=SOME_COUNT))
    assert bound.state_read_bytes == 3 * 4096 * 2 * 2
    assert bound.read_bytes == bound.weight_read_bytes + bound.kv_read_bytes + bound.state_read_bytes


def test_copies_of_the_model_decode_side_by_side() -> None:
    """Two copies with 16 sequences each take the step of 16, and give 32 tokens."""
    two = decode_bound(job(num_kv_heads=1, num_accelerators=2))
    alone = decode_bound(job(num_kv_heads=1, batch_size=16))
    assert two.step_seconds == alone.step_seconds
    assert two.tokens_per_second == pytest.approx(2 * (alone.tokens_per_second or 0))


def test_unknown_figures_give_no_bound() -> None:
    blank = Accelerator(id="mine", name="Mine", memory_nominal_bytes=80_000_000_000)
    bound = decode_bound(job(accelerator=blank))
    assert (bound.step_seconds, bound.binds, bound.tokens_per_second, bound.tokens_per_second_per_user) == (None,) * 4
    assert bound.ridge_flops_per_byte is None
    assert cost_per_million_tokens(bound, 2.0, 1) is None
    assert bound.caveats == (
        "The bandwidth of Mine is unknown: no bound on the step.",
        "The BF16 rate of Mine is unknown: only the memory side is bounded.",
    )


def test_without_a_rate_memory_alone_bounds() -> None:
    bound = decode_bound(job(accelerator="m3-ultra"))
    assert bound.binds is None
    assert bound.step_seconds == bound.memory_seconds


def test_price_of_a_million_tokens() -> None:
    """1,561.45 tokens/s at 3.60 an hour: 3.60 / 3,600 / 1,561.45 x 10^6 = 0.6404; eight GPUs cost eight times that."""
    bound = decode_bound(job(num_kv_heads=1, freed_parameters="spent"))
    assert cost_per_million_tokens(bound, 3.60, 1) == pytest.approx(0.6404, abs=0.0001)
    assert cost_per_million_tokens(bound, 3.60, 8) == pytest.approx(5.1234, abs=0.001)
    assert cost_per_million_tokens(bound, 0, 1) == 0


@pytest.mark.parametrize("price", [-1, float("nan"), float("inf"), True, "2", 1e12])
def test_a_price_is_a_number(price: float) -> None:
    with pytest.raises(SizingError, match=r"price per GPU-hour is .*: give a number from 0"):
        cost_per_million_tokens(decode_bound(job()), price, 1)


def test_arithmetic_on_narrow_weights_is_no_bound_of_every_engine() -> None:
    """512 short requests compute longer than they read: with weights of 8 bits an FP8 engine computes faster."""
    short = ServingJob(model=LLAMA_2_13B, num_kv_heads=8, batch_size=512, context_length=128)
    said = "Arithmetic at the dense BF16 rate binds: an engine that multiplies weights of 8 bits or fewer as they are"
    wide, narrow = decode_bound(short), decode_bound(short.where(weight_bits=8))
    assert (wide.binds, narrow.binds) == ("compute", "compute")
    assert not any(caveat.startswith(said) for caveat in wide.caveats)
    assert narrow.caveats[-1].startswith(said)
    one = decode_bound(short.where(weight_bits=8, batch_size=1))
    assert one.binds == "memory"
    assert not any(caveat.startswith(said) for caveat in one.caveats)
