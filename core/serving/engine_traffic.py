"""What a request in flight takes of a named engine's memory, for many lengths at once.

Where the engine hands out plain blocks of its own, the ledger says the same and is used. Else the engine is asked at up
to MOST_POINTS lengths: a request's share of the memory is the memory over the requests of that length that it serves,
so that slots and window pools count too. Lengths between are interpolated. llama.cpp allocates the whole context for
each slot, however few tokens it holds.
"""

from collections.abc import Callable

import numpy as np

from core.serving.engine_cache import EngineCache
from core.serving.footprint import footprint
from core.serving.job import ServingJob
from core.serving.stages import Stage
from core.serving.traffic import FloatArray, IntArray

MOST_POINTS = 256


def engine_cost(
    job: ServingJob, capacity_bytes: int, longest: int, stage: Stage | None = None
) -> Callable[[IntArray], FloatArray] | None:
    """Bytes that a request of so many tokens takes of the memory, on one stage of a pipeline; None where plain blocks
    say it.

    Raises EngineError.
    """
    needs = footprint(job, stage)
    if needs.engine is None:
        return None
    whole = needs.engine.held_bytes(1, longest)
    if needs.engine.engine == "llama.cpp":
        return lambda tokens: np.full(tokens.shape, float(whole))
    plain = needs.ledger.reserved_elements(longest, needs.engine.plan(1, longest).block_size or 1)
    if whole == -(-plain * needs.kv_bits_per_element // 8):
        return None
    points = np.unique(np.linspace(1, longest, MOST_POINTS).astype(np.int64))
    taken = np.array([_share(needs.engine, int(length), capacity_bytes) for length in points])
    return lambda tokens: np.interp(tokens, points, taken)


def _share(engine: EngineCache, length: int, capacity_bytes: int) -> float:
    """Bytes of one request: the memory over how many are served, or what one takes where the engine says no number."""
    served = engine.plan(1, length, capacity_bytes).max_concurrency
    return capacity_bytes / served if served else float(engine.held_bytes(1, length))
