"""Bounds on what a draft, a shared prefix and an offload do for speed; each the best case, with its formula.

tokens of a step with a draft <= speculated + 1, all accepted
seconds of it                 >= the model's step over speculated + 1 tokens a request, and the draft's steps
first token with the prefix in the cache >= prefill of what is left
a request brought back        >= its bytes over the link
"""

from dataclasses import dataclass, replace

from core.serving.draft_stored import draft_read_bytes
from core.serving.footprint import footprint
from core.serving.job import ServingJob
from core.serving.memory_plan import MemoryPlan
from core.serving.offload import OffloadBound, by_chunks, offload_bound
from core.serving.prefill import PrefillBound, prefill_bound
from core.serving.roofline import StepBound, decode_bound


@dataclass(frozen=True, kw_only=True)
class DraftBound:
    """A step with a draft; seconds are None where the accelerator's bandwidth is unknown."""

    speculated: int
    plain: StepBound  # the model's own step, one token a request
    checked: StepBound  # the same weights and cache read once, for speculated + 1 tokens a request
    draft_bytes: int  # of one step of the draft: weights that it reads, and its cache where that is known apart
    draft_seconds: float | None  # of all its steps

    @property
    def seconds(self) -> float | None:
        step = self.checked.step_seconds
        return None if step is None or self.draft_seconds is None else step + self.draft_seconds

    @property
    def tokens_per_second(self) -> float | None:
        """All users, every token accepted."""
        return None if self.seconds is None else self.plain.batch_size * (self.speculated + 1) / self.seconds

    @property
    def least_tokens_per_second(self) -> float | None:
        """At the same bound where none is accepted: what the draft costs."""
        return None if self.seconds is None else self.plain.batch_size / self.seconds


def draft_bound(job: ServingJob) -> DraftBound | None:
    """None without a draft. Raises SizingError as plan(job) does."""
    if job.draft is None:
        return None
    plain, needs = decode_bound(job), footprint(job)
    more = job.draft.tokens + 1
    checked = replace(plain, weight_flops=plain.weight_flops * more, attention_flops=plain.attention_flops * more)
    assert needs.draft is not None
    read = draft_read_bytes(job, job.draft, needs.draft.counted)
    read += needs.draft_cache_bytes(job.batch_per_replica, job.context_length)
    bandwidth = plain.bandwidth_bytes_per_s
    return DraftBound(
        speculated=job.draft.tokens,
        plain=plain,
        checked=checked,
        draft_bytes=read,
        draft_seconds=None if bandwidth is None else job.draft.tokens * read / bandwidth,
    )


def cached_prefix_bound(job: ServingJob) -> PrefillBound | None:
    """The prefill of a request whose shared prefix stands in the cache; None without one."""
    if not job.shared_prefix:
        return None
    return prefill_bound(job, cached_tokens=min(job.shared_prefix, job.context_length - 1))


def offload_of(plan: MemoryPlan) -> OffloadBound | None:
    """What the job's offload keeps and how long a request takes to come back; None without one, or without a cache."""
    job, batch = plan.job, plan.job.batch_per_replica
    kept = None if plan.engine_plan is None else plan.engine_plan.offloaded
    if job.offload is not None and kept is not None and kept.chunks:
        from core.engines.vllm.offload import chunk_bytes  # noqa: PLC0415  vLLM's alone

        ranks = job.tensor_parallel * job.pipeline_parallel
        return by_chunks(job.offload, kept, ranks, chunk_bytes(kept, ranks), _again(job))
    each = (plan.kv_reserved_bytes + plan.state_bytes) // batch
    if job.offload is None or not each:
        return None
    return offload_bound(job.offload, each, _again(job))


def _again(job: ServingJob) -> float | None:
    """Seconds to work a request's cache out again; None where the rate is unknown, since reading is no more than a part
    of it."""
    bound = prefill_bound(job)
    return None if bound.flops_per_s is None else bound.seconds
