"""Runs as files: JSON and CSV out, and back in with every field checked, since a file may come from anywhere."""

import csv
import io
import json
import math
import re
from collections.abc import Mapping
from typing import Any

from core.decode.plan import MAX_BATCH, MAX_CONTEXT, MAX_HEADS
from core.decode.records import SCHEMA, STATUSES, KernelResult, ModelCheck, Roofline, RunRecord, StepResult, to_dict
from core.host.spreadsheet import as_written, marked

MAX_IMPORT_BYTES = 32 * 10**6


class InvalidRecord(ValueError):
    """An imported run is not one of ours: the message names the field."""


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
        steps = tuple(_step_from(s) for s in _list(data.get("steps", []), "steps"))
        check = None if data.get("model_check") is None else _check_from(data["model_check"])
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
        given = json.loads(text)
        record = from_dict(given)  # names the field first
        _finite(given)
    except InvalidRecord:
        raise
    except (ValueError, RecursionError, OverflowError) as e:
        raise InvalidRecord(f"not JSON: {_reason(e)}.") from e
    return record


def _finite(given: Any, name: str = "run") -> None:
    """Raises InvalidRecord for NaN and infinity anywhere: a run that holds one could not be written as JSON again."""
    if isinstance(given, float) and not math.isfinite(given):
        raise InvalidRecord(f"{name} is {given}: a run holds finite numbers alone. Export the run again.")
    inside = given.items() if isinstance(given, dict) else enumerate(given) if isinstance(given, list) else ()
    for key, value in inside:
        _finite(value, f"{name}.{key}")


def _reason(error: Exception) -> str:
    """What the reader says, without the interpreter's advice on its limit of digits."""
    return str(error).partition(" (")[0] if "digits" in str(error) else str(error)


RATE_SAMPLES = ("start_reads", "round_reads", "start_products", "round_products", "start_exps", "round_exps")
STEP_SAMPLES = ("layer_samples", "ends_samples")
CHECK_SAMPLES = ("transformers_samples", "summed_samples")


def roofline_from(raw: object) -> Roofline:
    """Raises InvalidRecord or TypeError for what is not a roofline."""
    data = _object(raw, "roofline")
    return Roofline(**{**data, **_tuples(data, RATE_SAMPLES)})


def result_from(raw: object) -> KernelResult:
    """Raises InvalidRecord or TypeError for what is not a result."""
    data = _object(raw, "results")
    return KernelResult(**{**data, **_tuples(data, ("samples", "round_samples", "equal_to"))})


def _step_from(raw: object) -> StepResult:
    data = _object(raw, "steps")
    return StepResult(**{**data, **_tuples(data, STEP_SAMPLES)})


def _check_from(raw: object) -> ModelCheck:
    data = _object(raw, "model_check")
    return ModelCheck(**{**data, **_tuples(data, CHECK_SAMPLES)})


def _tuples(data: dict[str, Any], names: tuple[str, ...]) -> dict[str, tuple[Any, ...]]:
    return {name: tuple(_list(data.get(name, []), name)) for name in names}


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
    for name in ("host", "job", "asked", "machine"):
        _object(getattr(record, name), name)
    _check_job(record.job)
    _positive(record.scale, "scale")
    if record.roofline is not None:
        _check_roofline(record.roofline)
    for result in record.results:
        _check_result(result)
    for step in record.steps:
        _check_step(step)
    if record.model_check:
        _check_model_check(record.model_check)


def _check_job(job: Mapping[str, Any]) -> None:
    """What every view of a run reads of it."""
    most = {"num_query_heads": MAX_HEADS, "context_length": MAX_CONTEXT, "batch_size": MAX_BATCH}
    for name, largest in most.items():
        _whole(job.get(name), f"job.{name}", largest)
    for kv_heads in _list(job.get("kv_heads"), "job.kv_heads"):
        _whole(kv_heads, "job.kv_heads", MAX_HEADS)
    for length in _list(job.get("lengths", []), "job.lengths"):
        _whole(length, "job.lengths", MAX_CONTEXT)
    if not isinstance(job.get("dtype"), str):
        raise InvalidRecord("job.dtype is not text.")


def _whole(value: object, name: str, largest: int) -> None:
    _positive(value, name)
    if type(value) is not int or value > largest:
        raise InvalidRecord(f"{name} is {value!r}: expected a whole number from 1 to {largest:,}.")


def _check_roofline(roofline: Roofline) -> None:
    for name in ("detail", "read_by", "product_by", "exp_by"):
        if not isinstance(getattr(roofline, name), str):
            raise InvalidRecord(f"roofline.{name} is not text.")
    for rate in ("bytes_per_second", "flops_per_second", "exp_per_second"):
        _positive(getattr(roofline, rate), f"roofline.{rate}")
    for name in RATE_SAMPLES:
        for sample in getattr(roofline, name):
            _positive(sample, f"roofline.{name}")


def _check_step(step: StepResult) -> None:
    for name in ("kv_heads", "attention_seconds", "layer_seconds", "ends_seconds", "num_layers", "batch_size"):
        _positive(getattr(step, name), f"steps.{name}")
    experts = ("num_experts", "experts_per_token", "experts_expected", "experts_drawn")
    seconds = ("roofline_seconds", "arithmetic_seconds", "own_rates_seconds", "products_flops_per_second")
    for name in ("weight_bytes", "read_bytes", "bytes_per_second", *seconds, *experts):
        _positive(getattr(step, name), f"steps.{name}", zero=True)
    for name in ("kernel", "products"):
        if not isinstance(getattr(step, name), str):
            raise InvalidRecord(f"steps.{name} is not text.")
    for sample in (*step.layer_samples, *step.ends_samples):
        _positive(sample, "steps.samples")


def _check_model_check(check: ModelCheck) -> None:
    if not isinstance(check.shape, str):
        raise InvalidRecord("model_check.shape is not text.")
    _positive(check.cache_copy_seconds, "model_check.cache_copy_seconds", zero=True)
    figures = (check.transformers_seconds, check.summed_seconds, *check.transformers_samples, *check.summed_samples)
    for seconds in figures:
        _positive(seconds, "model_check.seconds")


def _check_result(result: KernelResult) -> None:
    if result.status not in STATUSES:
        raise InvalidRecord(f"status of a result is {result.status!r}: expected one of {', '.join(STATUSES)}.")
    for name in ("kernel", "dtype", "detail", "layout"):
        if not isinstance(getattr(result, name), str):
            raise InvalidRecord(f"{name} of a result is not text.")
    for name in result.equal_to:
        if not isinstance(name, str):
            raise InvalidRecord("equal_to of a result is not names.")
    for name in ("best", "fits_cache", "limit_failed"):
        if not isinstance(getattr(result, name), bool):
            raise InvalidRecord(f"{name} of a result is {getattr(result, name)!r}: expected true or false.")
    _positive(result.threads, "threads", zero=True)
    if not isinstance(result.kv_heads, int) or result.kv_heads < 1:
        raise InvalidRecord(f"kv_heads is {result.kv_heads!r}: expected a positive whole number.")
    for sample in (*result.samples, *result.round_samples):
        _positive(sample, "samples")
    for name in ("roofline_seconds", "memory_seconds", "matmul_seconds", "exponential_seconds", "kv_bytes"):
        _positive(getattr(result, name), name, zero=True)
    if result.status == "accepted":
        _positive(result.kv_bytes, "kv_bytes of an accepted result")
    if result.best and not (result.status == "accepted" and result.figure_samples):
        raise InvalidRecord("a result is best without being accepted and timed: export the run again.")
    if result.relative_error is not None:
        _positive(result.relative_error, "relative_error", zero=True)


def _positive(value: object, name: str, *, zero: bool = False) -> None:
    good = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if not good or not (value > 0 or (zero and value == 0)):  # type: ignore[operator]  # a number, by the line above
        raise InvalidRecord(f"{name} is {value!r}: expected a {'non-negative' if zero else 'positive'} number.")


CSV_FIELDS = (
    "kv_heads", "dtype", "kernel", "status", "best", "median_ms", "kv_bytes", "relative_error", "roofline_fraction",
    "roofline_seconds", "memory_seconds", "matmul_seconds", "exponential_seconds", "detail", "layout", "samples",
    "round_samples", "threads", "fits_cache", "limit_failed", "equal_to", "run",
)  # fmt: skip


def to_csv(record: RunRecord) -> str:
    """One line per kernel and G; the run itself is JSON in the column `run`, so that the file can be read back.

    A run without results is one line of that column alone.
    """
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
        row["equal_to"] = " ".join(r.equal_to)
        writer.writerow({name: marked(cell) for name, cell in {**row, "run": run}.items()})
    if not record.results:
        writer.writerow({"run": run})
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
        if any(value is None for row in rows for value in row.values()):
            raise InvalidRecord("a line ends before its last column: export the run again.")
        given = {**json.loads(rows[0]["run"]), "results": [_csv_result(row) for row in rows if row["kernel"]]}
        record = from_dict(given)
        _finite(given)
        return record
    except (KeyError, ValueError, TypeError, RecursionError, OverflowError, csv.Error) as e:
        if isinstance(e, InvalidRecord):
            raise
        raise InvalidRecord(f"not a CSV of a run: {_reason(e)}.") from e


def _csv_result(row: dict[str, str]) -> dict[str, Any]:
    numbers = ("roofline_seconds", "memory_seconds", "matmul_seconds", "exponential_seconds")
    return {
        **{name: as_written(row[name]) for name in ("dtype", "kernel", "status", "detail", "layout")},
        **{name: float(row[name]) for name in numbers},
        "kv_heads": int(row["kv_heads"]),
        "kv_bytes": int(row["kv_bytes"]),
        **{name: str(row.get(name)).lower() == "true" for name in ("best", "fits_cache", "limit_failed")},
        "threads": int(row.get("threads") or 0),
        "equal_to": (row.get("equal_to") or "").split(),
        "relative_error": float(row["relative_error"]) if row["relative_error"] else None,
        "samples": [float(s) for s in row["samples"].split()],
        "round_samples": [float(s) for s in row.get("round_samples", "").split()],
    }
