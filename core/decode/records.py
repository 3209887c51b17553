"""A run as data: what was asked, on what, what the host can do, and every sample of every kernel.

The same record is stored, exported, imported, shipped and drawn (core.decode.record_files reads and writes it). Times
are seconds, rates are per second.
"""

import math
from dataclasses import asdict, dataclass, field, replace
from statistics import median
from typing import Any

STATUSES = ("accepted", "refused", "unavailable", "failed")
SCHEMA = 1
LIMIT_FAILED = "limit measured too low"
MIXED = 1 / 3  # of the larger bound: from there on the smaller counts too


def quartiles(samples: tuple[float, ...]) -> tuple[float, float]:
    """The first and the third; samples must hold one at least."""
    ordered = sorted(samples)
    return ordered[len(ordered) // 4], ordered[(3 * len(ordered)) // 4]


def spread_of(samples: tuple[float, ...]) -> float:
    """Between the first and third quartile, as a share of the median."""
    low, high = quartiles(samples)
    return (high - low) / median(samples)


def share_in_words(fraction: float | None, *, fits_cache: bool = False) -> str:
    """'93%', or what stands in its place: a share above 1 is a defect of the limit, not a feat of the kernel."""
    if fraction is None:
        return ""
    if fits_cache:
        return "fits the processor's cache"
    return LIMIT_FAILED if fraction > 1 else f"{fraction:.0%}"


@dataclass(frozen=True, kw_only=True)
class KernelResult:
    """One kernel at one G. refused: its numbers were wrong; unavailable: not on this host; failed: it raised."""

    kv_heads: int
    dtype: str
    kernel: str
    status: str
    detail: str = ""  # SDPA's backend, the layout, the reason
    layout: str = ""
    kv_bytes: int = 0
    roofline_seconds: float = 0.0
    memory_seconds: float = 0.0
    matmul_seconds: float = 0.0
    exponential_seconds: float = 0.0
    relative_error: float | None = None
    samples: tuple[float, ...] = ()  # of the search, each kernel timed by itself
    round_samples: tuple[float, ...] = ()  # of the interleaved rounds; the two fastest kernels of a G have them
    best: bool = False
    threads: int = 0  # torch's in its calls; 0 in a run that did not look
    fits_cache: bool = False  # its KV bytes fit the processor's largest cache, and reads are what limits it
    limit_failed: bool = False  # faster than the limit: the limit was measured too low, and no share is shown
    equal_to: tuple[str, ...] = ()  # of a best kernel: others whose order to it lies inside the spread

    @property
    def share(self) -> str:
        """The share of the roofline in words, never above 100 %."""
        return share_in_words(self.roofline_fraction, fits_cache=self.fits_cache)

    @property
    def figure_samples(self) -> tuple[float, ...]:
        """The samples that the figure rests on: those of the rounds where there are any."""
        return self.round_samples or self.samples

    @property
    def median_seconds(self) -> float | None:
        return median(self.figure_samples) if self.figure_samples else None

    @property
    def spread_seconds(self) -> tuple[float, float] | None:
        """Quartiles of the samples."""
        return quartiles(self.figure_samples) if self.figure_samples else None

    @property
    def roofline_fraction(self) -> float | None:
        """Roofline time over measured time: 1 is what the host can do at most."""
        measured = self.median_seconds
        return self.roofline_seconds / measured if measured else None

    @property
    def bound_by(self) -> str:
        """What takes longest of the three measured bounds: memory, arithmetic or exponentials.

        'memory and arithmetic' where the smaller of those two takes more than a third of the larger: they overlap in
        part alone, so the larger by itself says too little, and either of them by itself is no path to hold it to.
        """
        bounds = {
            "memory": self.memory_seconds, "arithmetic": self.matmul_seconds, "exponentials": self.exponential_seconds,
        }  # fmt: skip
        largest = max(bounds, key=bounds.__getitem__)
        smaller = min(self.memory_seconds, self.matmul_seconds)
        both = largest != "exponentials" and smaller > MIXED * bounds[largest]
        return "memory and arithmetic" if both else largest


@dataclass(frozen=True, kw_only=True)
class Roofline:
    """Rates measured in the same run: sustained reads far beyond the cache, matrix products at the dtype, exp.

    Each is the median over the samples at the start and in the interleaved rounds, taken together; of a run on a
    machine that was not quiet the highest of them.
    """

    bytes_per_second: float
    flops_per_second: float
    exp_per_second: float
    detail: str = ""  # which operation gave each rate
    read_by: str = ""
    product_size: int = 0  # of runs until 0.1
    product_by: str = ""
    exp_by: str = ""
    start_reads: tuple[float, ...] = ()  # bytes per second of each sample
    round_reads: tuple[float, ...] = ()
    start_products: tuple[float, ...] = ()  # FLOPs per second of each sample
    round_products: tuple[float, ...] = ()
    start_exps: tuple[float, ...] = ()  # exponentials per second of each sample
    round_exps: tuple[float, ...] = ()


@dataclass(frozen=True, kw_only=True)
class StepResult:
    """A whole decode step at one G: seconds of one layer's parts, and of all layers with embedding and head."""

    kv_heads: int
    kernel: str
    attention_seconds: float
    layer_seconds: float
    ends_seconds: float  # embedding, last norm and head
    num_layers: int
    weight_bytes: int  # of a layer, that a step reads: with experts, of the expected number of distinct ones
    batch_size: int
    products: str = "F.linear"  # what multiplied the weights
    read_bytes: int = 0  # of the whole step: every layer's weights and KV cache, and the head
    roofline_seconds: float = 0.0  # the sum over its parts: larger of bytes over bandwidth and FLOPs over rate
    arithmetic_seconds: float = 0.0  # of these, of the parts that FLOPs bound
    products_flops_per_second: float = 0.0  # of the product in use alone, on one matrix of the FFN or of an expert
    own_rates_seconds: float = 0.0  # the same sum, but weights multiplied at that rate: a forecast and no bound
    bytes_per_second: float = 0.0  # read in the rounds of the step
    layer_samples: tuple[float, ...] = ()
    ends_samples: tuple[float, ...] = ()
    num_experts: int = 0  # of a layer; 0: a plain FFN
    experts_per_token: int = 0
    experts_expected: float = 0.0  # distinct ones of a layer that the batch reads, under even routing
    experts_drawn: float = 0.0  # the mean of those that the timed layers read

    @property
    def step_seconds(self) -> float:
        return self.num_layers * self.layer_seconds + self.ends_seconds

    @property
    def spread_seconds(self) -> tuple[float, float] | None:
        """Between a quarter and three quarters of the samples: those of the layer times L, plus those of the ends."""
        if not self.layer_samples or not self.ends_samples:
            return None
        (low, high), (first, last) = quartiles(self.layer_samples), quartiles(self.ends_samples)
        return self.num_layers * low + first, self.num_layers * high + last

    @property
    def roofline_fraction(self) -> float | None:
        return self.roofline_seconds / self.step_seconds if self.roofline_seconds else None

    @property
    def over_own_rates(self) -> float | None:
        """Measured over forecast by the rates of the products in use; None of runs that did not measure them."""
        return self.step_seconds / self.own_rates_seconds if self.own_rates_seconds else None

    @property
    def bound_by(self) -> str:
        """What the roofline's time is spent on: 'reads', 'arithmetic', or both with the share of the latter."""
        if not self.roofline_seconds:
            return "not known"
        share = self.arithmetic_seconds / self.roofline_seconds
        if share < 0.005:
            return "reads"
        return "arithmetic" if share > 0.995 else f"reads, arithmetic for {share:.0%} of it"


@dataclass(frozen=True, kw_only=True)
class ModelCheck:
    """transformers' own model decoding a small shape, beside our sum for the same shape."""

    shape: str
    transformers_seconds: float
    summed_seconds: float
    cache_copy_seconds: float = 0.0  # their DynamicCache copies itself for every token; ours is written in place
    transformers_samples: tuple[float, ...] = ()
    summed_samples: tuple[float, ...] = ()  # the sum of each round

    @property
    def difference(self) -> float:
        """(sum - transformers) / transformers."""
        return self.summed_seconds / self.transformers_seconds - 1

    @property
    def unexplained(self) -> float:
        """The same with the copy, which transformers makes and we do not, added to the sum."""
        return (self.summed_seconds + self.cache_copy_seconds) / self.transformers_seconds - 1


@dataclass(frozen=True, kw_only=True)
class RunRecord:
    """One run, whole. status: complete, stopped (time limit, cancel) or crashed; message says more."""

    run_id: str
    date: str  # ISO 8601, UTC
    status: str
    message: str
    command: str
    device: str  # cpu, cuda:0
    device_name: str
    host: dict[str, str]  # driver, versions, threads
    job: dict[str, Any]  # as measured
    asked: dict[str, Any]
    scale: float
    roofline: Roofline | None
    results: tuple[KernelResult, ...]
    steps: tuple[StepResult, ...] = ()
    model_check: ModelCheck | None = None
    machine: dict[str, Any] = field(default_factory=dict)  # before, during and after: core.host.busy.Load
    rule: str = ""  # in words: which samples the figures and the roofline rest on
    schema: int = field(default=SCHEMA)

    def best(self) -> dict[int, KernelResult]:
        """The fastest correct kernel of each G."""
        return {r.kv_heads: r for r in self.results if r.best}


def mark_best(results: tuple[KernelResult, ...]) -> tuple[KernelResult, ...]:
    """The same results with best set on the fastest accepted kernel of each (G, dtype).

    Where kernels were timed again in rounds, the best is among them: times of different seconds are not compared.
    """
    fastest: dict[tuple[int, str], tuple[bool, float, int]] = {}
    for i, r in enumerate(results):
        seconds = r.median_seconds
        if r.status == "accepted" and seconds is not None:
            key = (r.kv_heads, r.dtype)
            fastest[key] = min(fastest.get(key, (True, math.inf, -1)), (not r.round_samples, seconds, i))
    chosen = {i for _, _, i in fastest.values()}
    return tuple(
        replace(
            r,
            best=i in chosen,
            equal_to=_equals(r, results) if i in chosen else (),
            limit_failed=bool((r.roofline_fraction or 0) > 1 and not r.fits_cache),
        )
        for i, r in enumerate(results)
    )


def _equals(best: KernelResult, results: tuple[KernelResult, ...]) -> tuple[str, ...]:
    """Others of the same G, timed in the same way, whose lower quartile lies below the best one's upper."""
    if best.spread_seconds is None:
        return ()
    return tuple(
        r.kernel
        for r in results
        if r is not best and (r.kv_heads, r.dtype, r.status) == (best.kv_heads, best.dtype, "accepted")
        and bool(r.round_samples) == bool(best.round_samples)
        and r.spread_seconds is not None and r.spread_seconds[0] <= best.spread_seconds[1]
    )  # fmt: skip


def to_dict(record: RunRecord) -> dict[str, Any]:
    return asdict(record)


def summary(record: RunRecord) -> dict[str, Any]:
    """The object that the last line of `python -m core.decode run` prints."""
    roof = record.roofline
    return {
        "device": record.device,
        "device_name": record.device_name,
        "date": record.date,
        "run_id": record.run_id,
        "status": record.status,
        "message": record.message,
        "scale": record.scale,
        "job": record.job,
        "rule": record.rule,
        "machine": record.machine,
        "roofline": None
        if roof is None
        else {
            "bytes_per_second": roof.bytes_per_second,
            "flops_per_second": roof.flops_per_second,
            "exponentials_per_second": roof.exp_per_second,
        },
        "results": [_summary_result(r) for r in record.results],
        "steps": [_summary_step(s) for s in record.steps],
        "model_check": None
        if record.model_check is None
        else {**_without_samples(record.model_check), "difference": record.model_check.difference},
    }


def _without_samples(part: StepResult | ModelCheck) -> dict[str, Any]:
    return {name: value for name, value in asdict(part).items() if not name.endswith("_samples")}


def _summary_step(s: StepResult) -> dict[str, Any]:
    return {**_without_samples(s), "step_seconds": s.step_seconds, "roofline_fraction": s.roofline_fraction}


def _summary_result(r: KernelResult) -> dict[str, Any]:
    seconds = r.median_seconds
    return {
        "kv_heads": r.kv_heads,
        "dtype": r.dtype,
        "kernel": r.kernel,
        "status": r.status,
        "median_ms": None if seconds is None else seconds * 1e3,
        "kv_bytes": r.kv_bytes,
        "relative_error": r.relative_error,
        "roofline_ms": r.roofline_seconds * 1e3,
        "exponential_ms": r.exponential_seconds * 1e3,
        "roofline_fraction": r.roofline_fraction,
        "bound_by": r.bound_by,
        "best": r.best,
        "threads": r.threads,
        "fits_cache": r.fits_cache,
        "limit_failed": r.limit_failed,
        "equal_to": list(r.equal_to),
        "detail": r.detail,
        "layout": r.layout,
    }
