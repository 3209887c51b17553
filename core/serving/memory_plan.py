"""A serving job in, a memory plan out: bytes per accelerator, each with its formula, its numbers and where they come
from.

    total = weights + KV reserved + recurrent state + max(prefill workspace, runtime reserve)
    fits  = total <= floor(memory x memory_utilization)

All bytes are whole numbers: a share that does not divide is rounded up, the budget is rounded down. Weights are split
evenly over the ranks of a copy; the few tensors that engines copy to every rank (norms, K and V projections of copied
heads) are not counted twice; the weights line says how much the projections are. With more accelerators than
tensor_parallel, copies of the model share the batch, and the plan is the fullest's.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil, floor

from core.engines.plan import EnginePlan
from core.models.notebook import html_table
from core.models.spec import ModelSpec
from core.parameters.formats import PUBLISHED
from core.serving.budget import (
    budget_basis,
    budget_bytes,
    budget_formula,
    counted_by_server,
    is_another_server_s,
    share_bytes,
)
from core.serving.draft import DraftWeights
from core.serving.footprint import Footprint, footprints
from core.serving.job import ServingJob
from core.serving.kv_ledger import KvLedger, kv_ledger
from core.serving.layer_groups import LayerGroup
from core.serving.measured import MEASURED
from core.serving.plan_line import PlanLine, draft_lines
from core.serving.split_words import replica_sentence, split_sentences, weights_formula
from core.serving.stages import Stage, stage_model
from core.serving.stored import average_bits, storage
from core.serving.weights import ParameterCount, kv_projection_parameters
from core.serving.what_if import own_kv_heads
from core.units import GB, MIB, format_both, format_bytes

_LESS_SHARED = "the shared prefix once, the rest of each sequence: "
__all__ = ["MemoryPlan", "PlanLine", "plan", "plan_lines", "total_bytes"]


@dataclass(frozen=True, kw_only=True)
class MemoryPlan:
    """Bytes on one accelerator; with several copies of the model, on one of the fullest copy.

    kv_payload_bytes is the pattern's own need (each KV head once, windows capped) over tensor_parallel;
    kv_reserved_bytes what a paged engine allocates (whole blocks, copied heads) and what the total counts.
    workspace_bytes is None where the dimensions for it are not known; runtime_bytes is the larger of it and the
    reserve.
    """

    job: ServingJob
    model: ModelSpec  # as served: G, windows and FFN width applied
    parameters: ParameterCount
    unspent_parameters: int
    weight_bytes: int
    kv_payload_bytes: int
    kv_reserved_bytes: int
    state_bytes: int
    workspace_bytes: int | None
    runtime_bytes: int
    total_bytes: int
    budget_bytes: int
    draft_weight_bytes: int = 0
    draft_cache_bytes: int = 0  # beside the model's cache; 0 where the engine's pool holds both
    draft_counted: DraftWeights | None = None
    engine_plan: EnginePlan | None = None  # the engine's own, for what the budget leaves; None for the payload
    stage: Stage | None = None  # of a pipeline: whose layers these are

    def _repr_html_(self) -> str:
        return html_table(self.job.device.name, [(line.label, _both(line.num_bytes)) for line in self.lines])

    @property
    def lines(self) -> tuple[PlanLine, ...]:
        """Every figure with its formula; the counted ones add up to total_bytes."""
        return plan_lines(self)

    @property
    def loaded_bytes(self) -> int:
        """Weights, a draft's too."""
        return self.weight_bytes + self.draft_weight_bytes

    @property
    def cached_bytes(self) -> int:
        """The cache as the engine takes it, states and a draft's cache included."""
        return self.kv_reserved_bytes + self.state_bytes + self.draft_cache_bytes

    @property
    def headroom_bytes(self) -> int:
        """Budget less total: negative where the job does not fit."""
        return self.budget_bytes - self.total_bytes

    @property
    def fits(self) -> bool:
        within = self.total_bytes <= self.budget_bytes
        return within if self.engine_plan is None else within and bool(self.engine_plan.fits)

    @property
    def refusal_words(self) -> str:
        """What an engine says where the bytes are there and it does not serve the job; empty elsewhere."""
        asked = self.engine_plan
        if asked is None or self.fits or self.headroom_bytes < 0:
            return ""
        batch, served = self.job.batch_per_replica, floor(asked.max_concurrency or 0)
        if 0 < served < batch:
            return f"{asked.version} serves {served:,} of {batch:,} requests at once from what is left"
        return f"{asked.version} does not serve it from what is left"

    @property
    def memory_reading_decides(self) -> bool:
        """Whether the product's GB and the device's own reading give different verdicts: say which one was used."""
        if is_another_server_s(self.job):
            return False
        within = self.total_bytes <= self.budget_bytes
        return within != (self.total_bytes <= self.nominal_budget_bytes)

    @property
    def nominal_budget_bytes(self) -> int:
        """The budget if the product's GB x 10^9 were all there is; the budget itself where it has no nominal figure."""
        nominal = self.job.device.memory_nominal_bytes
        return self.budget_bytes if nominal is None else share_bytes(nominal, self.job.memory_utilization)

    @property
    def memory_sentence(self) -> str:
        """What the accelerator's GB mean for this verdict, in GB and GiB."""
        device, budget = self.job.device, f"the budget is {_both(self.budget_bytes)}"
        if device.memory_nominal_bytes is None or device.memory_reported_bytes is None:
            return f"{device.memory_basis} T{budget[1:]}."
        gb = f"{device.memory_nominal_bytes / GB:g}"
        if counted_by_server(self.job) or is_another_server_s(self.job):
            return f"{budget_basis(self.job)} T{budget[1:]}."
        nominal = f"{gb} x 10^9 bytes x {self.job.memory_utilization:g} would be {_both(self.nominal_budget_bytes)}"
        own = f"the device reports {device.memory_reported_bytes / MIB:,.0f} MiB, so {budget}"
        if not self.memory_reading_decides:
            return f"Both readings of {gb} GB agree: {nominal}, and {own}."
        too_little = f"{nominal} and hold too little; {own} and it fits"
        enough = f"{nominal} and hold it; {own} and it does not fit"
        needs = f"the job needs {_both(self.total_bytes)}"
        return f"Which {gb} GB decides here: {needs}. {too_little if self.fits else enough}."


def plan(job: ServingJob) -> MemoryPlan:
    """The memory plan of a job; of a pipeline, that of its fullest stage. Raises SizingError where the parameters
    cannot be counted."""
    return min(stage_plans(job), key=fullness)


def stage_plans(job: ServingJob) -> tuple[MemoryPlan, ...]:
    """The plan of one accelerator of each stage; of the only one where there is no pipeline."""
    return tuple(_plan_of(job, needs) for needs in footprints(job))


def fullness(made: MemoryPlan) -> tuple[bool, float, int]:
    """Sorts the fullest first: what does not fit, what serves the fewest requests, what leaves the fewest bytes."""
    requests = None if made.engine_plan is None else made.engine_plan.max_concurrency
    return made.fits, float("inf") if requests is None else requests, made.headroom_bytes


def _plan_of(job: ServingJob, needs: Footprint) -> MemoryPlan:
    batch, context = job.batch_per_replica, job.context_length
    return MemoryPlan(
        job=job,
        model=needs.weights.model,
        parameters=needs.weights.count,
        unspent_parameters=needs.weights.unspent_parameters,
        weight_bytes=needs.weight_bytes,
        kv_payload_bytes=needs.payload_bytes(batch, context),
        kv_reserved_bytes=needs.reserved_bytes(batch, context),
        state_bytes=needs.state_bytes(batch),
        workspace_bytes=needs.workspace_bytes(batch, context),
        runtime_bytes=needs.runtime_bytes(batch, context),
        total_bytes=needs.total_bytes(batch, context),
        budget_bytes=budget_bytes(job),
        draft_weight_bytes=needs.draft_weight_bytes,
        draft_cache_bytes=needs.draft_cache_bytes(batch, context),
        draft_counted=None if needs.draft is None else needs.draft.counted,
        engine_plan=needs.engine_plan(batch, context, budget_bytes(job)),
        stage=needs.stage,
    )


def total_bytes(job: ServingJob) -> int:
    """The plan's total alone; of a pipeline the stage that rules may hold fewer bytes than another."""
    if job.pipeline_parallel > 1:
        return plan(job).total_bytes
    return footprints(job)[0].total_bytes(job.batch_per_replica, job.context_length)


def _both(count: int) -> str:
    return format_both(count, digits=2)


def plan_lines(plan: MemoryPlan) -> tuple[PlanLine, ...]:
    """Lines in the order in which people add them up; recurrent state only where the model has some."""
    served = plan.job.served_model if plan.stage is None else stage_model(plan.job.served_model, plan.stage)
    ledger = kv_ledger(served, plan.job.tensor_parallel, plan.job.kv_bits_per_element)
    lines = [_weights_line(plan), _payload_line(plan, ledger), _reserved_line(plan, ledger)]
    if plan.state_bytes:
        lines.append(_state_line(plan, ledger))
    lines += draft_lines(plan.job, plan.draft_counted, plan.draft_weight_bytes, plan.draft_cache_bytes)
    return (*lines, _runtime_line(plan), _total_line(plan), _budget_line(plan), _headroom_line(plan))


def _weights_line(plan: MemoryPlan) -> PlanLine:
    job, how = plan.job, storage(plan.job)
    from_files = job.weight_format == PUBLISHED and job.weight_file_bytes is not None
    uniform = how.bits == {} and not from_files
    formula, substituted = weights_formula(job, plan.parameters.total, plan.weight_bytes, uniform=uniform)
    return PlanLine(
        key="weights",
        label="Weights",
        formula=formula,
        substituted=substituted,
        num_bytes=plan.weight_bytes,
        provenance=" ".join(
            [
                f"Parameters: {plan.parameters.source}. {plan.parameters.sentence}{_copied_projections(plan)}",
                *([f"The files hold {job.weight_file_bytes:,} bytes."] if from_files else []),
                *([] if uniform else [how.sentence]),
                *split_sentences(job, plan.stage, plan.parameters),
            ]
        ),
        counted=True,
    )


def _copied_projections(plan: MemoryPlan) -> str:
    """What engines add where KV heads are copied: their K and V projections too. Said, not counted in the total."""
    ranks, kv_heads = plan.job.tensor_parallel, own_kv_heads(plan.model)
    if kv_heads is None or ranks <= kv_heads:
        return ""
    copied = kv_projection_parameters(plan.model) * (ranks - kv_heads) / (ranks * kv_heads)
    num_bytes = copied * average_bits(plan.job, plan.parameters) / 8
    return (
        f" Engines copy the K and V projections of copied heads too: {format_bytes(num_bytes)} "
        f"more on each accelerator, which the reserve has to hold."
    )


def _payload_line(plan: MemoryPlan, ledger: KvLedger) -> PlanLine:
    job = plan.job
    each, shared = (
        [f"{group.layers} × {group.kv_heads} × {group.width_per_head} × {entries(group):,}" for group in ledger.groups]
        for entries in _entries(job, job.shared_prefix)
    )
    return PlanLine(
        key="kv_payload",
        label="KV cache, payload",
        formula=f"{_LESS_SHARED if job.shared_prefix else ''}"
        "layers × KV heads × (key + value width) × tokens × sequences × bits / 8 / tensor parallel",
        substituted=f"{_of_all(job, each, shared)} × {_bits(plan)} / 8 / {job.tensor_parallel}",
        num_bytes=plan.kv_payload_bytes,
        provenance=" ".join(
            [
                "What the attention pattern needs, each KV head once.",
                *_window_sentence(ledger.groups),
                *_parts_sentence(plan, ledger),
            ]
        ),
    )


def _reserved_line(plan: MemoryPlan, ledger: KvLedger) -> PlanLine:
    job = plan.job
    if plan.engine_plan is not None:
        return _engine_line(plan, plan.engine_plan)
    each = [
        f"{group.layers} × {group.rank_width} × {group.block_entries(job.context_length, job.block_size):,}"
        for group in ledger.groups
    ]
    whole = job.shared_prefix // job.block_size * job.block_size
    shared = [
        f"{group.layers} × {group.rank_width} × {group.shared_entries(job.context_length, whole):,}"
        for group in ledger.groups
    ]
    tokens, blocks = "tokens", "The payload of one accelerator, in no blocks: name an engine for what it reserves."
    if job.block_size > 1:
        tokens, blocks = "tokens in whole blocks", f"Blocks of {job.block_size} tokens."
    return PlanLine(
        key="kv_reserved",
        label="KV cache, reserved by the engine",
        formula=f"{_LESS_SHARED if job.shared_prefix else ''}"
        f"layers × (key + value width on this accelerator) × {tokens} × sequences × bits / 8",
        substituted=f"{_of_all(job, each, shared)} × {_bits(plan)} / 8",
        num_bytes=plan.kv_reserved_bytes,
        provenance=" ".join([blocks, *_copy_sentences(plan, ledger.groups)]),
        counted=True,
    )


def _engine_line(plan: MemoryPlan, asked: EnginePlan) -> PlanLine:
    """What the named engine takes; its own notes say why it is more than the payload."""
    batch = f"{plan.job.batch_per_replica:,}"
    substituted = f"{batch} requests" if asked.request_bytes is None else f"{asked.request_bytes:,} a request × {batch}"
    if asked.request_bytes is not None and asked.shared_bytes:
        substituted += f" − {asked.shared_bytes:,} of the shared prefix × {plan.job.batch_per_replica - 1:,}"
    notes = [
        f"{note.name}: {' = '.join(filter(None, (note.formula, note.numbers, note.result)))}. {note.reason}".strip()
        for note in asked.notes
    ]
    return PlanLine(
        key="kv_reserved",
        label=f"KV cache, as {asked.version} takes it",
        formula="what the engine takes for the batch, states included",
        substituted=substituted,
        num_bytes=plan.kv_reserved_bytes,
        provenance=" ".join([f"Rules of {asked.version}.", *notes]),
        counted=True,
    )


def _state_line(plan: MemoryPlan, ledger: KvLedger) -> PlanLine:
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


def _runtime_line(plan: MemoryPlan) -> PlanLine:
    reserve = ceil(plan.job.runtime_reserve_bytes)
    if plan.job.measured is not None:
        numbers, why = f"{plan.runtime_bytes:,}", MEASURED
    elif plan.workspace_bytes is None:
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


def _total_line(plan: MemoryPlan) -> PlanLine:
    addends = [plan.weight_bytes, plan.kv_reserved_bytes, plan.state_bytes, plan.runtime_bytes]
    drafted = plan.job.draft is not None
    addends += [plan.draft_weight_bytes, plan.draft_cache_bytes] if drafted else []
    return PlanLine(
        key="total",
        label="Total on one accelerator",
        formula="weights + KV reserved + recurrent state + runtime" + (" + draft and its cache" if drafted else ""),
        substituted=" + ".join(f"{addend:,}" for addend in addends),
        num_bytes=plan.total_bytes,
        provenance=replica_sentence(plan.job, plan.stage),
    )


def _budget_line(plan: MemoryPlan) -> PlanLine:
    formula, substituted = budget_formula(plan.job)
    return PlanLine(
        key="budget",
        label="Budget by the server's log"
        if is_another_server_s(plan.job)
        else f"Budget of one {plan.job.device.name}",
        formula=formula,
        substituted=substituted,
        num_bytes=plan.budget_bytes,
        provenance=budget_basis(plan.job),
    )


def _headroom_line(plan: MemoryPlan) -> PlanLine:
    missing = plan.headroom_bytes < 0
    return PlanLine(
        key="headroom",
        label="Missing" if missing else "Headroom",
        formula="budget − total",
        substituted=f"{plan.budget_bytes:,} − {plan.total_bytes:,}",
        num_bytes=plan.headroom_bytes,
        provenance="The job fits." if plan.fits
        else "The job does not fit: the total is above the budget." if missing
        else f"The job does not fit: {plan.refusal_words}.",
    )  # fmt: skip


def _entries(job: ServingJob, prefix: int) -> tuple[Callable[[LayerGroup], int], Callable[[LayerGroup], int]]:
    """What a group keeps of one sequence, and what of it is the prefix's."""
    context = job.context_length
    return lambda group: group.entries(context), lambda group: group.shared_entries(context, prefix)


def _of_all(job: ServingJob, each: list[str], shared: list[str]) -> str:
    """A sequence's elements times the sequences, less the prefix of all but one."""
    batch = job.batch_per_replica
    if not job.shared_prefix:
        return f"{_sum(each)} × {batch:,}"
    return f"({_sum(each)} × {batch:,} − {_sum(shared)} × {batch - 1:,})"


def _sum(terms: list[str]) -> str:
    """'40 × 8 × ...' as it is, several in brackets; a model without a cache has none."""
    if not terms:
        return "0"
    return terms[0] if len(terms) == 1 else f"({' + '.join(terms)})"


def _bits(plan: MemoryPlan) -> str:
    job = plan.job
    if not job.kv_scale_overhead_bits:
        return f"{job.kv_bits}"
    return f"({job.kv_bits} + {job.kv_scale_overhead_bits} / {job.kv_elements_per_scale})"


def _window_sentence(groups: tuple[LayerGroup, ...]) -> list[str]:
    windows = [f"{group.layers} layers keep the last {group.window:,} tokens" for group in groups if group.window]
    return ["; ".join(windows) + "."] if windows else []


def _parts_sentence(plan: MemoryPlan, ledger: KvLedger) -> list[str]:
    """What is kept beside keys and values, or latents, each part with its bytes; nothing where there is none."""
    job = plan.job
    parts = ledger.payload_parts(job.context_length)
    if len(parts) < 2:
        return []
    scale = job.kv_bits_per_element * job.batch_per_replica / 8 / job.tensor_parallel
    said = [f"{name} {format_bytes(float(elements * scale))}" for name, elements in parts.items()]
    return [f"By part: {', '.join(said)}."]


def _copy_sentences(plan: MemoryPlan, groups: tuple[LayerGroup, ...]) -> list[str]:
    ranks = plan.job.tensor_parallel
    copied = sorted({group.kv_heads for group in groups if group.attends and ranks > group.kv_heads})
    said = [f"{heads} KV head(s) over {ranks} accelerators: {ranks // heads} copies of each." for heads in copied]
    beside = list(dict.fromkeys(group.part for group in groups if not group.attends))
    if beside and ranks > 1:
        said.append(f"{' and '.join(beside).capitalize()} have no heads to split: whole on each accelerator.")
    return said
