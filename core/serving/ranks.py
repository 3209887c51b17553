"""The plan of every rank of one copy of a model: its layers, heads, experts and requests, and what fills it.

A copy has data_parallel x pipeline_parallel x tensor_parallel ranks, counted as vLLM counts them (config/parallel.py:
tensor parallel innermost, then stages, then data parallel). The last copy's ranks may serve a request fewer than these.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from core.errors import SizingError
from core.models.attention import GroupedAttention, Layer, ParallelLayer
from core.serving.budget import budget_bytes
from core.serving.draft_stored import draft_bytes
from core.serving.footprint import Footprint, footprints, own_count
from core.serving.job import ServingJob
from core.serving.memory_plan import MemoryPlan
from core.serving.stages import Stage, local_experts
from core.serving.stored import weight_bytes
from core.serving.tensor_parallel import kv_heads_per_rank
from core.units import format_both

MOST_RANKS = 1024  # that are listed one by one
MOST_KINDS = 12  # of ranks that are told apart; the fullest ones where there are more


@dataclass(frozen=True, kw_only=True)
class RankPlan:
    """One accelerator of a copy. kv_heads and experts are None where layers have none, or differ."""

    index: int
    data_rank: int
    stage: int
    tensor_rank: int
    first_layer: int  # from 1
    last_layer: int
    kv_heads: int | None
    experts: int | None  # whole ones of a layer; None where none is whole on a rank
    requests: int
    weight_bytes: int
    cache_bytes: int
    runtime_bytes: int
    budget_bytes: int
    is_fullest: bool = False

    @property
    def total_bytes(self) -> int:
        return self.weight_bytes + self.cache_bytes + self.runtime_bytes


def is_split(job: ServingJob) -> bool:
    """Whether one copy takes more than one accelerator."""
    return job.tensor_parallel * job.pipeline_parallel * job.data_parallel > 1


def rank_plans(made: MemoryPlan) -> tuple[RankPlan, ...]:
    """Every rank of the fullest copy, in the order of their numbers; of those as full as the fullest, the first is
    marked. Raises SizingError as plan(job) does, and for more than MOST_RANKS."""
    job = made.job
    number = job.tensor_parallel * job.pipeline_parallel * job.data_parallel
    if number > MOST_RANKS:
        raise SizingError(f"One copy takes {number:,} accelerators, and {MOST_RANKS:,} at most are listed by rank")
    needs = footprints(job)
    fullest = 0 if made.stage is None else made.stage.index
    found = [
        _rank(job, needs[stage], data_rank, stage, tensor_rank)
        for data_rank in range(job.data_parallel)
        for stage in range(job.pipeline_parallel)
        for tensor_rank in range(job.tensor_parallel)
    ]
    place = max((rank for rank in found if rank.stage == fullest), key=lambda rank: rank.total_bytes).index
    return tuple(replace(rank, is_fullest=rank.index == place) for rank in found)


def _rank(job: ServingJob, needs: Footprint, data_rank: int, stage: int, tensor_rank: int) -> RankPlan:
    requests = job.batch_size // job.replicas + (data_rank < job.batch_size % job.replicas)
    sharing, experts = data_rank * job.tensor_parallel + tensor_rank, job.num_experts
    whole = local_experts(experts, job.tensor_parallel * job.data_parallel, sharing) if experts else 0
    at = needs.stage or Stage(index=0, stages=1, first=0, last=len(job.model.layers))
    weights = needs.weight_bytes + needs.draft_weight_bytes
    if job.expert_parallel and experts and experts % (job.tensor_parallel * job.data_parallel):
        weights = weight_bytes(job, needs.weights.count, own_count(job), needs.stage, sharing)
        if needs.draft is not None and job.draft is not None:
            weights += draft_bytes(job, job.draft, needs.draft.counted, sharing)
    cached = _cached(needs, requests, job.context_length)
    return RankPlan(
        index=(data_rank * job.pipeline_parallel + stage) * job.tensor_parallel + tensor_rank,
        data_rank=data_rank,
        stage=stage,
        tensor_rank=tensor_rank,
        first_layer=at.first + 1,
        last_layer=at.last,
        kv_heads=_kv_heads(job.served_model.layers[at.first : at.last], job.tensor_parallel),
        experts=whole if job.expert_parallel and experts else None,
        requests=requests,
        weight_bytes=weights,
        cache_bytes=cached,
        runtime_bytes=needs.runtime_bytes(max(requests, 1), job.context_length),
        budget_bytes=budget_bytes(job),
    )


def _cached(needs: Footprint, requests: int, context_length: int) -> int:
    if not requests:
        return 0
    own = needs.reserved_bytes(requests, context_length) + needs.state_bytes(requests)
    return own + needs.draft_cache_bytes(requests, context_length)


def _kv_heads(layers: tuple[Layer, ...], tensor_parallel: int) -> int | None:
    """KV heads of a layer on one rank; None where the layers have none, or differ."""
    inner = (layer.attention if isinstance(layer, ParallelLayer) else layer for layer in layers)
    heads = {
        kv_heads_per_rank(part.num_kv_heads, tensor_parallel) for part in inner if isinstance(part, GroupedAttention)
    }
    return heads.pop() if len(heads) == 1 else None


def ranks_sentence(ranks: tuple[RankPlan, ...], job: ServingJob) -> str:
    """Which rank is the fullest, and why it rules."""
    fullest = next(rank for rank in ranks if rank.is_fullest)
    least = min(ranks, key=lambda rank: rank.total_bytes)
    same = sum(rank.total_bytes == fullest.total_bytes for rank in ranks)
    if same == len(ranks):
        return f"All {len(ranks)} ranks of a copy are as full: each holds {format_both(fullest.total_bytes, 2)}."
    where = f"layers {fullest.first_layer} to {fullest.last_layer}" if job.pipeline_parallel > 1 else "the most"
    most = max(rank.total_bytes for rank in ranks)
    if fullest.total_bytes < most:  # its layers take more of each request than those of a stage with embedding or head
        return (
            f"Rank {fullest.index + 1} of {len(ranks)} has room for the fewest requests and rules: it holds {where}, "
            f"{format_both(fullest.total_bytes, 2)}; the one with most bytes holds {format_both(most, 2)}."
        )
    said = f"Rank {fullest.index + 1} of {len(ranks)} is the fullest and rules: it holds {where}"
    return (
        f"{said}, {format_both(fullest.total_bytes, 2)}; the emptiest holds {format_both(least.total_bytes, 2)}. "
        "A server takes as many requests as its fullest rank holds."
    )


def kinds_of_rank(ranks: Sequence[RankPlan]) -> list[list[RankPlan]]:
    """Ranks that hold the same, in the order of the first of each; at most MOST_KINDS kinds, the fullest among them."""
    found: dict[tuple[Any, ...], list[RankPlan]] = {}
    for rank in ranks:
        same = (rank.first_layer, rank.last_layer, rank.experts, rank.requests, rank.weight_bytes, rank.cache_bytes)
        found.setdefault(same, []).append(rank)
    kinds = list(found.values())
    if len(kinds) > MOST_KINDS:
        kept = sorted(kinds, key=lambda kind: (any(rank.is_fullest for rank in kind), kind[0].total_bytes))[
            -MOST_KINDS:
        ]
        kinds = [kind for kind in kinds if kind in kept]
    return kinds


def kind_words(kind: Sequence[RankPlan]) -> tuple[str, str]:
    """'Ranks 1 to 8', and what each of them holds."""
    numbers = [rank.index + 1 for rank in kind]
    together = numbers == list(range(numbers[0], numbers[-1] + 1))
    name = f"Rank {numbers[0]}"
    if len(numbers) > 1:
        name = f"Ranks {numbers[0]} to {numbers[-1]}" if together else f"{len(numbers)} ranks, {numbers[0]} the first"
    first = kind[0]
    said = [f"layers {first.first_layer}–{first.last_layer}"]
    said += [] if first.kv_heads is None else [f"{first.kv_heads} KV heads" if first.kv_heads > 1 else "1 KV head"]
    said += [] if first.experts is None else [f"{first.experts} experts"]
    said.append(f"{first.requests:,} request{'' if first.requests == 1 else 's'}")
    return name, ", ".join(said)
