"""One serving job under traffic: the cache that is left for live tokens, and the batch that it holds."""

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from core.serving.engine_traffic import Cost, block_size, draft_cost, engine_cost, most_requests
from core.serving.footprint import Footprint, footprint
from core.serving.job import ServingJob
from core.serving.kv_ledger import KvLedger
from core.serving.memory_plan import MemoryPlan, plan
from core.serving.traffic import FloatArray, IntArray, Occupancy, Traffic, occupancy


@dataclass(frozen=True, kw_only=True)
class TrafficFit:
    """A job's cache under traffic, per copy of the model. capacity_bytes is per accelerator."""

    capacity_bytes: int
    mean_live_tokens: float
    live_tokens_deviation: float
    mean_live_bytes: float  # of the whole batch, on one accelerator
    worst_case_bytes: int  # what static allocation sets aside for the batch, on one accelerator
    occupancy: Occupancy
    copies: int = 1
    shared_prefix: int = 0
    block_size: int = 1  # tokens to which a request's are rounded up

    @property
    def scope(self) -> str:
        """What the figures are of, in a sentence, where that is not the whole job; else empty."""
        said = []
        if self.copies > 1:
            said.append(f"All of it is one copy of the model's, of {self.copies:,} that share the batch.")
        if self.shared_prefix:
            said.append(f"The shared prefix is left out: each sequence holds its {self.shared_prefix:,} tokens itself.")
        return " ".join(said)

    @property
    def fill(self) -> float:
        """Share of the cache that the batch uses on average; above 1 it cannot hold."""
        return self.mean_live_bytes / self.capacity_bytes if self.capacity_bytes > 0 else float("inf")


def fit_traffic(job: ServingJob, traffic: Traffic, *, holds: float = 0.99, seed: int = 0) -> TrafficFit:
    """Raises TrafficError for a batch too large to simulate, SizingError where the job cannot be planned."""
    planned = plan(job)
    capacity, needs = cache_capacity_bytes(planned), footprint(job, planned.stage)
    cost = request_cost(needs, capacity, traffic.longest_context)
    found = occupancy(
        traffic,
        capacity=_room(planned, needs, most_requests(needs, capacity, traffic.longest_context)),
        batch_size=job.batch_per_replica,
        cost=cost,
        holds=holds,
        seed=seed,
    )
    sample = traffic.sample(50_000, np.random.default_rng(seed))
    worst = float(cost(np.array([traffic.longest_context]))[0])
    return TrafficFit(
        capacity_bytes=capacity,
        mean_live_tokens=traffic.mean_live_tokens,
        live_tokens_deviation=traffic.live_tokens_deviation,
        mean_live_bytes=float(cost(sample).mean()) * job.batch_per_replica,
        worst_case_bytes=round(worst * job.batch_per_replica),
        occupancy=found,
        copies=job.replicas,
        shared_prefix=job.shared_prefix,
        block_size=block_size(needs, traffic.longest_context),
    )


def cache_capacity_bytes(planned: MemoryPlan) -> int:
    """What is left of the budget for keys, values, states and a draft's cache on one accelerator, 0 where the rest
    alone is too much."""
    fixed = planned.total_bytes - planned.cached_bytes
    return max(planned.budget_bytes - fixed, 0)


def request_cost(needs: Footprint, capacity_bytes: int, longest: int) -> Cost:
    """Bytes that a request of so many tokens takes of that capacity: keys and values, states, and what a draft keeps of
    it beside them. Raises EngineError."""
    bits = needs.kv_bits_per_element
    own = engine_cost(needs, capacity_bytes, longest) or _blocks(
        needs.ledger, block_size(needs, longest), bits, needs.state_bytes(1)
    )
    draft = needs.draft
    if draft is None or (draft.engine is None and draft.ledger is None):
        return own
    if draft.ledger is not None:
        beside = _blocks(draft.ledger, 1, bits, draft.ledger.state_bytes)
    else:
        assert draft.engine is not None
        beside = draft_cost(draft.engine, longest)
    return lambda tokens: own(tokens) + beside(tokens)


def _blocks(ledger: KvLedger, block_size: int, bits: Fraction, state_bytes: int) -> Cost:
    """Keys and values in whole blocks, and the states of a request."""
    return lambda tokens: reserved_elements(ledger, tokens, block_size) * (float(bits) / 8) + state_bytes


def _room(planned: MemoryPlan, needs: Footprint, most: int | None) -> Callable[[IntArray], FloatArray]:
    """Bytes left for the cache of so many sequences: more of them have more logits, and beyond an engine's own limit
    there is no room for any."""
    beside, context = planned.budget_bytes - planned.loaded_bytes, planned.job.context_length

    def room(batches: IntArray) -> FloatArray:
        runtime = np.array([needs.runtime_bytes(int(batch), context) for batch in batches], dtype=np.float64)
        return np.where(batches <= (np.inf if most is None else most), beside - runtime, -np.inf)

    return room


def reserved_elements(ledger: KvLedger, tokens: IntArray, block_size: int) -> FloatArray:
    """KvLedger.reserved_elements for many context lengths at once."""
    needed = np.zeros(tokens.shape, dtype=np.float64)
    for group in ledger.groups:
        needed += group.block_entries(tokens, block_size) * float(group.layers * group.rank_width)
    return needed
