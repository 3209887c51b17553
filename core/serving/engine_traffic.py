"""What a request in flight takes of a named engine's memory, for many lengths at once.

Where the engine hands out plain blocks of its own, the ledger says the same and is used. Else the engine is asked at up
to MOST_POINTS lengths: a request's share of the memory is the memory over the requests of that length that it serves,
so that slots and window pools count too. Lengths between are interpolated. llama.cpp allocates the whole context for
each slot, however few tokens it holds.
"""

from collections.abc import Callable

import numpy as np

from core.serving.engine_cache import EngineCache
from core.serving.footprint import Footprint
from core.serving.traffic import FloatArray, IntArray

MOST_POINTS = 256
BELOW_ITS_SHARE = 1 - 1e-9  # so that all shares, added up in floats, do not pass the whole
Cost = Callable[[IntArray], FloatArray]


def block_size(needs: Footprint, longest: int) -> int:
    """Tokens of a block: the engine's own, or the payload's what-if. Raises EngineError."""
    return needs.block_size if needs.engine is None else needs.engine.plan(1, longest).block_size or 1


def engine_cost(needs: Footprint, capacity_bytes: int, longest: int) -> Cost | None:
    """Bytes that a request of so many tokens takes of the engine's memory on one rank; None for the payload, and where
    plain blocks say it.

    Raises EngineError.
    """
    engine = needs.engine
    if engine is None:
        return None
    plain = needs.ledger.reserved_elements(longest, block_size(needs, longest))
    if engine.engine != "llama.cpp" and engine.held_bytes(1, longest) == -(-plain * needs.kv_bits_per_element // 8):
        return None
    return _asked_cost(engine, longest, lambda length: _share(engine, length, capacity_bytes))


def draft_cost(engine: EngineCache, longest: int) -> Cost:
    """The same for the cache that a draft has beside the model's. Raises EngineError."""
    return _asked_cost(engine, longest, lambda length: float(engine.held_bytes(1, length)))


def most_requests(needs: Footprint, capacity_bytes: int, longest: int) -> int | None:
    """Requests of one copy that the engine serves at most, however short they are; None where it sets no limit.

    Raises EngineError.
    """
    engine = needs.engine
    if engine is None:
        return None
    if engine.engine == "llama.cpp":
        from core.engines.llama_cpp.settings import MAX_SLOTS, Settings  # noqa: PLC0415  llama.cpp's alone

        return min(MAX_SLOTS, dict(engine.settings).get("n_batch") or Settings.n_batch)
    return engine.plan(1, longest, capacity_bytes).max_running_requests


def _asked_cost(engine: EngineCache, longest: int, ask: Callable[[int], float]) -> Cost:
    """What the engine says at some lengths, and between them what lies between."""
    if engine.engine == "llama.cpp":
        whole = float(engine.held_bytes(1, longest))
        return lambda tokens: np.full(tokens.shape, whole)
    points = np.unique(np.linspace(1, longest, MOST_POINTS).astype(np.int64))
    taken = np.array([ask(int(length)) for length in points])
    return lambda tokens: np.interp(tokens, points, taken)


def _share(engine: EngineCache, length: int, capacity_bytes: int) -> float:
    """Bytes of one request: the memory over how many are served, or what one takes where the engine says no number."""
    served = engine.plan(1, length, capacity_bytes).max_concurrency
    return BELOW_ITS_SHARE * capacity_bytes / served if served else float(engine.held_bytes(1, length))
