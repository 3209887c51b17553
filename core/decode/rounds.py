"""The two fastest kernels of every G timed again in rounds, between reads and products of the same seconds.

A shared machine drifts, and kernels timed one after the other meet different seconds of it. A round is one read of a
buffer far beyond the cache, one matrix product, exponentials and one call of each G's fastest correct kernel, then a
read again and one call of each G's second, in the same order each time: every G meets the same drift. The caches of
small G's lie apart from each other, and a read comes between two calls of one G, so none finds its own data in cache.
The rule: the faster of a G's two in the rounds is its best kernel, and its figure is its median over them; the rates of
the roofline are medians over the samples of the run's start and of its rounds, taken together, or, where other work
took part of the machine, the highest of them. Samples of the search are kept.
"""

import time
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, replace

import torch

from core.decode import device as devices
from core.decode.cuda_graph import recorded
from core.decode.inputs import offsets, part_of
from core.decode.kernel import NATURAL
from core.decode.measured_roofline import exponential_turn, most_read, product_turn, read_turn, with_rounds
from core.decode.records import KernelResult, Roofline, mark_best
from core.decode.running import Running, with_limits
from core.units import number_of

ROUNDS = (5, 200)  # least and most
SETTLE_SECONDS = 0.005  # threads of a library's own pool spin this long after a product, on the cores of what follows
READ, PRODUCT, EXPONENTIALS, READ_AGAIN = "read", "product", "exponentials", "read again"
FINALISTS = 2  # a kernel that the search caught in a slow moment gets its chance
WITHIN = 2.0  # and one that took this many times as long as the fastest does not
Turn = Callable[[], float]
Entry = tuple[int, str]  # a G and a kernel's name


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


def time_best_again(run: Running, results: tuple[KernelResult, ...], roofline: Roofline, seconds: float) -> Figures:
    """The finalists of `results` in rounds of `seconds` in all, within the run's time limit."""
    calls, left_out = _prepared(run, finalists(results))
    turns = _turns(run, calls, roofline)
    for entry in calls:  # compiled kernels compile here, and every page of memory is touched
        interleave({entry: turns[entry]}, least=1, most=1, seconds=0, deadline=run.deadline)
    found = interleave(turns, least=ROUNDS[0], most=ROUNDS[1], seconds=seconds, deadline=run.deadline)
    reads = (*found.samples.get(READ, ()), *found.samples.get(READ_AGAIN, ()))
    products, exps, disturbed = found.samples.get(PRODUCT, ()), found.samples.get(EXPONENTIALS, ()), run.disturbed()
    rates = with_rounds(roofline, reads, products, exps, disturbed=disturbed)
    left_out |= {entry: _first_line(why) for entry, why in found.failures.items()}
    return Figures(
        results=mark_best(tuple(_with_figure(run, r, rates, found) for r in results)),
        roofline=rates,
        rule=rule_in_words(found.rounds, left_out, disturbed=disturbed),
    )


def finalists(results: tuple[KernelResult, ...]) -> list[tuple[KernelResult, ...]]:
    """For each G, from most KV heads to fewest, its fastest accepted kernels of the search, the fastest first."""
    by_g: dict[int, list[tuple[float, KernelResult]]] = {}
    for r in results:
        if r.status == "accepted" and r.median_seconds is not None:
            by_g.setdefault(r.kv_heads, []).append((r.median_seconds, r))
    ranked = [sorted(by_g[g], key=lambda timed: timed[0])[:FINALISTS] for g in sorted(by_g, reverse=True)]
    return [tuple(r for seconds, r in timed if seconds <= WITHIN * timed[0][0]) for timed in ranked]


def _turns(run: Running, calls: Mapping[Entry, Callable[[], object]], roofline: Roofline) -> dict[Hashable, Turn]:
    """A round: read, product, exponentials, the first of every G, read again, the second of every G."""
    turns: dict[Hashable, Turn] = {}
    if roofline.read_by:
        turns[READ] = read_turn(run.device, run.limit_bytes, roofline.read_by)
    if roofline.product_by:
        turns[PRODUCT] = _settled(product_turn(run.device, run.job.dtype, roofline.product_by), run.device)
    if roofline.exp_by:
        turns[EXPONENTIALS] = _settled(exponential_turn(run.device, roofline.exp_by), run.device)
    seen: set[int] = set()
    seconds: dict[Hashable, Turn] = {}
    for entry, call in calls.items():
        (seconds if entry[0] in seen else turns)[entry] = _turn(run, entry[1], call)
        seen.add(entry[0])
    if seconds and READ in turns:
        turns[READ_AGAIN] = turns[READ]
    return turns | seconds


def rule_in_words(rounds: int, left_out: Mapping[Hashable, str], *, disturbed: bool = False) -> str:
    """How the figures of a run came about."""
    if not rounds:
        return "The time limit left none for interleaved rounds: figures are medians of each kernel timed by itself."
    exceptions = "".join(f" {_named(entry)} was timed by itself: {why}." for entry, why in left_out.items())
    statistic, why = ("the highest of", ", since this machine was not quiet") if disturbed else ("medians over", "")
    return (
        "The two fastest correct kernels of each G were timed again in "
        f"{number_of(rounds, 'interleaved round')}, one call of each beside reads, a matrix product and exponentials: "
        "the faster one is the best, and its figure is its median "
        f"over the rounds. The three rates are {statistic} the samples at the start and in the rounds together{why}."
        f"{exceptions}"
    )


def _named(entry: Hashable) -> str:
    return f"{entry[1]} at G = {entry[0]}" if isinstance(entry, tuple) else f"The turn {str(entry)!r}"


def _first_line(error: Exception) -> str:
    said = str(error).strip()
    return said.splitlines()[0][:120] if said else type(error).__name__


def _with_figure(run: Running, result: KernelResult, rates: Roofline, found: Interleaved) -> KernelResult:
    taken = found.samples.get((result.kv_heads, result.kernel), ())
    return replace(with_limits(run, result, rates), round_samples=taken)


def _turn(run: Running, name: str, call: Callable[[], object]) -> Turn:
    """One call, from the state that the run began in, whatever the turns before left."""
    threads = next(k.torch_threads for k in run.kernels if k.name == name)

    def turn() -> float:
        with run.kept.around(threads):
            return devices.time_once(run.device, call)

    return turn


def _settled(turn: Turn, device: torch.device) -> Turn:
    def settled() -> float:
        seconds = turn()
        if device.type == "cpu":
            time.sleep(SETTLE_SECONDS)
        return seconds

    return settled


def _prepared(
    run: Running, entered: list[tuple[KernelResult, ...]]
) -> tuple[dict[Entry, Callable[[], object]], dict[Hashable, str]]:
    """A call for each finalist over one shared random cache, of which every G reads a part.

    A kernel with a layout of its own needs a copy; copies are made from the smallest G up while memory lasts. Where the
    fastest of a G finds no room, its second is not timed either: times of different seconds are not compared.
    """
    from core.decode.inputs import make_inputs

    if not entered:
        return {}, {}
    widths = [ranked[0].kv_heads for ranked in entered]
    pool = make_inputs(run.job, max(widths), run.device, run.generator(0))
    places = offsets(widths)
    spare = run.limit_bytes - run.job.stored_bytes(max(widths)) - min(most_read(run.device), run.limit_bytes // 3)
    calls: dict[Entry, Callable[[], object]] = {}
    left_out: dict[Hashable, str] = {}
    for ranked in reversed(entered):
        for r in ranked:
            kernel = next(k for k in run.kernels if k.name == r.kernel)
            copy = 0 if kernel.layout == NATURAL else run.job.stored_bytes(r.kv_heads)
            part = part_of(pool, r.kv_heads, places[r.kv_heads])
            needed = max(copy, kernel.extra_bytes(part))
            if needed > spare:
                left_out[r.kv_heads, r.kernel] = f"it needs {needed / 1e9:,.1f} GB beside the others"
                break
            try:
                with run.kept.around(kernel.torch_threads):
                    calls[r.kv_heads, r.kernel] = recorded(run.device, kernel.prepare(part))[0]
                spare -= copy
            except Exception as e:  # noqa: BLE001  as in the search: any failure is a result
                left_out[r.kv_heads, r.kernel] = f"it was not prepared again ({type(e).__name__})"
                break
    order = [(r.kv_heads, r.kernel) for ranked in entered for r in ranked]
    return {entry: calls[entry] for entry in order if entry in calls}, left_out
