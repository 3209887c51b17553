"""A run as data: what was asked, on what, what the host can do, and every sample of every kernel.

The same record is stored, exported, imported, shipped and drawn. Times are seconds, rates are per second.
"""

import csv
import io
import json
import math
import re
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any

STATUSES = ("accepted", "refused", "unavailable", "failed")
MAX_IMPORT_BYTES = 32 * 10**6
SCHEMA = 1


class InvalidRecord(ValueError):
    """An imported run is not one of ours: the message names the field."""


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
    round_samples: tuple[float, ...] = ()  # of the interleaved rounds; best kernels have them
    best: bool = False

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
        if not self.figure_samples:
            return None
        ordered = sorted(self.figure_samples)
        return ordered[len(ordered) // 4], ordered[(3 * len(ordered)) // 4]

    @property
    def roofline_fraction(self) -> float | None:
        """Roofline time over measured time: 1 is what the host can do at most."""
        measured = self.median_seconds
        return self.roofline_seconds / measured if measured else None


@dataclass(frozen=True, kw_only=True)
class Roofline:
    """Rates measured in the same run: sustained reads far beyond the cache, matrix products at the dtype, exp.

    Reads and products are medians over the samples at the start and in the interleaved rounds, taken together.
    """

    bytes_per_second: float
    flops_per_second: float
    exp_per_second: float
    detail: str = ""  # which operation gave each rate
    read_by: str = ""
    product_size: int = 0
    start_reads: tuple[float, ...] = ()  # bytes per second of each sample
    round_reads: tuple[float, ...] = ()
    start_products: tuple[float, ...] = ()  # FLOPs per second of each sample
    round_products: tuple[float, ...] = ()


@dataclass(frozen=True, kw_only=True)
class StepResult:
    """A whole decode step at one G: seconds of one layer's parts, and of all layers with embedding and head."""

    kv_heads: int
    kernel: str
    attention_seconds: float
    layer_seconds: float
    ends_seconds: float  # embedding, last norm and head
    num_layers: int
    weight_bytes: int
    batch_size: int

    @property
    def step_seconds(self) -> float:
        return self.num_layers * self.layer_seconds + self.ends_seconds


@dataclass(frozen=True, kw_only=True)
class ModelCheck:
    """transformers' own model decoding a small shape, beside our sum for the same shape."""

    shape: str
    transformers_seconds: float
    summed_seconds: float

    @property
    def difference(self) -> float:
        """(sum - transformers) / transformers."""
        return self.summed_seconds / self.transformers_seconds - 1


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
    rule: str = ""  # in words: which samples the figures and the roofline rest on
    schema: int = field(default=SCHEMA)

    def best(self) -> dict[int, KernelResult]:
        """The fastest correct kernel of each G."""
        return {r.kv_heads: r for r in self.results if r.best}


def mark_best(results: tuple[KernelResult, ...]) -> tuple[KernelResult, ...]:
    """The same results with best set on the fastest accepted kernel of each (G, dtype).

    A kernel that was timed again in rounds was the fastest of its search and stays the best: times of different seconds
    are not compared.
    """
    fastest: dict[tuple[int, str], tuple[bool, float, int]] = {}
    for i, r in enumerate(results):
        seconds = r.median_seconds
        if r.status == "accepted" and seconds is not None:
            key = (r.kv_heads, r.dtype)
            fastest[key] = min(fastest.get(key, (True, math.inf, -1)), (not r.round_samples, seconds, i))
    chosen = {i for _, _, i in fastest.values()}
    return tuple(KernelResult(**{**_shallow(r), "best": i in chosen}) for i, r in enumerate(results))


def _shallow(r: KernelResult) -> dict[str, Any]:
    return {name: getattr(r, name) for name in KernelResult.__dataclass_fields__}


def to_dict(record: RunRecord) -> dict[str, Any]:
    return asdict(record)


def to_json(record: RunRecord) -> str:
    return json.dumps(to_dict(record), allow_nan=False)


def from_dict(raw: object) -> RunRecord:
    """Raises InvalidRecord, naming the field, for anything that is not a whole record of this schema."""
    data = _object(raw, "run")
    if data.get("schema") != SCHEMA:
        raise InvalidRecord(f"schema is {data.get('schema')!r}: this version reads {SCHEMA}.")
    try:
        results = tuple(result_from(r) for r in _list(data["results"], "results"))
        roof = None if data["roofline"] is None else roofline_from(data["roofline"])
        steps = tuple(StepResult(**_object(s, "steps")) for s in _list(data.get("steps", []), "steps"))
        check = None if data.get("model_check") is None else ModelCheck(**_object(data["model_check"], "model_check"))
        record = RunRecord(**{**data, "results": results, "roofline": roof, "steps": steps, "model_check": check})
    except KeyError as e:
        raise InvalidRecord(f"field {e.args[0]!r} is missing: export the run again.") from e
    except TypeError as e:
        raise InvalidRecord(f"a field is unknown or missing: {e}.") from e
    _check(record)
    return record


def from_json(text: str) -> RunRecord:
    if len(text) > MAX_IMPORT_BYTES:
        raise InvalidRecord(f"{len(text):,} bytes: a run has at most {MAX_IMPORT_BYTES:,}.")
    try:
        return from_dict(json.loads(text))
    except (json.JSONDecodeError, RecursionError) as e:
        raise InvalidRecord(f"not JSON: {e}.") from e


RATE_SAMPLES = ("start_reads", "round_reads", "start_products", "round_products")


def roofline_from(raw: object) -> Roofline:
    """Raises InvalidRecord or TypeError for what is not a roofline."""
    data = _object(raw, "roofline")
    return Roofline(**{**data, **{name: tuple(_list(data.get(name, []), name)) for name in RATE_SAMPLES}})


def result_from(raw: object) -> KernelResult:
    """Raises InvalidRecord or TypeError for what is not a result."""
    data = _object(raw, "results")
    samples = {name: tuple(_list(data.get(name, []), name)) for name in ("samples", "round_samples")}
    return KernelResult(**{**data, **samples})


def _object(value: object, name: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise InvalidRecord(f"{name} is {type(value).__name__}: expected an object.")
    return value


def _list(value: object, name: str) -> list[Any]:
    if not isinstance(value, list | tuple):
        raise InvalidRecord(f"{name} is {type(value).__name__}: expected a list.")
    return list(value)


def _check(record: RunRecord) -> None:
    if not isinstance(record.run_id, str) or not re.fullmatch(r"[0-9A-Za-z_.-]{1,80}", record.run_id):
        raise InvalidRecord(f"run_id is {record.run_id!r}: expected letters, digits, '.', '_' and '-'.")
    for name in ("date", "status", "message", "command", "device", "device_name", "rule"):
        if not isinstance(getattr(record, name), str):
            raise InvalidRecord(f"{name} is not text.")
    for name in ("host", "job", "asked"):
        _object(getattr(record, name), name)
    _positive(record.scale, "scale")
    if record.roofline is not None:
        _check_roofline(record.roofline)
    for result in record.results:
        _check_result(result)
    for step in record.steps:
        for name in ("attention_seconds", "layer_seconds", "ends_seconds", "num_layers", "batch_size"):
            _positive(getattr(step, name), f"steps.{name}")
    if record.model_check:
        _positive(record.model_check.transformers_seconds, "model_check.transformers_seconds")
        _positive(record.model_check.summed_seconds, "model_check.summed_seconds")


def _check_roofline(roofline: Roofline) -> None:
    for rate in ("bytes_per_second", "flops_per_second", "exp_per_second"):
        _positive(getattr(roofline, rate), f"roofline.{rate}")
    for name in RATE_SAMPLES:
        for sample in getattr(roofline, name):
            _positive(sample, f"roofline.{name}")


def _check_result(result: KernelResult) -> None:
    if result.status not in STATUSES:
        raise InvalidRecord(f"status of a result is {result.status!r}: expected one of {', '.join(STATUSES)}.")
    for name in ("kernel", "dtype", "detail", "layout"):
        if not isinstance(getattr(result, name), str):
            raise InvalidRecord(f"{name} of a result is not text.")
    if not isinstance(result.kv_heads, int) or result.kv_heads < 1:
        raise InvalidRecord(f"kv_heads is {result.kv_heads!r}: expected a positive whole number.")
    for sample in (*result.samples, *result.round_samples):
        _positive(sample, "samples")
    for name in ("roofline_seconds", "memory_seconds", "matmul_seconds", "exponential_seconds", "kv_bytes"):
        _positive(getattr(result, name), name, zero=True)
    if result.relative_error is not None:
        _positive(result.relative_error, "relative_error", zero=True)


def _positive(value: object, name: str, *, zero: bool = False) -> None:
    good = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if not good or not (value > 0 or (zero and value == 0)):  # type: ignore[operator]  # a number, by the line above
        raise InvalidRecord(f"{name} is {value!r}: expected a {'non-negative' if zero else 'positive'} number.")


CSV_FIELDS = (
    "kv_heads", "dtype", "kernel", "status", "best", "median_ms", "kv_bytes", "relative_error", "roofline_fraction",
    "roofline_seconds", "memory_seconds", "matmul_seconds", "exponential_seconds", "detail", "layout", "samples",
    "round_samples", "run",
)  # fmt: skip


def to_csv(record: RunRecord) -> str:
    """One line per kernel and G; the run itself is JSON in the column `run`, so that the file can be read back."""
    out = io.StringIO()
    writer = csv.DictWriter(out, CSV_FIELDS)
    writer.writeheader()
    run = json.dumps({k: v for k, v in to_dict(record).items() if k != "results"}, allow_nan=False)
    for r in record.results:
        row = {name: getattr(r, name) for name in KernelResult.__dataclass_fields__}
        row["median_ms"] = "" if r.median_seconds is None else r.median_seconds * 1e3
        row["roofline_fraction"] = "" if r.roofline_fraction is None else r.roofline_fraction
        for name in ("samples", "round_samples"):
            row[name] = " ".join(repr(s) for s in getattr(r, name))
        writer.writerow({**row, "run": run})
    return out.getvalue()


def from_csv(text: str) -> RunRecord:
    """Reads what to_csv wrote. Raises InvalidRecord for anything else."""
    if len(text) > MAX_IMPORT_BYTES:
        raise InvalidRecord(f"{len(text):,} bytes: a run has at most {MAX_IMPORT_BYTES:,}.")
    csv.field_size_limit(MAX_IMPORT_BYTES)
    try:
        rows = list(csv.DictReader(io.StringIO(text)))
        if not rows or not rows[0].get("run"):
            raise InvalidRecord("no line with a column 'run': export the run again.")
        return from_dict({**json.loads(rows[0]["run"]), "results": [_csv_result(row) for row in rows]})
    except (KeyError, ValueError, TypeError, csv.Error) as e:
        if isinstance(e, InvalidRecord):
            raise
        raise InvalidRecord(f"not a CSV of a run: {e}.") from e


def _csv_result(row: dict[str, str]) -> dict[str, Any]:
    numbers = ("roofline_seconds", "memory_seconds", "matmul_seconds", "exponential_seconds")
    return {
        **{name: row[name] for name in ("dtype", "kernel", "status", "detail", "layout")},
        **{name: float(row[name]) for name in numbers},
        "kv_heads": int(row["kv_heads"]),
        "kv_bytes": int(row["kv_bytes"]),
        "best": row["best"] == "True",
        "relative_error": float(row["relative_error"]) if row["relative_error"] else None,
        "samples": [float(s) for s in row["samples"].split()],
        "round_samples": [float(s) for s in row.get("round_samples", "").split()],
    }


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
        "roofline": None
        if roof is None
        else {
            "bytes_per_second": roof.bytes_per_second,
            "flops_per_second": roof.flops_per_second,
            "exponentials_per_second": roof.exp_per_second,
        },
        "results": [_summary_result(r) for r in record.results],
        "steps": [{**asdict(s), "step_seconds": s.step_seconds} for s in record.steps],
        "model_check": None
        if record.model_check is None
        else {**asdict(record.model_check), "difference": record.model_check.difference},
    }


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
        "roofline_fraction": r.roofline_fraction,
        "best": r.best,
        "detail": r.detail,
        "layout": r.layout,
    }
