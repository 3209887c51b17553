"""The best kernel of every G timed again in rounds, between reads and matrix products of the same seconds.

A shared machine drifts, and kernels timed one after the other meet different seconds of it. A round is one read of a
buffer far beyond the cache, one matrix product and one call of each G's fastest correct kernel, in the same order each
time: every G meets the same drift, and between two calls of one G so much else is read that it never finds its own
data in cache. The rule: a best kernel's figure is its median over the rounds; the rates of the roofline are medians
over the samples of the run's start and of its rounds, taken together. Samples of the search are kept beside them.
"""

import time
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch

from core.decode import device as devices
from core.decode.cuda_graph import recorded
from core.decode.kernels import NATURAL, Inputs
from core.decode.measured_roofline import READ_BYTES, product_turn, read_turn, with_rounds
from core.decode.plan import bound
from core.decode.records import KernelResult, Roofline, mark_best

if TYPE_CHECKING:
    from core.decode.run import Run

ROUNDS = (5, 200)  # least and most
SETTLE_SECONDS = 0.005  # threads of a library's own pool spin this long after a product, on the cores of what follows
READ, PRODUCT = "read", "product"
Turn = Callable[[], float]


@dataclass(frozen=True, kw_only=True)
class Interleaved:
    """What the rounds gave: one figure a round by turn (seconds, or a rate), and why a turn was given up."""

    samples: dict[Hashable, tuple[float, ...]]
    failures: dict[Hashable, Exception]
    rounds: int


def interleave(
    turns: Mapping[Hashable, Turn], *, least: int, most: int, seconds: float, deadline: float,
    clock: Callable[[], float] = time.monotonic,
) -> Interleaved:  # fmt: skip
    """Round after round of all turns, each of which returns its figure: seconds of a call, or a rate.

    `least` rounds, then more until `most` or until `seconds` are used; none begins at or after `deadline`, a time of
    `clock`. A turn that raises is given up, its samples with it; the others go on.
    """
    samples: dict[Hashable, list[float]] = {name: [] for name in turns}
    failures: dict[Hashable, Exception] = {}
    rounds, end = 0, clock() + seconds
    while rounds < most and clock() < deadline and (rounds < least or clock() < end):
        for name in [n for n in turns if n not in failures]:
            try:
                samples[name].append(turns[name]())
            except Exception as e:  # noqa: BLE001  a kernel may fail in any way; it has a figure from the search
                failures[name] = e
        rounds += 1
    kept = {name: tuple(taken) for name, taken in samples.items() if name not in failures}
    return Interleaved(samples=kept, failures=failures, rounds=rounds)


@dataclass(frozen=True, kw_only=True)
class Figures:
    """Results and roofline after the rounds, and in words what they rest on."""

    results: tuple[KernelResult, ...]
    roofline: Roofline
    rule: str


def time_best_again(run: "Run", results: tuple[KernelResult, ...], roofline: Roofline, seconds: float) -> Figures:
    """The best kernels of `results` in rounds of `seconds` in all, within the run's time limit."""
    calls, left_out = _prepared(run, [r for r in results if r.best])
    turns: dict[Hashable, Turn] = {}
    if roofline.read_by:
        turns[READ] = read_turn(run.device, run.limit_bytes, roofline.read_by)
    if roofline.product_size:
        turns[PRODUCT] = _settled(product_turn(run.device, run.compute_dtype, roofline.product_size), run.device)
    for g, call in calls.items():
        turns[g] = _turn(run.device, call)
    for g in calls:  # compiled kernels compile here, and every page of memory is touched
        interleave({g: turns[g]}, least=1, most=1, seconds=0, deadline=run.deadline)
    found = interleave(turns, least=ROUNDS[0], most=ROUNDS[1], seconds=seconds, deadline=run.deadline)
    rates = with_rounds(roofline, found.samples.get(READ, ()), found.samples.get(PRODUCT, ()))
    left_out |= {g: str(e).strip().splitlines()[0][:120] for g, e in found.failures.items() if str(e).strip()}
    return Figures(
        results=mark_best(tuple(_with_figure(run, r, rates, found) for r in results)),
        roofline=rates,
        rule=rule_in_words(found.rounds, left_out),
    )


def rule_in_words(rounds: int, left_out: Mapping[Hashable, str]) -> str:
    """How the figures of a run came about."""
    if not rounds:
        return "The time limit left none for interleaved rounds: figures are medians of each kernel timed by itself."
    exceptions = "".join(f" G = {g} was timed by itself: {why}." for g, why in left_out.items())
    return (
        f"The fastest correct kernel of each G was timed again in {rounds} interleaved rounds, one call of each G "
        "beside one read and one matrix product: its figure is the median over the rounds. Read and product rates are "
        f"medians over the samples at the start and in the rounds together.{exceptions}"
    )


def _with_figure(run: "Run", result: KernelResult, rates: Roofline, found: Interleaved) -> KernelResult:
    limits = bound(
        run.job, result.kv_heads, bytes_per_second=rates.bytes_per_second,
        flops_per_second=rates.flops_per_second, exp_per_second=rates.exp_per_second,
    )  # fmt: skip
    return replace(
        result, roofline_seconds=limits.roofline_seconds, memory_seconds=limits.memory_seconds,
        matmul_seconds=limits.matmul_seconds,
        round_samples=found.samples.get(result.kv_heads, ()) if result.best else (),
    )  # fmt: skip


def _turn(device: torch.device, call: Callable[[], object]) -> Turn:
    return lambda: devices.time_once(device, call)


def _settled(turn: Turn, device: torch.device) -> Turn:
    def settled() -> float:
        seconds = turn()
        if device.type == "cpu":
            time.sleep(SETTLE_SECONDS)
        return seconds

    return settled


def _prepared(run: "Run", best: list[KernelResult]) -> tuple[dict[int, Callable[[], object]], dict[Hashable, str]]:
    """A call for each G over one shared random cache, of which a smaller G reads the beginning.

    A kernel with a layout of its own needs a copy; copies are made from the smallest G up while memory lasts.
    """
    from core.decode.run import make_inputs

    if not best:
        return {}, {}
    largest = max(r.kv_heads for r in best)
    pool = make_inputs(run.job, largest, run.device, run.generator(0))
    spare = run.limit_bytes - run.job.stored_bytes(largest) - min(READ_BYTES[run.device.type], run.limit_bytes // 3)
    calls: dict[int, Callable[[], object]] = {}
    left_out: dict[Hashable, str] = {}
    for r in sorted(best, key=lambda r: r.kv_heads):
        kernel = next(k for k in run.kernels if k.name == r.kernel)
        copy = 0 if kernel.layout == NATURAL else run.job.stored_bytes(r.kv_heads)
        if copy > spare:
            left_out[r.kv_heads] = f"{kernel.name} needs {copy / 1e9:,.1f} GB beside the others"
            continue
        try:
            calls[r.kv_heads] = recorded(run.device, kernel.prepare(part_of(pool, r.kv_heads)))[0]
            spare -= copy
        except Exception as e:  # noqa: BLE001  as in the search: any failure is a result
            left_out[r.kv_heads] = f"{kernel.name} was not prepared again ({type(e).__name__})"
    return {r.kv_heads: calls[r.kv_heads] for r in best if r.kv_heads in calls}, left_out


def part_of(pool: Inputs, num_kv_heads: int) -> Inputs:
    """The same query over a cache of fewer KV heads that lies at the beginning of the pool's."""
    batch, _, _, capacity, dim = pool.sizes
    shape = (batch, num_kv_heads, capacity, dim)
    count = batch * num_kv_heads * capacity * dim
    keys, values = (x.view(-1)[:count].view(shape) for x in (pool.keys, pool.values))
    return replace(pool, keys=keys, values=values)
