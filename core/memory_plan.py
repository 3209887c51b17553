"""A serving job in, a memory plan out: bytes per accelerator, each with its formula, its numbers and where they come
from.

    total = weights + KV reserved + recurrent state + max(prefill workspace, runtime reserve)
    fits  = total <= floor(memory x memory_utilization)

All bytes are whole numbers: a share that does not divide is rounded up, the budget is rounded down. Weights are split
evenly over the ranks of a copy; the few tensors that engines copy to every rank (norms, K and V projections of copied
heads) are not counted twice. With more accelerators than tensor_parallel, copies of the model share the batch, and
the plan is the fullest's.
"""

from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from math import ceil, floor

from core.attention import GroupedAttention, NoAttention, SharedCache
from core.kv_ledger import KvLedger, kv_ledger
from core.model_spec import ModelSpec
from core.plan_lines import PlanLine, plan_lines
from core.serving_job import ServingJob
from core.weights import ParameterCount, ResizedWeights, analytic_count, resize

STATE_BITS = 16
ACTIVATION_BYTES = 2
LOGIT_BYTES = 4


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


def plan(job: ServingJob) -> MemoryPlan:
    """The memory plan of a job. Raises SizingError where the parameters cannot be counted."""
    weights = served_weights(job)
    ledger = kv_ledger(job.served_model, job.tensor_parallel)
    workspace = workspace_bytes(job, weights.model)
    return MemoryPlan(
        job=job,
        model=weights.model,
        parameters=weights.count,
        unspent_parameters=weights.unspent_parameters,
        weight_bytes=weight_bytes(job, weights.count.parameters),
        kv_payload_bytes=_payload_bytes(job, ledger),
        kv_reserved_bytes=_reserved_bytes(job, ledger),
        state_bytes=_state_bytes(job, ledger),
        workspace_bytes=workspace,
        runtime_bytes=max(workspace or 0, ceil(job.runtime_reserve_bytes)),
        total_bytes=total_bytes(job),
        budget_bytes=budget_bytes(job),
    )


def total_bytes(job: ServingJob) -> int:
    """The plan's total alone, without its lines: what searches evaluate."""
    weights = served_weights(job)
    ledger = kv_ledger(job.served_model, job.tensor_parallel)
    runtime = max(workspace_bytes(job, weights.model) or 0, ceil(job.runtime_reserve_bytes))
    cache = _reserved_bytes(job, ledger) + _state_bytes(job, ledger)
    return weight_bytes(job, weights.count.parameters) + cache + runtime


def budget_bytes(job: ServingJob) -> int:
    """floor(memory x utilisation), on the memory that the accelerator's fit is judged on."""
    memory = job.device.memory_bytes
    assert memory is not None  # ServingJob refuses accelerators of unknown memory
    return _budget(memory, job.memory_utilization)


def served_weights(job: ServingJob) -> ResizedWeights:
    """Parameters of the served model, freed ones dropped or spent. Raises SizingError where they cannot be counted."""
    return _served_weights(job.model, job.served_model, job.parameter_count, job.freed_parameters)


@lru_cache(maxsize=1024)
def _served_weights(
    model: ModelSpec, served: ModelSpec, given: ParameterCount | None, freed_parameters: str
) -> ResizedWeights:
    return resize(model, served, given or analytic_count(model), freed_parameters)


def weight_bytes(job: ServingJob, parameters: int) -> int:
    """parameters x weight bits / 8 / tensor_parallel, rounded up."""
    return ceil(parameters * Fraction(str(job.weight_bits)) / (8 * job.tensor_parallel))


def workspace_bytes(job: ServingJob, model: ModelSpec) -> int | None:
    """Activations of one prefill chunk on one rank, at 2 bytes; None where it cannot be known.

    It is known for dense layers of grouped attention whose hidden, FFN and vocabulary sizes are given.

    The larger of two moments: inside a layer (the residual stream and its norm, and the wider of attention's and the
    FFN's intermediates), and at the end (one row of logits per sequence, at 4 bytes). Engines reuse the memory
    between layers.
    """
    dimensions = model.dimensions
    plain = all(isinstance(layer, GroupedAttention | SharedCache | NoAttention) for layer in set(model.layers))
    if dimensions.num_experts is not None or not plain:
        return None
    if dimensions.intermediate_size is None or dimensions.vocab_size is None:
        return None
    tokens = min(job.prefill_chunk, job.context_length * job.batch_per_replica)
    ffn = -(-dimensions.intermediate_size // job.tensor_parallel) * (3 if dimensions.gated_ffn else 2)
    widest = max(ffn, _attention_width(model, job.tensor_parallel))
    inside = tokens * (2 * dimensions.hidden_size + widest) * ACTIVATION_BYTES
    return max(inside, job.batch_per_replica * dimensions.vocab_size * LOGIT_BYTES)


@lru_cache(maxsize=1024)
def _attention_width(model: ModelSpec, tensor_parallel: int) -> int:
    """Elements per token that one rank's attention holds at once: Q, K, V and its output; the widest layer's."""
    ledger = kv_ledger(model, tensor_parallel)
    # attention_flops = 2 x H x (key + value width), and Q with the output are H x (key + value width)
    widths = (group.attention_flops // 2 // tensor_parallel + group.rank_width for group in ledger.groups)
    return max(widths, default=0)


def _payload_bytes(job: ServingJob, ledger: KvLedger) -> int:
    elements = ledger.payload_elements(job.context_length) * job.batch_per_replica
    return ceil(elements * job.kv_bits_per_element / (8 * job.tensor_parallel))


def _reserved_bytes(job: ServingJob, ledger: KvLedger) -> int:
    elements = ledger.reserved_elements(job.context_length, job.block_size) * job.batch_per_replica
    return ceil(elements * job.kv_bits_per_element / 8)


def _state_bytes(job: ServingJob, ledger: KvLedger) -> int:
    return ledger.state_elements * job.batch_per_replica * STATE_BITS // 8


@lru_cache(maxsize=1024)
def _budget(memory_bytes: int, utilization: float) -> int:
    return floor(memory_bytes * Fraction(str(utilization)))
