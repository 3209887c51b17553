"""Many jobs at once: the plan's arithmetic on whole columns, equal to plan(job) job by job.

What does not depend on batch and context is worked out once for each G, KV width and accelerator; the rest is integer
arithmetic on numpy columns, the engine's own rules too (core.engines.columns). 10,000 jobs take a few hundredths of a
second (benchmarks/sizing.py).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import numpy.typing as npt
import pandas as pd

from core.errors import SizingError
from core.hardware.accelerators import Accelerator
from core.serving.budget import budget_bytes
from core.serving.footprint import Footprint, footprint
from core.serving.inverse import is_offered, largest_batch
from core.serving.job import ServingJob
from core.serving.memory_plan import plan
from core.serving.what_if import allowed_kv_heads, own_kv_heads

Column = npt.NDArray[np.int64]
_LARGEST_INT64 = 2**63 - 1

CONTEXTS = tuple(2**power for power in range(10, 21))  # 1,024 to 1,048,576 tokens


@dataclass(frozen=True, kw_only=True)
class FrontierPoint:
    """On the frontier of one G: the largest batch at one context; 0 where not even one sequence fits."""

    num_kv_heads: int
    context_length: int
    largest_batch: int


def sweep(
    job: ServingJob,
    *,
    num_kv_heads: Sequence[int | None] | None = None,
    kv_bits: Sequence[int] | None = None,
    batch_size: Sequence[int] | None = None,
    context_length: Sequence[int] | None = None,
    accelerator: Sequence[str | Accelerator] | None = None,
) -> pd.DataFrame:
    """Every combination of the values given, the rest as in `job`: one row a job, byte columns as MemoryPlan has them.

    Columns: num_kv_heads (0 where the model has no single G), kv_bits, accelerator (id), batch_size, context_length,
    weight_bytes, kv_payload_bytes, kv_reserved_bytes, state_bytes, runtime_bytes, total_bytes, budget_bytes,
    headroom_bytes, fits. Raises SizingError where a value is not possible, or where bytes would not fit 64 bits.
    """
    if kv_bits is not None and job.stored_type is not None:
        raise SizingError(
            f"kv_bits cannot be swept: engine_settings store the cache in {job.stored_type.name}. Leave one of them out"
        )
    heads = [job.num_kv_heads] if num_kv_heads is None else list(num_kv_heads)
    widths = [job.kv_bits] if kv_bits is None else list(kv_bits)
    devices = [job.accelerator] if accelerator is None else list(accelerator)
    batches, contexts = _grid(job, batch_size, context_length)
    blocks = []
    for kv_heads, bits, device in product(heads, widths, devices):
        at = job.where(num_kv_heads=kv_heads, kv_bits=bits, accelerator=device)
        blocks.append(_block(at, batches, contexts))
    return pd.concat(blocks, ignore_index=True) if blocks else pd.DataFrame()


def frontier(
    job: ServingJob, *, num_kv_heads: Iterable[int] | None = None, contexts: Sequence[int] = CONTEXTS
) -> tuple[FrontierPoint, ...]:
    """For each G (all that the model, tensor_parallel and the engine allow, unless given) the largest batch at each
    context."""
    heads = _taken_kv_heads(job) if num_kv_heads is None else tuple(num_kv_heads)
    return tuple(
        FrontierPoint(
            num_kv_heads=kv_heads,
            context_length=context,
            largest_batch=int(largest_batch(job.where(num_kv_heads=kv_heads, context_length=context))),
        )
        for kv_heads in heads
        for context in contexts
    )


def holds_any(job: ServingJob) -> bool:
    """Whether a frontier has a point: whether some G holds a sequence of its shortest context."""
    heads = _taken_kv_heads(job)
    return any(largest_batch(job.where(num_kv_heads=each, context_length=CONTEXTS[0])).fits for each in heads)


def _taken_kv_heads(job: ServingJob) -> tuple[int, ...]:
    allowed = allowed_kv_heads(job.model, job.tensor_parallel)
    return tuple(each for each in allowed if is_offered(job.where(num_kv_heads=each)))


def _grid(
    job: ServingJob, batch_size: Sequence[int] | None, context_length: Sequence[int] | None
) -> tuple[Column, Column]:
    """All pairs of batch and context as two columns, each value checked as ServingJob checks it."""
    batches = [job.batch_size] if batch_size is None else list(batch_size)
    contexts = [job.context_length] if context_length is None else list(context_length)
    for batch in batches:
        job.where(batch_size=batch)
    for context in contexts:
        job.where(context_length=context)
    pairs = np.array(list(product(batches, contexts)), dtype=np.int64).reshape(-1, 2)
    return pairs[:, 0], pairs[:, 1]


def _block(job: ServingJob, batches: Column, contexts: Column) -> pd.DataFrame:
    """The rows of one G, KV width and accelerator."""
    if job.pipeline_parallel > 1:
        return _one_by_one(job, batches, contexts)
    needs, budget = footprint(job), budget_bytes(job)
    sequences = -(-batches // job.replicas)
    if len(sequences):
        _check_range(needs, int(sequences.max()), int(contexts.max()))
    if needs.shared_prefix or needs.draft is not None:
        return _one_by_one(job, batches, contexts)
    payload = _bytes(_elements(needs, contexts, sequences, reserved=False), needs, 8 * needs.tensor_parallel)
    state = sequences * np.int64(needs.state_bytes(1))
    runtime = _runtime(needs, sequences, contexts)
    beside = needs.weight_bytes + runtime
    if needs.engine is None:
        reserved = _bytes(_elements(needs, contexts, sequences, reserved=True), needs, 8)
        total = beside + reserved + state
        fits = total <= budget
    else:
        taken = needs.engine.columns(sequences, contexts, budget - beside)
        reserved, total = taken.held_bytes, beside + taken.held_bytes
        fits = (beside <= budget) & taken.fits
    return pd.DataFrame(
        {
            "num_kv_heads": own_kv_heads(job.served_model) or 0,
            "kv_bits": job.kv_bits,
            "accelerator": job.device.id,
            "batch_size": batches,
            "context_length": contexts,
            "weight_bytes": needs.weight_bytes,
            "kv_payload_bytes": payload,
            "kv_reserved_bytes": reserved,
            "state_bytes": state,
            "runtime_bytes": runtime,
            "total_bytes": total,
            "budget_bytes": budget,
            "headroom_bytes": budget - total,
            "fits": fits,
        }
    )


def _one_by_one(job: ServingJob, batches: Column, contexts: Column) -> pd.DataFrame:
    """The same rows planned singly: a draft's or a prefix's bytes are no sum over columns."""
    plans = [
        plan(job.where(batch_size=batch, context_length=context))
        for batch, context in zip(batches.tolist(), contexts.tolist(), strict=True)
    ]
    figures = ("weight_bytes", "kv_payload_bytes", "kv_reserved_bytes", "state_bytes", "runtime_bytes", "total_bytes",
               "budget_bytes", "headroom_bytes", "fits")  # fmt: skip
    return pd.DataFrame(
        {
            "num_kv_heads": own_kv_heads(job.served_model) or 0,
            "kv_bits": job.kv_bits,
            "accelerator": job.device.id,
            "batch_size": batches,
            "context_length": contexts,
            **{name: [getattr(made, name) for made in plans] for name in figures},
        }
    )


def _elements(needs: Footprint, contexts: Column, sequences: Column, *, reserved: bool) -> Column:
    """KV elements over all sequences: allocated on one rank, or the payload over all ranks."""
    elements = np.zeros_like(contexts)
    for group in needs.ledger.groups:
        if reserved:
            elements += group.layers * group.rank_width * group.block_entries(contexts, needs.block_size)
        else:
            elements += group.layers * group.payload_width * group.entries(contexts)
    return elements * sequences


def _bytes(elements: Column, needs: Footprint, divisor: int) -> Column:
    bits = needs.kv_bits_per_element
    rounded_up: Column = -(-elements * bits.numerator // (bits.denominator * divisor))
    return rounded_up


def _runtime(needs: Footprint, sequences: Column, contexts: Column) -> Column:
    reserve = np.full_like(sequences, needs.reserve_bytes)
    if needs.workspace is None:
        return reserve
    tokens = np.minimum(sequences * contexts, needs.prefill_chunk)
    inside = tokens * needs.workspace.bytes_per_token
    logits = sequences * needs.workspace.logit_bytes_per_sequence
    larger: Column = np.maximum(reserve, np.maximum(inside, logits))
    return larger


def _check_range(needs: Footprint, sequences: int, context_length: int) -> None:
    """Refuses rows whose bits would overflow 64-bit columns; plan(job) has no such limit."""
    elements = max(
        needs.ledger.reserved_elements(context_length, needs.block_size), needs.ledger.payload_elements(context_length)
    )
    if elements * sequences * needs.kv_bits_per_element.numerator > _LARGEST_INT64 // 2:
        raise SizingError(
            f"batch {sequences:,} at context {context_length:,} is too large for a sweep (its bits exceed 64-bit "
            f"columns): sweep smaller values, or plan that job alone"
        )
