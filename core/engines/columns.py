"""Many jobs of one model and one setting at once: what each takes and whether it fits, as columns.

Equal to plan_cache and held_bytes row by row, without the lines that explain a plan. An engine answers by columns
(BY_COLUMNS); where it cannot, or a setting names what differs by row, the rows are planned one by one.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from core.engines.face import module_of, plan_cache
from core.engines.job_memory import held_bytes
from core.engines.llama_cpp.plan import columns as llama_cpp_columns
from core.engines.mlx.columns import columns as mlx_columns
from core.engines.plan import EngineError
from core.engines.sglang.columns import columns as sglang_columns
from core.engines.transformers import columns as transformers_columns
from core.engines.vllm import columns as vllm_columns
from core.models.spec import ModelSpec

Column = npt.NDArray[np.int64]
LARGEST = 2**62  # sums of a few such columns stay within 64 bits
BY_ROW = ("context_length", "batch_size", "available_bytes", "n_ctx", "n_seq_max")  # what a column says
BY_COLUMNS: dict[str, Callable[..., Any]] = {
    "vllm": vllm_columns,
    "sglang": sglang_columns,
    "llama.cpp": llama_cpp_columns,
    "mlx": mlx_columns,
    "transformers": transformers_columns,
}


@dataclass(frozen=True, kw_only=True)
class Columns:
    """One entry a job."""

    held_bytes: Column  # of the whole batch on one rank, states included
    fits: npt.NDArray[np.bool_]


def columns(
    spec: ModelSpec,
    *,
    engine: str,
    contexts: Column,
    batches: Column,
    available_bytes: Column,
    common: Mapping[str, Any],
    settings: Mapping[str, Any],
) -> Columns:
    """The jobs of equally long columns; common holds tensor_parallel and cache_bits, settings the engine's own keys.

    Raises EngineError where the largest or the smallest job cannot be, or takes more bytes than columns hold.
    """
    if not len(contexts):
        return Columns(held_bytes=np.zeros(0, dtype=np.int64), fits=np.zeros(0, dtype=np.bool_))
    asked = {**common, **settings}
    if any(key in settings for key in BY_ROW):
        return _one_by_one(spec, engine, contexts, batches, available_bytes, asked)
    for pick in (np.min, np.max):
        _check(spec, engine, int(pick(contexts)), int(pick(batches)), asked)
    own = {**module_of(engine).translated(dict(common)), **settings}
    answer = BY_COLUMNS.get(engine)
    found = None if answer is None else answer(spec, contexts, batches, available_bytes, own)
    if found is None:
        return _one_by_one(spec, engine, contexts, batches, available_bytes, asked)
    return Columns(held_bytes=found[0], fits=found[1])


def _check(spec: ModelSpec, engine: str, context: int, batch: int, asked: Mapping[str, Any]) -> None:
    plan = plan_cache(spec, engine=engine, **{**asked, "context_length": context, "batch_size": batch})
    if held_bytes(plan, batch_size=batch) > LARGEST:
        raise EngineError(
            f"batch {batch:,} at context {context:,} takes more bytes on {engine} than 64-bit columns hold: sweep "
            "smaller values, or plan that job alone."
        )


def _one_by_one(
    spec: ModelSpec, engine: str, contexts: Column, batches: Column, available: Column, asked: Mapping[str, Any]
) -> Columns:
    held, fits = [], []
    rows = zip(contexts.tolist(), batches.tolist(), available.tolist(), strict=True)
    for context, batch, memory in rows:
        job = {"context_length": context, "batch_size": batch, "available_bytes": memory, **asked}
        plan = plan_cache(spec, engine=engine, **job)
        held.append(held_bytes(plan, batch_size=batch))
        fits.append(bool(plan.fits))
    return Columns(held_bytes=np.array(held, dtype=np.int64), fits=np.array(fits, dtype=np.bool_))
