"""One figure of a memory plan with its formula, and the lines of what a server holds beside model and cache."""

from dataclasses import dataclass

from core.serving.draft import NAMED, Draft, DraftWeights
from core.serving.draft_stored import draft_storage
from core.serving.job import ServingJob


@dataclass(frozen=True, kw_only=True)
class PlanLine:
    """One figure of a plan. counted says whether it is an addend of the total."""

    key: str  # 'weights', 'kv_payload', 'kv_reserved', 'state', 'draft_weights', 'draft_cache', 'runtime', 'total', …
    label: str
    formula: str
    substituted: str
    num_bytes: int
    provenance: str
    counted: bool = False


def draft_lines(
    job: ServingJob, counted: DraftWeights | None, weight_bytes: int, cache_bytes: int
) -> tuple[PlanLine, ...]:
    """The draft's weights, and its cache where that stands apart; nothing without a draft."""
    draft = job.draft
    if draft is None or counted is None:
        return ()
    bits = weight_bytes * 8 / counted.parameters
    if counted.count.routed_experts and (job.data_parallel > 1 or job.expert_parallel):
        formula = "parameters added × bits / 8 / tensor parallel, experts over the ranks that share them"
        substituted = f"{counted.parameters:,} × {bits:.6g} bits on this rank / 8"
    else:
        formula = "parameters added × bits / 8 / tensor parallel"
        substituted = f"{counted.parameters:,} × {bits * job.tensor_parallel:.6g} / 8 / {job.tensor_parallel}"
    weights = PlanLine(
        key="draft_weights",
        label=f"Draft, {NAMED[draft.method]}",
        formula=formula,
        substituted=substituted,
        num_bytes=weight_bytes,
        provenance=f"Parameters: {counted.formula} = {counted.numbers}. {_stored(job, draft)}".rstrip(),
        counted=True,
    )
    if job.engine in ("vllm", "sglang"):
        return (weights,)
    batch, prefix = job.batch_per_replica, job.shared_prefix
    cache = PlanLine(
        key="draft_cache",
        label="Cache of the draft",
        formula=f"what the draft's layers keep for the batch{', the shared prefix once' if prefix else ''}",
        substituted=f"{batch:,} × {job.context_length:,} tokens" + (f" − {batch - 1:,} × {prefix:,}" if prefix else ""),
        num_bytes=cache_bytes,
        provenance="Beside the model's own cache, of the same length.",
        counted=True,
    )
    return (weights, cache)


def _stored(job: ServingJob, draft: Draft) -> str:
    """How the draft's weights are stored, where the job says no one width for all."""
    if job.weight_format is None:
        return ""
    how = draft_storage(job, draft)
    return how.sentence if how.bits else "Stored at 16 bits."
