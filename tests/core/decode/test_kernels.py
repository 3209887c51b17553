"""Every kernel of the CPU against float32 arithmetic written out per head; a planted wrong one is refused."""

import math
from collections.abc import Iterator
from dataclasses import replace
from functools import cache

import pytest
import torch

from core.decode.inputs import Inputs, make_inputs
from core.decode.kernel import Call, Kernel, Unavailable, reference, relative_error
from core.decode.kernels import all_kernels
from core.decode.plan import ERROR_LIMITS, DecodeJob
from core.decode.records import Roofline
from core.decode.rounds import Figures
from core.decode.run import Run, run_quietly

pytestmark = pytest.mark.torch

FAST = [k for k in all_kernels("cpu") if not k.slow_to_build]
ROOFLINE = Roofline(bytes_per_second=1e9, flops_per_second=1e9, exp_per_second=1e9)


def job(**changes: object) -> DecodeJob:
    fields = {
        "num_query_heads": 8, "kv_heads": (2,), "head_dim": 64, "context_length": 300, "batch_size": 3,
        "dtype": "float32", "device": "cpu", "seed": 7,
    }  # fmt: skip
    return DecodeJob(**{**fields, **changes})


def inputs_of(job: DecodeJob, g: int) -> Inputs:
    return make_inputs(job, g, torch.device("cpu"), torch.Generator().manual_seed(g))


@cache
def drawn(dtype: str, lengths: tuple[int, ...], g: int) -> tuple[Inputs, torch.Tensor]:
    """One draw and its reference for all kernels, none of which writes into its inputs."""
    inputs = inputs_of(job(dtype=dtype, lengths=lengths), g)
    return inputs, reference(inputs)


def prepared(kernel: Kernel, inputs: Inputs) -> Call | None:
    """The call, or None where the kernel has a reason not to take these inputs; plain matrix products always do."""
    try:
        return kernel.prepare(inputs)
    except Unavailable as reason:
        if not str(reason) or (kernel.name == "packed_rows_matmul" and inputs.keys.dtype.itemsize > 1):
            raise
        return None


def by_hand(inputs: Inputs) -> torch.Tensor:
    """Head by head: query head h reads KV head h // (H / G) over its own sequence's live keys."""
    out = torch.empty(inputs.query.shape, dtype=torch.float64)
    for b in range(out.shape[0]):
        for h in range(out.shape[1]):
            g, live = h // inputs.sizes[2], int(inputs.lengths[b])
            keys, values = inputs.keys[b, g, :live].double(), inputs.values[b, g, :live].double()
            weights = torch.exp(keys @ inputs.query[b, h].double() / math.sqrt(out.shape[2]))
            out[b, h] = weights @ values / weights.sum()
    return out


@pytest.mark.parametrize("lengths", [(), (300, 1, 77)], ids=["equal", "ragged"])
@pytest.mark.parametrize("g", [8, 2, 1])
def test_the_reference_is_attention(g, lengths):
    inputs = inputs_of(job(lengths=lengths), g)
    assert relative_error(reference(inputs), by_hand(inputs).float()) < 2e-6


class OfMps(torch.Tensor):
    """As torch 2.13 copies from MPS (pytorch#197715): moved and widened to float64 in one call it raises."""

    @classmethod
    def __torch_function__(cls, function, types, args=(), kwargs=None):
        if function is torch.Tensor.to and torch.float64 in (*args, *(kwargs or {}).values()):
            raise TypeError("Cannot convert a MPS Tensor to float64 dtype")
        return super().__torch_function__(function, types, args, kwargs or {})


def test_the_reference_moves_a_query_before_it_widens_it():
    inputs = inputs_of(job(), 2)
    there = replace(inputs, query=inputs.query.as_subclass(OfMps))
    assert torch.equal(reference(there).as_subclass(torch.Tensor), reference(inputs))


@pytest.mark.parametrize("kernel", FAST, ids=lambda k: k.name)
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16", "float8_e4m3fn", "int8", "int4"])
@pytest.mark.parametrize("lengths", [(), (300, 1, 77)], ids=["equal", "ragged"])
def test_every_kernel_computes_attention_or_says_why_it_cannot(kernel: Kernel, dtype: str, lengths: tuple[int, ...]):
    for g in (8, 2, 1):
        inputs, expected = drawn(dtype, lengths, g)
        call = prepared(kernel, inputs)
        if call is None:
            continue
        assert relative_error(call(), expected) < ERROR_LIMITS[dtype], (kernel.name, g)
        assert isinstance(kernel.describe(inputs), str)


def most_held(work) -> tuple[int, int, object]:
    """The most bytes that a call allocates, those that it leaves, and what it returns."""
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as seen:
        found = work()
    held = most = 0
    for event in seen.profiler.kineto_results.events():
        if event.name() == "[memory]":
            held += event.nbytes()
            most = max(most, held)
    return most, held, found


@pytest.mark.parametrize("kernel", FAST, ids=lambda k: k.name)
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16", "float8_e4m3fn", "int8", "int4"])
@pytest.mark.parametrize("lengths", [(), (2040, 77)], ids=["equal", "ragged"])
def test_no_kernel_holds_more_than_it_says(kernel: Kernel, dtype: str, lengths: tuple[int, ...]):
    """By torch's own count of what is allocated, over preparing and a call."""
    for g in (8, 2):
        inputs = inputs_of(job(dtype=dtype, lengths=lengths, batch_size=2, context_length=2048), g)
        try:
            preparing, kept, call = most_held(lambda inputs=inputs: kernel.prepare(inputs))
        except Unavailable:
            continue
        calling, _, _ = most_held(call)
        held, said = max(preparing, kept + calling), kernel.extra_bytes(inputs)
        assert held <= said + 4096, (kernel.name, g)


@pytest.mark.parametrize("dtype", ["bfloat16", "float8_e4m3fn", "int4"])
def test_a_copy_has_the_same_numbers_elsewhere(dtype: str):
    held = inputs_of(job(dtype=dtype, lengths=(300, 1, 77)), 2)
    copy = held.copied()
    for name, value in vars(held).items():
        other = getattr(copy, name)
        if value is None:
            assert other is None
            continue
        assert torch.equal(other.view(torch.uint8), value.view(torch.uint8)), name
        assert other.data_ptr() != value.data_ptr(), name
    assert torch.equal(reference(copy), reference(held))


def test_large_scores_do_not_overflow():
    inputs = inputs_of(job(), 2)
    loud = replace(inputs, query=inputs.query * 200)  # scores in the thousands: exp would be infinite without a maximum
    for name in ("host_kernel", "split_k_flash", "packed_rows_matmul"):
        kernel = next(k for k in FAST if k.name == name)
        assert relative_error(kernel.prepare(loud)(), reference(loud)) < 1e-4


@pytest.fixture
def compiler_without_trials() -> Iterator[None]:
    """torch's compiler believes what the processor says that it can do, and compiles no headers for many a later shape:
    four small libraries and a header are half of what it has g++ do for one shape."""
    from torch._inductor import config

    with config.patch({"cpp.vec_isa_ok": True, "cpp_cache_precompile_headers": False}):
        yield


@pytest.mark.usefixtures("compiler_without_trials")
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")  # of torch's own compiler
@pytest.mark.parametrize("kernel", [k for k in all_kernels("cpu") if k.slow_to_build], ids=lambda k: k.name)
def test_compiled_kernels(kernel: Kernel):
    inputs = inputs_of(job(context_length=256), 2)
    assert relative_error(kernel.prepare(inputs)(), reference(inputs)) < 1e-5


def test_the_backend_of_sdpa_is_named():
    inputs = inputs_of(job(), 2)
    assert FAST[0].describe(inputs) == "SDPA backend: flash"
    assert FAST[0].describe(
        replace(inputs, query=inputs.query.half(), keys=inputs.keys.int(), values=inputs.values.int())
    ) == ("SDPA backend: math")


def planted(name: str, call) -> Kernel:
    return Kernel(name=name, summary="planted", prepare=lambda inputs: lambda: call(inputs))


def out_of_memory(_inputs: Inputs) -> torch.Tensor:
    raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes.")


def test_wrong_numbers_are_refused_and_failures_are_results(monkeypatch):
    wrong = {
        "right": reference,
        "one_head_off": lambda i: torch.cat([reference(i)[:, :-1], reference(i)[:, :1]], 1),
        "nan": lambda i: reference(i) * math.nan,
        "wrong_shape": lambda i: reference(i)[:, :3],
        "full": out_of_memory,
    }
    monkeypatch.setattr("core.decode.run.all_kernels", lambda _type: tuple(planted(n, c) for n, c in wrong.items()))
    monkeypatch.setattr("core.decode.run.measure_roofline", lambda *_: ROOFLINE)
    record = run_quietly(Run(job(kv_heads=(8, 2))))
    found = {(r.kv_heads, r.kernel): r for r in record.results}
    assert [found[2, name].status for name in wrong] == ["accepted", "refused", "refused", "failed", "failed"]
    assert "wrong numbers: relative error" in found[2, "one_head_off"].detail
    assert found[2, "one_head_off"].samples == ()
    assert found[8, "full"].detail.startswith("ran out of memory: ")
    assert [r.kernel for r in record.results if r.best] == ["right", "right"]
    assert record.status == "complete"


@pytest.mark.parametrize(("limit", "said"), [(1.0, "1"), (0.5, "0.5"), (1800, "1,800")])
def test_the_time_limit_ends_a_run_and_keeps_what_it_has(monkeypatch, limit, said):
    monkeypatch.setattr("core.decode.run.measure_roofline", lambda *_: ROOFLINE)
    run = Run(job(seconds_limit=limit))
    run.started -= limit + 1  # a second past its limit
    record = run_quietly(run)
    assert (record.status, record.message) == ("stopped", f"The time limit of {said} s was reached.")


@pytest.mark.parametrize(("leap", "rounds"), [(90.0, True), (100.0, False)])
def test_nothing_is_drawn_once_time_is_up(monkeypatch, leap, rounds):
    """The clock leaps at the first kernel's result: past the search's 85 s of 100, or past the limit itself."""
    drawn, taken = [], []
    monkeypatch.setattr("core.decode.run.all_kernels", lambda _type: (planted("right", reference),))
    monkeypatch.setattr("core.decode.run.measure_roofline", lambda *_: ROOFLINE)
    monkeypatch.setattr("core.decode.run.make_inputs", lambda job, g, *a: drawn.append(g) or make_inputs(job, g, *a))
    monkeypatch.setattr(
        "core.decode.rounds.time_best_again", lambda run, results, *_: taken.append(1) or _no_figures(results)
    )
    monkeypatch.setenv("HEADROOM_SAMPLING", "1")
    monkeypatch.setattr("core.decode.run.ROUND_SECONDS", 15.0)
    run = Run(job(kv_heads=(8, 2, 1), seconds_limit=100.0))
    for event in run.execute():
        if event["event"] == "result":
            run.started -= leap
    assert drawn == [8]
    assert bool(taken) is rounds
    assert (run.status, run.message) == ("stopped", "The time limit of 100 s was reached.")
    assert rounds or run.rule.startswith("The time limit left none for interleaved rounds")


def test_progress_counts_every_part_of_a_run(monkeypatch):
    """Of five parts the limits of the host are the first and the rounds the last; a kernel at a G is one."""
    kernels = (planted("right", reference),)
    monkeypatch.setattr("core.decode.run.all_kernels", lambda _type: kernels)
    monkeypatch.setattr("core.decode.run.measure_roofline", lambda *_: ROOFLINE)
    monkeypatch.setattr("core.decode.rounds.time_best_again", lambda _run, results, *_: _no_figures(results))
    run = Run(job(kv_heads=(8, 2, 1)))
    told = [(e["done"], e["total"]) for e in run.execute() if e["event"] == "progress"]
    assert told == [(0, 5), (1, 5), (2, 5), (3, 5), (4, 5)]
    assert run.done_parts == 5


def _no_figures(results):
    return Figures(results=results, roofline=ROOFLINE, rule="Planted.")


def test_each_g_has_a_share_of_the_time_and_what_is_compiled_comes_last(monkeypatch):
    """Two G's and 100 s, of which rounds take 15: the first has 42.5, and a kernel takes 30 by the clock here."""
    asked = job(kv_heads=(8, 2), seconds_limit=100.0)
    kernels = tuple(
        replace(planted(name, reference), slow_to_build=name == "compiled")
        for name in ("compiled", "first", "second", "third")
    )
    monkeypatch.setattr("core.decode.run.all_kernels", lambda _type: kernels)
    monkeypatch.setattr("core.decode.run.measure_roofline", lambda *_: ROOFLINE)
    monkeypatch.setenv("HEADROOM_SAMPLING", "1")  # the tests' own shortens the rounds, and these 15 s with them
    monkeypatch.setattr("core.decode.run.KERNEL_SECONDS", 0.02)
    monkeypatch.setattr("core.decode.run.ROUND_SECONDS", 15.0)
    monkeypatch.setattr("core.decode.rounds.ROUNDS", (1, 1))
    run = Run(asked)
    monkeypatch.setattr(Run, "_search_seconds", lambda run: 30.0 * sum(r.status == "accepted" for r in run.results))
    record = run_quietly(run)
    found = {g: [(r.kernel, r.status) for r in record.results if r.kv_heads == g] for g in (8, 2)}
    late = "unavailable"
    assert found[8] == [("first", "accepted"), ("second", "accepted"), ("third", late), ("compiled", late)]
    assert found[2] == [("first", "accepted"), ("second", late), ("third", late), ("compiled", late)]
    assert record.results[3].detail.startswith("left out: this G had used its share of the time limit")
    assert (record.status, sorted(record.best())) == ("complete", [2, 8])


def test_the_kernel_that_leads_is_measured_at_every_g_however_short_the_time(monkeypatch):
    """torch's bfloat16 paths take so long on AVX2 that G = 8 went without the compiled kernel, its fastest."""
    kernels = (planted("slow", reference), replace(planted("ours", reference), leads=True))
    monkeypatch.setattr("core.decode.run.all_kernels", lambda _type: kernels)
    monkeypatch.setattr("core.decode.run.measure_roofline", lambda *_: ROOFLINE)
    monkeypatch.setattr("core.decode.rounds.ROUNDS", (1, 1))
    run = Run(job(kv_heads=(8, 2)))
    monkeypatch.setattr(Run, "_search_seconds", lambda _run: 1e9)
    record = run_quietly(run)
    found = [(r.kv_heads, r.kernel, r.status) for r in record.results]
    assert found == [
        (8, "ours", "accepted"), (8, "slow", "unavailable"), (2, "ours", "accepted"), (2, "slow", "unavailable"),
    ]  # fmt: skip
    assert [k.name for k in all_kernels("cpu") if k.leads] == ["host_kernel"]


def test_fresh_data_each_run_and_the_same_for_a_seed():
    assert Run(job(seed=None)).job.seed != Run(job(seed=None)).job.seed
    again = [inputs_of(job(), 2).keys for _ in range(2)]
    assert torch.equal(*again)


def test_runs_of_one_seed_in_one_second_have_ids_of_their_own():
    assert len({Run(job(seed=7)).run_id for _ in range(4)}) == 4
