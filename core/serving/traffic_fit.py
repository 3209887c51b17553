"""One serving job under traffic: the cache that is left for live tokens, and the batch that it holds."""

from dataclasses import dataclass

import numpy as np

from core.serving.engine_traffic import engine_cost
from core.serving.job import ServingJob
from core.serving.kv_ledger import KvLedger, kv_ledger
from core.serving.memory_plan import MemoryPlan, plan
from core.serving.stages import stage_model
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
    capacity = cache_capacity_bytes(planned)
    served = job.served_model if planned.stage is None else stage_model(job.served_model, planned.stage)
    ledger = kv_ledger(served, job.tensor_parallel, job.kv_bits_per_element)
    bytes_per_element = float(job.kv_bits_per_element) / 8

    def blocks(tokens: IntArray) -> FloatArray:
        return reserved_elements(ledger, tokens, job.block_size) * bytes_per_element

    cost = engine_cost(job, capacity, traffic.longest_context, planned.stage) or blocks
    found = occupancy(traffic, capacity=capacity, batch_size=job.batch_per_replica, cost=cost, holds=holds, seed=seed)
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
    )


def cache_capacity_bytes(planned: MemoryPlan) -> int:
    """What is left of the budget for keys and values on one accelerator, 0 where the rest alone is too much."""
    fixed = planned.total_bytes - planned.kv_reserved_bytes
    return max(planned.budget_bytes - fixed, 0)


def reserved_elements(ledger: KvLedger, tokens: IntArray, block_size: int) -> FloatArray:
    """KvLedger.reserved_elements for many context lengths at once."""
    needed = np.zeros(tokens.shape, dtype=np.float64)
    for group in ledger.groups:
        needed += group.block_entries(tokens, block_size) * float(group.layers * group.rank_width)
    return needed
