"""Bounds on what a draft, a shared prefix and an offload do for speed; each the best case, with its formula.

tokens of a step with a draft <= speculated + 1, all accepted
seconds of it                 >= the model's step over speculated + 1 tokens a request, and the draft's steps
first token with the prefix in the cache >= prefill of what is left
a request brought back        >= its bytes over the link
"""

from dataclasses import dataclass, replace

from core.serving.draft_stored import draft_cache_read_bytes, draft_read_bytes
from core.serving.footprint import footprint
from core.serving.job import ServingJob
from core.serving.memory_plan import MemoryPlan
from core.serving.offload import OffloadBound, by_chunks, offload_bound
from core.serving.prefill import PrefillBound, prefill_bound
from core.serving.roofline import StepBound, decode_bound, emptier_copy, reads_of
from core.serving.step_reads import rounded_bytes


@dataclass(frozen=True, kw_only=True)
class DraftBound:
    """A step with a draft; seconds are None where the accelerator's bandwidth is unknown."""

    speculated: int
    plain: StepBound  # the model's own step, one token a request
    checked: StepBound  # weights and cache read once for speculated + 1 tokens a request, which wake more experts
    draft_bytes: int  # of one step of the draft: weights that it reads, and its cache where that is known apart
    draft_seconds: float | None  # of all its steps
    emptier: "DraftBound | None" = None  # of a copy with a sequence less, where copies share a batch unevenly

    @property
    def seconds(self) -> float | None:
        step = self.checked.step_seconds
        return None if step is None or self.draft_seconds is None else step + self.draft_seconds

    @property
    def tokens_per_second(self) -> float | None:
        """All users, every token accepted."""
        least = self.least_tokens_per_second
        return None if least is None else least * (self.speculated + 1)

    @property
    def least_tokens_per_second(self) -> float | None:
        """At the same bound where none is accepted: what the draft costs."""
        return self.plain.rate(self.seconds, None if self.emptier is None else self.emptier.least_tokens_per_second)


def draft_bound(job: ServingJob) -> DraftBound | None:
    """None without a draft. Raises SizingError as plan(job) does."""
    if job.draft is None:
        return None
    plain, needs, emptier = decode_bound(job), footprint(job), emptier_copy(job)
    more = job.draft.tokens + 1
    checked = replace(plain, weight_flops=plain.weight_flops * more, attention_flops=plain.attention_flops * more)
    if needs.weights.count.expert_groups:  # each drafted token chooses experts of its own
        weights = reads_of(job, needs.weights.count, job.batch_per_replica * more)
        checked = replace(checked, weight_read_bytes=rounded_bytes(weights.expected_bits, job.tensor_parallel))
    assert needs.draft is not None
    read = draft_read_bytes(job, job.draft, needs.draft.counted) + draft_cache_read_bytes(job, job.draft)
    bandwidth = plain.bandwidth_bytes_per_s
    return DraftBound(
        speculated=job.draft.tokens,
        plain=plain,
        checked=checked,
        draft_bytes=read,
        draft_seconds=None if bandwidth is None else job.draft.tokens * read / bandwidth,
        emptier=None if emptier is None else draft_bound(emptier),
    )


def cached_prefix_bound(job: ServingJob) -> PrefillBound | None:
    """The prefill of a request whose shared prefix stands in the cache; None without one."""
    if not job.shared_prefix:
        return None
    return prefill_bound(job, cached_tokens=min(job.shared_prefix, job.context_length - 1))


def offload_of(plan: MemoryPlan) -> OffloadBound | None:
    """What the job's offload keeps and how long a request takes to come back; None without one, or without a cache."""
    job = plan.job
    kept = None if plan.engine_plan is None else plan.engine_plan.offloaded
    if job.offload is not None and kept is not None and kept.chunks:
        from core.engines.vllm.offload import chunk_bytes  # noqa: PLC0415  vLLM's alone

        ranks = job.tensor_parallel * job.pipeline_parallel
        return by_chunks(job.offload, kept, ranks, chunk_bytes(kept, ranks), _again(job))
    if job.offload is None:
        return None
    needs = footprint(job, plan.stage)  # by itself: of a shared prefix a request outside holds all of its tokens
    each = needs.reserved_bytes(1, job.context_length) + needs.state_bytes(1)
    if not each:
        return None
    return offload_bound(job.offload, each, _again(job))


def _again(job: ServingJob) -> float | None:
    """Seconds to work a request's cache out again; None where the rate is unknown, since reading is no more than a part
    of it."""
    bound = prefill_bound(job)
    return None if bound.flops_per_s is None else bound.seconds
