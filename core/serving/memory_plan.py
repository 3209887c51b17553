"""A serving job in, a memory plan out: bytes per accelerator, each with its formula, its numbers and where they come
from.

    total = weights + KV reserved + recurrent state + max(prefill workspace, runtime reserve)
    fits  = total <= floor(memory x memory_utilization)

All bytes are whole numbers: a share that does not divide is rounded up, the budget is rounded down. Weights are split
evenly over the ranks of a copy; the few tensors that engines copy to every rank (norms, K and V projections of copied
heads) are not counted twice; the weights line says how much the projections are. With more accelerators than
tensor_parallel, copies of the model share the batch, and the plan is the fullest's.
"""

from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from math import floor

from core.model_spec import ModelSpec
from core.serving.footprint import footprint
from core.serving.job import ServingJob
from core.serving.plan_lines import PlanLine, plan_lines
from core.serving.weights import ParameterCount
from core.units import GB, MIB, format_both


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

    @property
    def lines(self) -> tuple[PlanLine, ...]:
        """Every figure with its formula; the counted ones add up to total_bytes."""
        return plan_lines(self)

    @property
    def headroom_bytes(self) -> int:
        """Budget less total: negative where the job does not fit."""
        return self.budget_bytes - self.total_bytes

    @property
    def fits(self) -> bool:
        return self.total_bytes <= self.budget_bytes

    @property
    def memory_reading_decides(self) -> bool:
        """Whether the product's GB and the device's own reading give different verdicts: say which one was used."""
        return self.fits != (self.total_bytes <= self.nominal_budget_bytes)

    @property
    def nominal_budget_bytes(self) -> int:
        """The budget if the product's GB x 10^9 were all there is; the budget itself where it has no nominal figure."""
        nominal = self.job.device.memory_nominal_bytes
        return self.budget_bytes if nominal is None else _budget(nominal, self.job.memory_utilization)

    @property
    def memory_sentence(self) -> str:
        """What the accelerator's GB mean for this verdict, in GB and GiB."""
        device, budget = self.job.device, f"the budget is {_both(self.budget_bytes)}"
        if device.memory_nominal_bytes is None or device.memory_reported_bytes is None:
            return f"{device.memory_basis} T{budget[1:]}."
        gb = f"{device.memory_nominal_bytes / GB:g}"
        nominal = f"{gb} x 10^9 bytes x {self.job.memory_utilization:g} would be {_both(self.nominal_budget_bytes)}"
        own = f"the device reports {device.memory_reported_bytes / MIB:,.0f} MiB, so {budget}"
        if not self.memory_reading_decides:
            return f"Both readings of {gb} GB agree: {nominal}, and {own}."
        too_little = f"{nominal} and hold too little; {own} and it fits"
        enough = f"{nominal} and hold it; {own} and it does not fit"
        needs = f"the job needs {_both(self.total_bytes)}"
        return f"Which {gb} GB decides here: {needs}. {too_little if self.fits else enough}."


def plan(job: ServingJob) -> MemoryPlan:
    """The memory plan of a job. Raises SizingError where the parameters cannot be counted."""
    needs = footprint(job)
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
    )


def total_bytes(job: ServingJob) -> int:
    """The plan's total alone."""
    return footprint(job).total_bytes(job.batch_per_replica, job.context_length)


def budget_bytes(job: ServingJob) -> int:
    """floor(memory x utilisation), on the memory that the accelerator's fit is judged on."""
    memory = job.device.memory_bytes
    assert memory is not None  # ServingJob refuses accelerators of unknown memory
    return _budget(memory, job.memory_utilization)


def _both(count: int) -> str:
    return format_both(count, digits=2)


@lru_cache(maxsize=1024)
def _budget(memory_bytes: int, utilization: float) -> int:
    return floor(memory_bytes * Fraction(str(utilization)))
