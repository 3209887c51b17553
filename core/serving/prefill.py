"""The least time to the first token of one request: arithmetic over the dense rate, or weight bytes over bandwidth.

    compute seconds = (2 x parameters inside the layers x tokens + 2 x head + attention FLOPs) / rate
    memory seconds  = bytes of the weights that the prompt's tokens need, read once / bandwidth
    first token    >= the larger of the two, with nothing else on the accelerator

A causal token attends to itself and what stands before it: L (L + 1) / 2 entries of a layer that keeps all, fewer
where a window or an index holds. The input embedding is looked up and the head works on the last token alone, where
the count tells them apart; of experts those that a token takes count, and those are read that the prompt is expected
to wake. No queueing, launch overhead or communication is in it. Of a copy that is split, every accelerator counts, as
if the stages of its pipeline worked at once on chunks.
"""

from dataclasses import dataclass

from core.errors import require_whole
from core.serving.footprint import footprint
from core.serving.job import ServingJob
from core.serving.layer_groups import LayerGroup
from core.serving.roofline import NARROW, multiplies_narrow, reads_of
from core.serving.step_reads import rounded_bytes


@dataclass(frozen=True, kw_only=True)
class PrefillBound:
    """One request's prefill on one copy of the model; seconds are None where the accelerator's figure is unknown."""

    tokens: int
    parameters: int  # that every token goes through: without the input embedding and the head
    head_parameters: int  # that the last token goes through
    weight_flops: int
    attention_flops: int
    weight_read_bytes: int
    ranks: int
    flops_per_s: float | None
    bandwidth_bytes_per_s: float | None
    narrow: bool = False  # whether the weights are so narrow that an engine may multiply them at a higher rate

    @property
    def compute_seconds(self) -> float | None:
        if self.flops_per_s is None:
            return None
        return (self.weight_flops + self.attention_flops) / self.ranks / self.flops_per_s

    @property
    def memory_seconds(self) -> float | None:
        return None if self.bandwidth_bytes_per_s is None else self.weight_read_bytes / self.bandwidth_bytes_per_s

    @property
    def caveat(self) -> str:
        """Where the bound may be undercut; empty where it may not."""
        if self.flops_per_s is None:
            return "The BF16 rate is unknown: only reading the weights once is bounded."
        beyond = (self.compute_seconds or 0) > (self.memory_seconds or 0)
        return f"At the dense BF16 rate: {NARROW}" if self.narrow and beyond else ""

    @property
    def seconds(self) -> float | None:
        """The larger of the sides that are known; None where neither is."""
        known = [side for side in (self.compute_seconds, self.memory_seconds) if side is not None]
        return max(known) if known else None


def prefill_bound(job: ServingJob, *, cached_tokens: int = 0) -> PrefillBound:
    """The bound for one request of the job's context, whether or not it fits; of the prompt, cached_tokens stand in the
    cache already. Raises SizingError as plan(job) does, and where no token is left to work on."""
    require_whole("cached_tokens", cached_tokens, 0, job.context_length - 1)
    needs = footprint(job)
    count = needs.weights.count
    table, head = count.embedding or 0, count.head or 0
    used = (count.active if count.active is not None else count.total) - table - head - count.parts.get("towers", 0)
    attention = sum(
        group.readers * _flops_of(group) * _read_beyond(group, job.context_length, cached_tokens)
        for group in needs.ledger.groups
    )
    tokens = job.context_length - cached_tokens
    return PrefillBound(
        tokens=tokens,
        parameters=used,
        head_parameters=head or table,
        weight_flops=2 * used * tokens + 2 * (head or table),
        attention_flops=attention,
        weight_read_bytes=rounded_bytes(reads_of(job, count, tokens, awake=tokens).expected_bits, job.tensor_parallel),
        ranks=job.tensor_parallel * job.pipeline_parallel * (job.data_parallel if count.routed_experts else 1),
        flops_per_s=job.device.bf16_dense_flops,
        narrow=multiplies_narrow(job, count),
        bandwidth_bytes_per_s=job.device.bandwidth_bytes_per_s,
    )


def _flops_of(group: LayerGroup) -> int:
    return group.attention_flops if group.prefill_flops is None else group.prefill_flops


def _read_beyond(group: LayerGroup, tokens: int, cached_tokens: int) -> int:
    """Entries that the tokens behind those in the cache read together."""
    return read_while_prefilling(group, tokens) - read_while_prefilling(group, cached_tokens)


def read_while_prefilling(group: LayerGroup, tokens: int) -> int:
    """Entries that all tokens of a prompt read together: the sum of min(t, most) over t from 1 to tokens.

    Entries that stand for several tokens are left out: the bound is then lower than it could be.
    """
    if group.tokens_per_entry != 1:
        return 0
    limits = [limit for limit in (group.window, group.chosen, tokens) if limit is not None]
    most = min(limits)
    return most * (most + 1) // 2 + (tokens - most) * most
