"""Interleaved rounds with planted clocks and kernels: their order, their end, and what the figures rest on."""

from dataclasses import replace

import pytest
import torch

from core.decode.inputs import Inputs, make_inputs, offsets, part_of
from core.decode.kernel import Kernel, reference
from core.decode.measured_roofline import _fastest, _long_enough, exponential_turn, most_read, with_rounds
from core.decode.plan import DecodeJob
from core.decode.record_files import from_json, to_json
from core.decode.records import Roofline, mark_best
from core.decode.rounds import finalists, interleave, rule_in_words
from core.decode.run import Run, run_quietly
from tests.core.decode.records import result, run_record

pytestmark = pytest.mark.torch

START = Roofline(
    bytes_per_second=30e9, flops_per_second=400e9, exp_per_second=1e9, read_by="sum", product_by="256",
    start_reads=(28e9, 30e9, 32e9), start_products=(390e9, 400e9, 410e9),
)  # fmt: skip
JOB = DecodeJob(
    num_query_heads=8, kv_heads=(8, 2, 1), head_dim=32, context_length=100, batch_size=2, dtype="float32", device="cpu",
    seed=5, quick=True,
)  # fmt: skip


class Clock:
    """A clock that only the turns move."""

    def __init__(self) -> None:
        self.now, self.calls = 0.0, []

    def turn(self, name, seconds):
        def call() -> float:
            self.now += seconds
            self.calls.append(name)
            return seconds

        return call


def taken(clock: Clock, turns, **changes):
    limits = {"least": 2, "most": 4, "seconds": 100.0, "deadline": 1000.0, "clock": lambda: clock.now}
    return interleave(turns, **{**limits, **changes})


def test_a_round_gives_every_turn_one_call_in_the_same_order():
    clock = Clock()
    found = taken(clock, {n: clock.turn(n, 1.0) for n in ("read", 40, 1)}, most=3)
    assert clock.calls == ["read", 40, 1] * 3
    assert found.rounds == 3
    assert found.samples == {"read": (1.0,) * 3, 40: (1.0,) * 3, 1: (1.0,) * 3}


@pytest.mark.parametrize(
    ("limits", "rounds"),
    [
        ({"seconds": 0}, 2),  # the least, whatever the time
        ({"seconds": 30, "most": 9}, 3),  # rounds of 10 s begin at 0, 10 and 20
        ({"deadline": 10}, 1),  # the second would begin at the deadline
        ({"deadline": 0}, 0),
    ],
)
def test_rounds_end_by_time_and_never_begin_past_the_deadline(limits, rounds):
    clock = Clock()
    assert taken(clock, {8: clock.turn(8, 4.0), 1: clock.turn(1, 6.0)}, **limits).rounds == rounds


def test_drift_meets_every_g_alike():
    clock, pace = Clock(), [1.0, 1.0, 3.0, 3.0]  # the machine slows to a third half way

    def turn(seconds):
        return lambda: seconds * pace[len(clock.calls) // 2] + (clock.calls.append(0) or 0.0)

    found = taken(clock, {5: turn(1.1), 4: turn(1.0)})
    assert all(a > b for a, b in zip(found.samples[5], found.samples[4], strict=True))


def test_a_turn_that_fails_is_given_up_and_the_others_go_on():
    clock, broken = Clock(), iter([0.5])
    found = taken(clock, {8: lambda: next(broken), 1: clock.turn(1, 1.0)})
    assert found.samples == {1: (1.0,) * 4}
    assert isinstance(found.failures[8], StopIteration)


def test_the_rates_of_a_run_are_medians_over_start_and_rounds_together():
    # reads 20, 20, 20, 28, 30, 32: between 20 and 28; products 300, 390, 400, 410: between 390 and 400
    rates = with_rounds(START, (20e9, 20e9, 20e9), (300e9,))
    assert (rates.bytes_per_second, rates.flops_per_second) == (24e9, 395e9)
    assert (rates.start_reads, rates.round_reads) == (START.start_reads, (20e9,) * 3)
    assert with_rounds(START, (), ()) == START


def test_the_limits_of_a_disturbed_run_are_the_highest_rates_that_it_saw():
    rates = with_rounds(START, (20e9, 33e9, 20e9), (300e9,), disturbed=True)
    assert (rates.bytes_per_second, rates.flops_per_second) == (33e9, 410e9)
    said = rule_in_words(9, {}, disturbed=True)
    assert said.endswith("in the rounds together, since this machine was not quiet.")
    assert "The three rates are the highest of the samples" in said


def test_the_figure_is_the_median_of_the_rounds_and_both_sets_of_samples_are_kept():
    searched, other = result(8, "a", 4.0), result(8, "b", 5.0)
    again = replace(searched, round_samples=(0.006, 0.007, 0.009))
    assert again.median_seconds == 0.007
    assert again.samples == searched.samples
    assert [r.best for r in mark_best((again, other))] == [True, False]  # other seconds, no contest
    record = run_record(results=mark_best((again, other)), rule="A rule.", roofline=with_rounds(START, (1.0,), ()))
    assert from_json(to_json(record)) == record


def test_a_smaller_g_reads_the_beginning_of_the_pool():
    pool = make_inputs(JOB, 8, torch.device("cpu"), torch.Generator().manual_seed(1))
    part = part_of(pool, 2)
    assert part.keys.shape == (2, 2, 100, 32)
    assert part.keys.data_ptr() == pool.keys.data_ptr()
    assert torch.equal(part.values.reshape(-1), pool.values.reshape(-1)[: 2 * 2 * 100 * 32])


def test_a_part_further_on_in_the_pool():
    pool = make_inputs(JOB, 8, torch.device("cpu"), torch.Generator().manual_seed(1))
    part = part_of(pool, 2, heads_before=1)
    assert torch.equal(part.keys.reshape(-1), pool.keys.reshape(-1)[6_400 : 6_400 + 12_800])  # 2 x 1 x 100 x 32 before


def test_small_parts_lie_apart_as_far_as_the_pool_reaches():
    # 1 + 2 + 4 + 5 + 8 + 10 = 30 heads fit one after the other; 20 more would end at 50 of 40
    assert offsets([40, 20, 10, 8, 5, 4, 2, 1]) == {1: 0, 2: 1, 4: 3, 5: 7, 8: 12, 10: 20, 20: 0, 40: 0}
    assert offsets([8]) == {8: 0}


def test_the_two_fastest_correct_kernels_of_each_g_go_on_unless_one_is_far_behind():
    wrong = replace(result(8, "wrong", 1.0), status="refused")
    of_eight = tuple(result(8, name, ms) for name, ms in (("c", 5.0), ("a", 4.0), ("b", 4.5)))
    found = finalists((result(1, "far", 9.0), result(1, "near", 4.0), wrong, *of_eight))
    assert [[(r.kv_heads, r.kernel) for r in ranked] for ranked in found] == [[(8, "a"), (8, "b")], [(1, "near")]]


def test_a_kernel_that_the_search_caught_in_a_slow_moment_can_still_be_the_best():
    first, second = result(8, "first", 4.0), result(8, "second", 5.0)
    timed = (replace(first, round_samples=(0.004,) * 3), replace(second, round_samples=(0.003,) * 3))
    assert [r.best for r in mark_best(timed)] == [False, True]


def test_a_run_times_its_best_again_and_says_so(monkeypatch):
    calls = []

    def planted(inputs: Inputs):
        g = inputs.sizes[1]
        return lambda: calls.append(g) or reference(inputs)

    monkeypatch.setattr(
        "core.decode.run.all_kernels", lambda _type: (Kernel(name="planted", summary="", prepare=planted),)
    )
    monkeypatch.setattr("core.decode.run.measure_roofline", lambda *_: START)
    monkeypatch.setattr("core.decode.rounds.ROUNDS", (3, 3))
    monkeypatch.setattr("core.decode.rounds.read_turn", lambda *_: lambda: 10e9)
    monkeypatch.setattr("core.decode.rounds.product_turn", lambda *_: lambda: 100e9)
    monkeypatch.setattr(Run, "disturbed", lambda _run: False)
    record = run_quietly(Run(JOB))
    assert calls[-12:] == [8, 2, 1] * 4  # once each to warm up, then three rounds
    assert [(len(r.round_samples), r.best) for r in record.results] == [(3, True)] * 3
    assert all(r.samples for r in record.results)
    assert record.roofline.bytes_per_second == 19e9  # 10, 10, 10, 28, 30, 32
    assert record.results[0].memory_seconds == pytest.approx(2 * 8 * 32 * 4 * 200 / 19e9)
    assert "timed again in 3 interleaved rounds" in record.rule


@pytest.mark.parametrize(("disturbed", "rate"), [(False, 3e9), (True, 5e9)])
def test_exponentials_are_measured_in_the_rounds_too(disturbed, rate, monkeypatch):
    start = replace(START, exp_by="exp", start_exps=(1e9, 2e9, 3e9))
    monkeypatch.setattr("core.decode.run.measure_roofline", lambda *_: start)
    monkeypatch.setattr("core.decode.rounds.ROUNDS", (2, 2))
    for name, given in (("read", 10e9), ("product", 100e9), ("exponential", 5e9)):
        monkeypatch.setattr(f"core.decode.rounds.{name}_turn", lambda *_, given=given: lambda: given)
    monkeypatch.setattr(Run, "disturbed", lambda _run: disturbed)
    record = run_quietly(Run(replace(JOB, kv_heads=(2,), kernels=("packed_rows_matmul",))))
    assert ("since this machine was not quiet" in record.rule) is disturbed
    assert record.roofline.round_exps == (5e9, 5e9)
    assert record.roofline.exp_per_second == rate  # of 1, 2, 3, 5, 5
    assert record.results[0].exponential_seconds == pytest.approx(8 * 200 / rate)  # H x tokens of both sequences
    assert from_json(to_json(record)) == record


def test_the_exponentials_of_the_start_are_those_of_the_rounds():
    assert exponential_turn(torch.device("cpu"), "softmax")() > 0


def test_a_sample_lasts_long_enough_that_starting_threads_is_no_part_of_it(monkeypatch):
    calls = []
    monkeypatch.setattr("core.decode.measured_roofline.time_once", lambda _device, call: call() or 0.001)
    (_, amount, call), seconds = _long_enough(torch.device("cpu"), ("sum", 7.0, lambda: calls.append(1)))
    assert (amount, seconds, len(calls)) == (42.0, 0.001, 2)  # 6 calls of 1 ms; one warmed up, one was timed
    call()
    assert len(calls) == 8


def test_both_finalists_of_a_g_have_figures_and_a_read_lies_between_them(monkeypatch):
    calls: list[str] = []

    def planted(name):
        return Kernel(name=name, summary="", prepare=lambda inputs: lambda: calls.append(name) or reference(inputs))

    monkeypatch.setattr("core.decode.run.all_kernels", lambda _type: (planted("a"), planted("b")))
    monkeypatch.setattr("core.decode.run.measure_roofline", lambda *_: START)
    monkeypatch.setattr("core.decode.rounds.ROUNDS", (3, 3))
    monkeypatch.setattr("core.decode.rounds.WITHIN", float("inf"))  # planted kernels differ by chance alone
    monkeypatch.setattr("core.decode.rounds.read_turn", lambda *_: lambda: calls.append("read") or 10e9)
    monkeypatch.setattr("core.decode.rounds.product_turn", lambda *_: lambda: 100e9)
    record = run_quietly(Run(replace(JOB, kv_heads=(2,))))
    first, second = calls[-3], calls[-1]
    assert calls[-12:] == ["read", first, "read", second] * 3
    assert {first, second} == {"a", "b"}
    assert [len(r.round_samples) for r in record.results] == [3, 3]
    assert [r.best for r in record.results].count(True) == 1
    assert record.roofline.round_reads == (10e9,) * 6


def test_rounds_that_fail_leave_what_the_search_found(monkeypatch):
    def full(*_arguments):
        raise MemoryError("no room")

    monkeypatch.setattr("core.decode.run.measure_roofline", lambda *_: START)
    monkeypatch.setattr("core.decode.rounds.read_turn", full)
    record = run_quietly(Run(replace(JOB, kernels=("packed_rows_matmul",))))
    assert record.rule.startswith("No interleaved rounds: ran out of memory: no room")
    assert [r.best for r in record.results] == [True] * 3
    assert all(r.median_seconds for r in record.results)


def test_a_kernel_without_room_for_its_layout_is_left_out_in_words():
    assert rule_in_words(9, {(40, "host_kernel"): "it needs 4.0 GB beside the others"}).endswith(
        " host_kernel at G = 40 was timed by itself: it needs 4.0 GB beside the others."
    )
    assert rule_in_words(0, {}).startswith("The time limit left none for interleaved rounds")


def test_the_rates_of_the_start_are_sampled_as_long_as_the_host_says(monkeypatch):
    asked = []
    monkeypatch.setenv("HEADROOM_SAMPLING", "0.5")
    monkeypatch.setattr(
        "core.decode.measured_roofline.time_calls", lambda *_, seconds, **__: asked.append(seconds) or (0.5, 0.25, 1.0)
    )
    monkeypatch.setattr("core.decode.measured_roofline.time_once", lambda *_: 1.0)
    assert _fastest(torch.device("cpu"), [("sum", 4.0, lambda: None)]) == ((8.0, 16.0, 4.0), "sum")
    assert asked == [0.075]  # half of 0.15 s


@pytest.mark.parametrize(
    ("sampling", "cache", "size"), [("0.06", 260 * 2**20, 2**20 * 1040), ("1", None, 2**29), ("0.05", 2**28, 2**26)]
)
def test_reads_are_of_a_buffer_far_beyond_the_caches_but_in_a_trial(monkeypatch, sampling, cache, size):
    monkeypatch.setenv("HEADROOM_SAMPLING", sampling)
    monkeypatch.setattr("core.decode.measured_roofline.cache_bytes", lambda: cache)
    assert most_read(torch.device("cpu")) == size


@pytest.mark.parametrize(
    ("sampling", "cache", "memory", "size"),
    [
        ("0.06", 260 * 2**20, 2**40, 520 * 2**20),
        ("1", 260 * 2**20, 2**31, 2**28),  # an eighth of the memory is that much
        ("1", 0, 2**40, 2**28),
        ("0.05", 260 * 2**20, 2**40, 2**26),
    ],
)
def test_a_copy_returns_after_twice_the_cache_but_in_a_trial(monkeypatch, sampling, cache, memory, size):
    monkeypatch.setenv("HEADROOM_SAMPLING", sampling)
    run = Run(JOB)
    run.cache_bytes, run.limit_bytes = cache, memory
    assert run._cold_bytes() == size


@pytest.mark.parametrize(("at_start", "in_rounds", "fits"), [(1.5e12, 1.2e12, False), (1.2e12, 1.5e12, True)])
def test_whether_a_cache_is_found_in_the_processor_is_told_by_the_rates_of_the_whole_run(
    monkeypatch, at_start, in_rounds, fits
):
    # 2 x 64 x 2 x 4,096 = 1,048,576 bytes at 20 GB/s are 52 us; 4 x 71 x 64 x 4,096 FLOPs at 1.5 TFLOP/s 50, at 1.2 62
    start = replace(START, bytes_per_second=20e9, flops_per_second=at_start, start_reads=(), start_products=())
    monkeypatch.setattr("core.decode.run.measure_roofline", lambda *_: start)
    monkeypatch.setattr(Run, "disturbed", lambda _run: False)
    monkeypatch.setattr("core.decode.rounds.ROUNDS", (1, 1))
    monkeypatch.setattr("core.decode.rounds.read_turn", lambda *_: lambda: 20e9)
    monkeypatch.setattr("core.decode.rounds.product_turn", lambda *_: lambda: in_rounds)
    shape = {"num_query_heads": 71, "kv_heads": (1,), "head_dim": 64, "context_length": 4096, "batch_size": 1}
    run = Run(replace(JOB, dtype="bfloat16", kernels=("packed_rows_matmul",), **shape))
    run.cache_bytes = 32 * 2**20
    events = list(run.execute())
    searched = next(e for e in events if e["event"] == "result")
    assert searched["fits_cache"] is not fits
    assert run.results[0].round_samples
    assert run.results[0].fits_cache is fits


@pytest.mark.parametrize(
    ("kernel", "dtype", "extra"),
    [
        ("repeat_kv", "float32", 2 * 2 * 2 * 100 * 32 * 4 * 4),  # keys and values of 8 heads in place of 2
        ("cast_packed_rows", "float8_e4m3fn", 2 * 2 * 100 * 32 * (2 + 2)),  # both in 16 bits
        ("cast_packed_rows", "int8", 2 * 2 * 100 * 32 * (4 + 4 + 4)),  # both in float32, and the values before scales
        ("cast_packed_rows", "int4", 2 * 2 * 100 * 32 * (4 + 4 + 4 + 1)),  # and their codes, one to a byte
    ],
)
def test_a_kernel_that_copies_the_cache_is_left_out_where_the_run_may_not_take_as_much(kernel, dtype, extra):
    """2 sequences, 2 KV heads, 100 tokens, heads of 32."""
    run = Run(replace(JOB, kv_heads=(2,), dtype=dtype, kernels=(kernel,)))
    drawn = make_inputs(run.job, 2, run.device, run.generator(2))
    caches = drawn.cache_bytes
    (known,) = run.kernels
    # and scratch: of 8 query heads and 2 sequences three float32 of each of 100 tokens, four of each of 32 outputs
    extra += 2 * 8 * (12 * 100 + 16 * 32)
    assert known.extra_bytes(drawn) == extra
    run.limit_bytes = caches + extra
    run._check_room(known, [drawn])
    run.limit_bytes -= 1
    found = run._measure_kernel(known, 2, [drawn], reference(drawn), START, left_out="")
    assert found.status == "unavailable"
    assert found.detail.startswith("holds ")
    assert found.detail.endswith("that this run may take")
