"""What a run will do: bytes and FLOPs by hand, scaling to memory, and refusals in words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.decode.plan import (
    DecodeJob,
    InvalidJob,
    StepShape,
    bound,
    copies_for_cold_reads,
    fit_to_memory,
    needed_bytes,
    step_copies,
    step_memory_bytes,
    step_read_bytes,
)


def job(**changes: object) -> DecodeJob:
    fields = {"num_query_heads": 40, "kv_heads": (40, 8, 1), "head_dim": 128, "context_length": 16384, "batch_size": 1}
    return DecodeJob(**{**fields, **changes})


def test_the_two_numbers_of_the_headline_shape():
    # 2 x 40 x 128 x 2 bytes x 65,536 x 32 tokens = 42,949,672,960 (exactly 40 GiB); 4 x 40 x 128 x 2,097,152 FLOPs
    headline = job(context_length=65_536, batch_size=32)
    assert headline.kv_read_bytes(40) == 42_949_672_960
    assert headline.kv_read_bytes(1) == 1_073_741_824
    assert headline.attention_flops == 42_949_672_960
    assert headline.exponentials == 83_886_080


def test_a_ragged_batch_reads_its_own_tokens_and_stores_the_longest():
    ragged = job(batch_size=3, lengths=(100, 1000, 17), context_length=1000)
    assert ragged.tokens == 1117
    assert ragged.kv_read_bytes(1) == 2 * 128 * 2 * 1117
    assert ragged.stored_bytes(1) == 2 * 128 * 2 * 1008 * 3  # 1,000 rounded up to blocks of 16


def test_the_bound_is_the_larger_of_bytes_and_flops():
    # 8,388,608 bytes at 42 GB/s are 0.2 ms, 335,544,320 FLOPs at 419 GFLOP/s are 0.8 ms
    limits = bound(job(), 1, bytes_per_second=41.94304e9, flops_per_second=419.4304e9, exp_per_second=6.5536e9)
    assert limits.memory_seconds == pytest.approx(0.0002)
    assert limits.matmul_seconds == pytest.approx(0.0008)
    assert limits.exponential_seconds == pytest.approx(0.0001)
    assert (limits.roofline_seconds, limits.limit) == (limits.matmul_seconds, "arithmetic")


def test_a_job_that_fits_is_left_as_it_is():
    fitted = fit_to_memory(job(), 10**11)
    assert (fitted.scale, fitted.sentence) == (1, "")
    assert fitted.measured == fitted.asked


@pytest.mark.parametrize("lengths", [(100, 131_072), (131_072, 100)])
def test_a_ragged_batch_keeps_its_longest_in_whatever_order(lengths):
    """At 40 heads of 128 in 16 bits 16,384 tokens fit 2 GB: three halvings of the longest, and no 100 of the short."""
    fitted = fit_to_memory(job(kv_heads=(40,), batch_size=2, context_length=131_072, lengths=lengths), 2 * 10**9)
    assert fitted.measured.lengths == (16_384,)
    assert fitted.scale == pytest.approx((131_072 + 100) / 16_384)


def test_the_longest_stays_beside_what_brings_the_mean_nearest():
    # asked 37,385 / 4 = 9,346; beside 16,384 the sequence of 1 gives 8,193, that of 9,000 gives 12,692
    asked = job(kv_heads=(40,), batch_size=4, context_length=16_384, lengths=(1, 16_384, 9_000, 12_000))
    assert fit_to_memory(asked, 2_500_000_000).measured.lengths == (16_384, 1)


@pytest.mark.parametrize("turned", [1, -1])
def test_a_quarter_of_many_sequences_has_their_mean(turned):
    # 1,000 to 64,000 in steps of 1,000: a mean of 32,500, where every other from the longest down would have 34,000
    asked = job(kv_heads=(1,), batch_size=64, context_length=64_000, lengths=tuple(range(1000, 65_000, 1000))[::turned])
    measured = fit_to_memory(asked, 2 * 10**9).measured
    assert (measured.batch_size, max(measured.lengths)) == (16, 64_000)
    assert abs(measured.tokens / 16 - 32_500) < 500


def test_the_batch_is_halved_before_the_context():
    fitted = fit_to_memory(job(context_length=65_536, batch_size=32), 12 * 10**9)
    assert (fitted.measured.batch_size, fitted.measured.context_length) == (2, 65_536)
    assert fitted.scale == 16
    assert fitted.sentence == (
        "Scaled down to fit: batch 2 × 65,536 tokens instead of 32 × 65,536; "
        "times for the job itself are 16.0 times longer."
    )


def test_a_gpu_is_asked_for_one_cache_and_a_cpu_for_two():
    # cache 42,949,672,960; one sequence in float32 8 x 128 x 65,536 x 40 = 2,684,354,560; scores 8 x 40 x 65,536 x 32
    # = 671,088,640; then the bandwidth's 4 GiB on a GPU, and a second cache and 256 MiB on a CPU
    headline = job(context_length=65_536, batch_size=32)
    on_gpu = fit_to_memory(headline, 77 * 10**9, "cuda")  # 0.9 of an H100's 81,559 MiB
    assert (on_gpu.scale, on_gpu.needed_bytes) == (1, 46_305_116_160 + 4 * 2**30)
    on_cpu = fit_to_memory(headline, 77 * 10**9)
    assert (on_cpu.scale, needed_bytes(headline)) == (2, 46_305_116_160 + 42_949_672_960 + 2**28)


def test_a_cache_of_fewer_bits_is_planned_with_what_it_is_laid_out_from():
    # 2 x 40 x 128 x 16,384 x 64 elements in 18 bytes for 32: 6,039,797,760 bytes stored; 4.1 times that laid out;
    # 8 x 128 x 16,384 x 40 in float32; scores 8 x 40 x 16,384 x 64; 256 MiB
    narrow = job(batch_size=64, dtype="int4")
    assert needed_bytes(narrow) == 6_039_797_760 + 24_763_170_816 + 671_088_640 + 335_544_320 + 2**28
    assert fit_to_memory(narrow, 2 * 10**9).measured.batch_size == 1  # 2 would need 2,072,149,197 bytes


def test_a_gpu_held_to_two_gigabytes_still_measures():
    # 0.34 GB of cache, 0.67 GB of one sequence in float32 and 0.67 GB to read, a third of the limit: 1.68 GB
    assert fit_to_memory(job(), 2 * 10**9, "cuda").scale == 1


def test_too_little_memory_is_said():
    with pytest.raises(InvalidJob, match=r"^0\.01 GB of memory are free, and the smallest run needs 0\.8"):
        fit_to_memory(job(), 10**7)


@given(
    batch=st.integers(1, 64), context=st.integers(1, 100_000), ragged=st.booleans(), limit=st.integers(10**9, 10**11)
)
def test_whatever_is_scaled_fits_and_keeps_its_shape(batch: int, context: int, ragged: bool, limit: int):
    lengths = tuple(1 + (i * 7919) % context for i in range(batch)) if ragged else ()
    asked = job(batch_size=batch, context_length=context, lengths=lengths)
    fitted = fit_to_memory(asked, limit)
    assert needed_bytes(fitted.measured) <= limit
    assert fitted.scale >= 1
    assert len(fitted.measured.sequence_lengths) == fitted.measured.batch_size


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kv_heads": (7,)}, "G = 7 does not divide 40 query heads: choose a divisor."),
        ({"kv_heads": (0,)}, "G = 0 does not divide 40 query heads"),
        ({"kv_heads": ()}, "no G given"),
        ({"kv_heads": (8, 8)}, "G is given twice in 8, 8"),
        ({"num_query_heads": 0}, "query heads is 0: give 1 to 1,024."),
        ({"head_dim": 100}, "head_dim is 100: give a multiple of 16"),
        ({"context_length": 0}, "context is 0 tokens"),
        ({"batch_size": 0}, "batch is 0"),
        ({"batch_size": 2, "lengths": (3,)}, "1 lengths for a batch of 2"),
        ({"dtype": "int2"}, "dtype is 'int2'"),
        ({"device": "tpu"}, "device is 'tpu'"),
        ({"seconds_limit": 0}, "time limit is 0 s"),
        ({"seconds_limit": 1e15}, "time limit is 1,000,000,000,000,000.0 s: give more than 0 and at most 86,400"),
    ],
)
def test_a_job_that_cannot_be_says_why(changes, message):
    with pytest.raises(InvalidJob) as refused:
        job(**changes)
    assert message in str(refused.value)


def test_small_caches_are_rotated_until_they_are_cold():
    assert copies_for_cold_reads(8_388_608) == 32  # 256 MiB / 8 MiB
    assert copies_for_cold_reads(10**9) == 1
    assert copies_for_cold_reads(134_217_728, 2 * 260 * 2**20) == 5  # 520 MiB / 128 MiB = 4.06
    assert copies_for_cold_reads(1) == 128


SHAPE = StepShape(num_layers=40, hidden_size=5120, intermediate_size=13_824, vocab_size=32_000)


def test_a_step_holds_a_second_cache_only_where_its_kernel_has_a_layout_of_its_own():
    # layer at G = 40: 2 x 5,120 x (160 x 128 + 3 x 13,824) = 634,388,480 bytes of weights and 335,544,320 of cache;
    # embedding and head: 2 x 2 x 32,000 x 5,120 = 655,360,000. At G = 8 a cache holds 67,108,864, at G = 1 8,388,608
    natural = 634_388_480 + 335_544_320 + 655_360_000
    assert step_memory_bytes(job(), SHAPE) == natural
    assert step_memory_bytes(job(), SHAPE, own_layouts=(8, 1)) == natural + 67_108_864 + 8_388_608
    twice = 2 * (natural - 655_360_000 + 8_388_608) + 655_360_000
    assert step_memory_bytes(job(), SHAPE, own_layouts=(1,), copies=2) == twice


def test_the_headline_step_fits_an_h100_where_caches_are_read_as_they_lie():
    headline = job(context_length=65_536, batch_size=32, kv_heads=(40, 20, 10, 8, 5, 4, 2, 1))
    assert step_memory_bytes(headline, SHAPE) < 77 * 10**9 < step_memory_bytes(headline, SHAPE, headline.kv_heads)


def test_a_step_reads_every_layer_and_the_head():
    # at G = 1: 40 x (2 x 5,120 x (82 x 128 + 41,472) + 8,388,608) + 2 x 5,120 x (32,000 + 1)
    assert step_read_bytes(job(), SHAPE, 1) == 40 * (532_152_320 + 8_388_608) + 327_690_240


def test_small_layers_are_rotated_but_never_more_than_the_model_has():
    assert step_copies(job(), SHAPE) == 1
    small = StepShape(num_layers=3, hidden_size=64, intermediate_size=160, vocab_size=100)
    assert step_copies(job(context_length=16), small) == 3


@pytest.mark.parametrize("place", range(4))
def test_a_step_without_a_width_is_refused_before_it_runs(place):
    widths = [2, 64, 64, 64]
    widths[place] = 0
    names = ("num_layers", "hidden_size", "intermediate_size", "vocab_size")
    with pytest.raises(InvalidJob, match=f"{names[place]} of the whole step is 0: give at least 1"):
        StepShape(**dict(zip(names, widths, strict=True)))
