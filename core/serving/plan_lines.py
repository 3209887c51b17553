"""The lines of a memory plan: label, formula, the same with its numbers, bytes, and one sentence on where they come
from."""

from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING

from core.serving.kv_ledger import KvLedger, LayerGroup, kv_ledger
from core.serving.weights import kv_projection_parameters
from core.serving.what_if import own_kv_heads
from core.units import format_bytes

if TYPE_CHECKING:
    from core.serving.memory_plan import MemoryPlan


@dataclass(frozen=True, kw_only=True)
class PlanLine:
    """One figure of a plan. counted says whether it is an addend of the total."""

    key: str  # 'weights', 'kv_payload', 'kv_reserved', 'state', 'runtime', 'total', 'budget', 'headroom'
    label: str
    formula: str
    substituted: str
    num_bytes: int
    provenance: str
    counted: bool = False


def plan_lines(plan: "MemoryPlan") -> tuple[PlanLine, ...]:
    """Lines in the order in which people add them up; recurrent state only where the model has some."""
    ledger = kv_ledger(plan.job.served_model, plan.job.tensor_parallel)
    lines = [_weights(plan), _payload(plan, ledger), _reserved(plan, ledger)]
    if plan.state_bytes:
        lines.append(_state(plan, ledger))
    return (*lines, _runtime(plan), _total(plan), _budget(plan), _headroom(plan))


def _weights(plan: "MemoryPlan") -> PlanLine:
    job = plan.job
    numbers = f"{plan.parameters.parameters:,} × {job.weight_bits:g} / 8 / {job.tensor_parallel}"
    return PlanLine(
        key="weights",
        label="Weights",
        formula="parameters × weight bits / 8 / tensor parallel",
        substituted=numbers,
        num_bytes=plan.weight_bytes,
        provenance=f"Parameters: {plan.parameters.source}. {plan.parameters.sentence}{_copied_projections(plan)}",
        counted=True,
    )


def _copied_projections(plan: "MemoryPlan") -> str:
    """What engines add where KV heads are copied: their K and V projections too. Said, not counted in the total."""
    ranks, kv_heads = plan.job.tensor_parallel, own_kv_heads(plan.model)
    if kv_heads is None or ranks <= kv_heads:
        return ""
    copied = kv_projection_parameters(plan.model) * (ranks - kv_heads) / (ranks * kv_heads)
    return (
        f" Engines copy the K and V projections of copied heads too: {format_bytes(copied * plan.job.weight_bits / 8)} "
        f"more on each accelerator, which the reserve has to hold."
    )


def _payload(plan: "MemoryPlan", ledger: KvLedger) -> PlanLine:
    job = plan.job
    terms = [
        f"{group.layers} × {group.kv_heads} × {group.width_per_head} × {group.tokens(job.context_length):,}"
        for group in ledger.groups
    ]
    return PlanLine(
        key="kv_payload",
        label="KV cache, payload",
        formula="layers × KV heads × (key + value width) × tokens × sequences × bits / 8 / tensor parallel",
        substituted=f"{_sum(terms)} × {job.batch_per_replica:,} × {_bits(plan)} / 8 / {job.tensor_parallel}",
        num_bytes=plan.kv_payload_bytes,
        provenance=" ".join(["What the attention pattern needs, each KV head once.", *_window_sentence(ledger.groups)]),
    )


def _reserved(plan: "MemoryPlan", ledger: KvLedger) -> PlanLine:
    job = plan.job
    terms = [
        f"{group.layers} × {group.rank_width} × {group.block_tokens(job.context_length, job.block_size):,}"
        for group in ledger.groups
    ]
    return PlanLine(
        key="kv_reserved",
        label="KV cache, reserved by the engine",
        formula="layers × (key + value width on this accelerator) × tokens in whole blocks × sequences × bits / 8",
        substituted=f"{_sum(terms)} × {job.batch_per_replica:,} × {_bits(plan)} / 8",
        num_bytes=plan.kv_reserved_bytes,
        provenance=" ".join([f"Blocks of {job.block_size} tokens.", *_copy_sentences(plan, ledger.groups)]),
        counted=True,
    )


def _state(plan: "MemoryPlan", ledger: KvLedger) -> PlanLine:
    return PlanLine(
        key="state",
        label="Recurrent state",
        formula="state bytes of one sequence × sequences",
        substituted=f"{ledger.state_bytes:,} × {plan.job.batch_per_replica:,}",
        num_bytes=plan.state_bytes,
        provenance="Constant whatever the context: 2 bytes an element, 4 where the model keeps float32, and in full on "
        "every accelerator.",
        counted=True,
    )


def _runtime(plan: "MemoryPlan") -> PlanLine:
    reserve = ceil(plan.job.runtime_reserve_bytes)
    if plan.workspace_bytes is None:
        numbers, why = f"{reserve:,}", "The workspace is not computed for this architecture: the reserve stands alone."
    else:
        larger = "workspace" if plan.workspace_bytes > reserve else "reserve"
        numbers = f"max({plan.workspace_bytes:,}, {reserve:,})"
        why = f"Activations of a prefill chunk of {plan.job.prefill_chunk:,} tokens at 2 bytes; the {larger} is larger."
    return PlanLine(
        key="runtime",
        label="Activations, prefill workspace and runtime",
        formula="max(prefill workspace, runtime reserve)",
        substituted=numbers,
        num_bytes=plan.runtime_bytes,
        provenance=why,
        counted=True,
    )


def _total(plan: "MemoryPlan") -> PlanLine:
    addends = [plan.weight_bytes, plan.kv_reserved_bytes, plan.state_bytes, plan.runtime_bytes]
    return PlanLine(
        key="total",
        label="Total on one accelerator",
        formula="weights + KV reserved + recurrent state + runtime",
        substituted=" + ".join(f"{addend:,}" for addend in addends),
        num_bytes=plan.total_bytes,
        provenance=_replica_sentence(plan),
    )


def _budget(plan: "MemoryPlan") -> PlanLine:
    device = plan.job.device
    return PlanLine(
        key="budget",
        label=f"Budget of one {device.name}",
        formula="memory × utilisation, rounded down",
        substituted=f"{device.memory_bytes:,} × {plan.job.memory_utilization:g}",
        num_bytes=plan.budget_bytes,
        provenance=device.memory_basis,
    )


def _headroom(plan: "MemoryPlan") -> PlanLine:
    return PlanLine(
        key="headroom",
        label="Headroom" if plan.fits else "Missing",
        formula="budget − total",
        substituted=f"{plan.budget_bytes:,} − {plan.total_bytes:,}",
        num_bytes=plan.headroom_bytes,
        provenance="The job fits." if plan.fits else "The job does not fit: the total is above the budget.",
    )


def _sum(terms: list[str]) -> str:
    """'40 × 8 × ...' as it is, several in brackets; a model without a cache has none."""
    if not terms:
        return "0"
    return terms[0] if len(terms) == 1 else f"({' + '.join(terms)})"


def _bits(plan: "MemoryPlan") -> str:
    job = plan.job
    if not job.kv_scale_overhead_bits:
        return f"{job.kv_bits}"
    return f"({job.kv_bits} + {job.kv_scale_overhead_bits} / {job.kv_elements_per_scale})"


def _window_sentence(groups: tuple[LayerGroup, ...]) -> list[str]:
    windows = [f"{group.layers} layers keep the last {group.window:,} tokens" for group in groups if group.window]
    return ["; ".join(windows) + "."] if windows else []


def _copy_sentences(plan: "MemoryPlan", groups: tuple[LayerGroup, ...]) -> list[str]:
    ranks = plan.job.tensor_parallel
    copied = sorted({group.kv_heads for group in groups if ranks > group.kv_heads})
    return [f"{heads} KV head(s) over {ranks} accelerators: {ranks // heads} copies of each." for heads in copied]


def _replica_sentence(plan: "MemoryPlan") -> str:
    job = plan.job
    if job.num_accelerators == 1:
        return "One accelerator holds everything."
    copies = f"{job.replicas} copies of the model, {job.tensor_parallel} accelerators each"
    return f"{copies}; the fullest copy decodes {job.batch_per_replica:,} of {job.batch_size:,} sequences."
