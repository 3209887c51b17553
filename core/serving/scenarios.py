"""Jobs side by side: what each takes and holds on one accelerator, and what moved against the first.

Every figure is the plan's or an exact answer of core.serving.inverse; a move is a difference and a ratio to the first
scenario's figure, and stands only where both are known.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from core.parameters.formats import NAMED, PUBLISHED
from core.serving.draft import NAMED as NAMED_DRAFTS
from core.serving.engine_words import NAMES
from core.serving.inverse import Answer, fewest_accelerators, largest_batch, longest_context
from core.serving.job import ServingJob
from core.serving.memory_plan import MemoryPlan
from core.serving.offload import Offload
from core.serving.options import Option, option_of
from core.serving.serve import device_words
from core.serving.what_if import own_kv_heads
from core.units import GB, format_bytes, in_gb

MOST_SCENARIOS = 4
MOST_WORDS = 3  # differences that a name says; the others are counted


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """A job with its G, the name of its model, and the G that was asked for (None: the largest that fits)."""

    model_name: str
    job: ServingJob
    asked_kv_heads: int | None = None


@dataclass(frozen=True, kw_only=True)
class Measure:
    """One figure of a scenario: value in unit, None where nothing fits; and how it moved against the first one's.

    least says that memory sets no limit: the value is the largest that Headroom takes.
    """

    label: str
    unit: str
    value: int | None
    least: bool = False
    difference: int | None = None
    ratio: float | None = None


@dataclass(frozen=True, kw_only=True)
class ScenarioRow:
    """A scenario's answer. name says what differs from the first; the first one's what it is."""

    name: str
    verdict: str
    option: Option
    measures: tuple[Measure, ...]

    @property
    def plan(self) -> MemoryPlan:
        """The memory plan behind the figures."""
        return self.option.plan


def scenario_rows(scenarios: Sequence[Scenario]) -> tuple[ScenarioRow, ...]:
    """A row a scenario, in order. Raises SizingError as plan(job) does."""
    rows: list[ScenarioRow] = []
    for place, scenario in enumerate(scenarios):
        option = option_of(scenario.job)
        measures = _measures(option.plan)
        name = difference_words(scenarios[0], scenario) if place else scenario_words(scenario)
        if rows:
            pairs = zip(rows[0].measures, measures, strict=True)
            measures = tuple(_moved(first, measure) for first, measure in pairs)
        rows.append(ScenarioRow(name=name, verdict=_verdict(option.plan), option=option, measures=measures))
    return tuple(rows)


def _measures(plan: MemoryPlan) -> tuple[Measure, ...]:
    job = plan.job
    return (
        Measure(label="KV heads G", unit="heads", value=job.num_kv_heads or own_kv_heads(job.model)),
        Measure(label="Cache, payload", unit="bytes", value=plan.kv_payload_bytes),
        Measure(label="Cache, as the engine takes it", unit="bytes", value=plan.kv_reserved_bytes + plan.state_bytes),
        Measure(label="Weights", unit="bytes", value=plan.weight_bytes),
        Measure(label="Total on one accelerator", unit="bytes", value=plan.total_bytes),
        _answer("Largest batch", "requests", largest_batch(job)),
        _answer("Longest context", "tokens", longest_context(job)),
        _answer("Fewest accelerators", "accelerators", fewest_accelerators(job)),
    )


def _answer(label: str, unit: str, answer: Answer) -> Measure:
    return Measure(label=label, unit=unit, value=int(answer) if answer.fits else None, least=answer.at_limit)


def _moved(first: Measure, measure: Measure) -> Measure:
    if first.value is None or measure.value is None or first.least or measure.least:
        return measure
    return Measure(
        label=measure.label,
        unit=measure.unit,
        value=measure.value,
        difference=measure.value - first.value,
        ratio=measure.value / first.value if first.value else None,
    )


def _verdict(plan: MemoryPlan) -> str:
    """'fits, 10.08 GB to spare'; bytes may be there where the engine's own limits are not met."""
    if plan.fits:
        return f"fits, {in_gb(plan.headroom_bytes)} to spare"
    if plan.headroom_bytes >= 0:
        return f"does not fit: {plan.refusal_words}"
    return f"does not fit, {in_gb(-plan.headroom_bytes)} are missing"


def measure_words(measure: Measure) -> str:
    """'21.5 GB', '40 requests', 'none'."""
    if measure.value is None:
        return "none"
    least = "at least " if measure.least else ""
    if measure.unit == "bytes":
        return format_bytes(measure.value, 2)
    one = measure.unit.removesuffix("s") if measure.value == 1 else measure.unit
    return f"{least}{measure.value:,}" if measure.unit == "heads" else f"{least}{measure.value:,} {one}"


def moved_words(measure: Measure) -> str:
    """'−21.47 GB, × 0.5', 'as the first'; empty where there is nothing to compare."""
    if measure.difference is None:
        return ""
    if measure.difference == 0:
        return "as the first"
    sign, size = ("+" if measure.difference > 0 else "−"), abs(measure.difference)
    by = f"{sign}{format_bytes(size, 2) if measure.unit == 'bytes' else f'{size:,}'}"
    return by if measure.ratio is None else f"{by}, × {measure.ratio:.4g}"


def scenario_words(scenario: Scenario) -> str:
    """'Llama-2 13B on one H100 SXM5 80 GB, 32 × 65,536 tokens, bf16 cache'."""
    job = scenario.job
    return (
        f"{scenario.model_name} on {device_words(job)}, {job.batch_size:,} × {job.context_length:,} tokens, "
        f"{_cache(job)}"
    )


def difference_words(first: Scenario, other: Scenario) -> str:
    """What another scenario has differently, in a few words: '8-bit cache', '2 × H100 SXM5 80 GB'."""
    said = [words(other) for asked, words in _DIFFERENCES if asked(first) != asked(other)]
    if first.job.engine == other.job.engine and first.job.engine_settings != other.job.engine_settings:
        said.append(f"other settings of {NAMES[other.job.engine]}")  # another engine has its own
    if first.model_name == other.model_name and first.job.parameter_count != other.job.parameter_count:
        said.append(_count(other.job))
    if not said:
        return "the same as the first"
    more = len(said) - MOST_WORDS
    return ", ".join(said) if more <= 0 else f"{', '.join(said[:MOST_WORDS])} and {more} more"


def _cache(job: ServingJob) -> str:
    if job.stored_type is not None:
        return f"cache in {job.stored_type.name}"
    return f"{'bf16' if job.kv_bits == 16 else f'{job.kv_bits}-bit'} cache"


def _weights(job: ServingJob) -> str:
    if job.weight_format is None:
        return f"{job.weight_bits:g}-bit weights"
    return "weights as published" if job.weight_format == PUBLISHED else f"{NAMED[job.weight_format].label} weights"


def _windows(job: ServingJob) -> str:
    pattern = job.window_pattern
    return "the model's windows" if pattern is None else f"{pattern.local_layers} layers of {pattern.window:,} tokens"


def _count(job: ServingJob) -> str:
    count = job.parameter_count
    return "counted parameters" if count is None else f"{count.total:,} parameters"


def _scales(job: ServingJob) -> str:
    return f"{job.kv_scale_overhead_bits} scale bits for {job.kv_elements_per_scale} elements"


def _prefix(job: ServingJob) -> str:
    return f"{job.shared_prefix:,} tokens shared" if job.shared_prefix else "no shared prefix"


def _draft(job: ServingJob) -> str:
    draft = job.draft
    return "no draft" if draft is None else f"{NAMED_DRAFTS[draft.method]}, {draft.tokens} tokens"


def _offload(room: Offload) -> str:
    return f"{format_bytes(room.num_bytes)} of offload at {room.bandwidth_bytes_per_s / GB:g} GB/s"


def _measured(job: ServingJob) -> str:
    return "memory computed" if job.measured is None else "memory measured"


_DIFFERENCES: tuple[tuple[Callable[[Scenario], Any], Callable[[Scenario], str]], ...] = (
    (lambda s: (s.model_name, s.job.model), lambda s: s.model_name),
    (lambda s: (s.job.device, s.job.num_accelerators), lambda s: f"{s.job.num_accelerators:,} × {s.job.device.name}"),
    (lambda s: _cache(s.job), lambda s: _cache(s.job)),
    (lambda s: (s.job.weight_format, s.job.weight_bits), lambda s: _weights(s.job)),
    (
        lambda s: s.asked_kv_heads,
        lambda s: f"G = {s.asked_kv_heads}" if s.asked_kv_heads else "the largest G that fits",
    ),
    (lambda s: s.job.batch_size, lambda s: f"{s.job.batch_size:,} request{'' if s.job.batch_size == 1 else 's'}"),
    (lambda s: s.job.context_length, lambda s: f"{s.job.context_length:,} tokens"),
    (lambda s: s.job.engine, lambda s: NAMES[s.job.engine]),
    (lambda s: s.job.tensor_parallel, lambda s: f"tensor parallel {s.job.tensor_parallel}"),
    (lambda s: s.job.pipeline_parallel, lambda s: f"pipeline parallel {s.job.pipeline_parallel}"),
    (lambda s: s.job.data_parallel, lambda s: f"data parallel {s.job.data_parallel}"),
    (lambda s: s.job.expert_parallel, lambda s: "experts whole" if s.job.expert_parallel else "experts sliced"),
    (lambda s: s.job.window_pattern, lambda s: _windows(s.job)),
    (lambda s: s.job.freed_parameters, lambda s: f"freed parameters {s.job.freed_parameters}"),
    (lambda s: s.job.memory_utilization, lambda s: f"utilisation {s.job.memory_utilization:g}"),
    (lambda s: s.job.runtime_reserve_bytes, lambda s: f"reserve {s.job.runtime_reserve_bytes / GB:g} GB"),
    (lambda s: s.job.measured, lambda s: _measured(s.job)),
    (lambda s: (s.job.kv_scale_overhead_bits, s.job.kv_elements_per_scale), lambda s: _scales(s.job)),
    (lambda s: s.job.block_size, lambda s: f"blocks of {s.job.block_size}"),
    (lambda s: s.job.prefill_chunk, lambda s: f"chunks of {s.job.prefill_chunk:,} tokens"),
    (lambda s: s.job.shared_prefix, lambda s: _prefix(s.job)),
    (lambda s: s.job.draft, lambda s: _draft(s.job)),
    (lambda s: s.job.offload, lambda s: "no offload" if s.job.offload is None else _offload(s.job.offload)),
    (lambda s: s.job.memory_reading, lambda s: f"the {s.job.memory_reading}'s reading of memory"),
)
