"""mlx-lm's caches of many requests at once: the rules of caches.py and planner.py on numpy columns.

Equal to plan row by row (tests/core/engines/test_columns.py). A chunked cache walks its chunks, so it is asked once for
each distinct moment.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from core.engines.arrays import larger, smaller
from core.engines.mlx.caches import (
    KEPT_AT_FRONT,
    STEP,
    GrowingCache,
    ListedCaches,
    MlxCache,
    Moment,
    Quantised,
    RotatingCache,
    StateCache,
    after_full_chunks,
    up_to_step,
)
from core.engines.mlx.layouts import layout_of
from core.engines.mlx.planner import MlxJob, check_kept_tokens, checked, quantised_of, singles_before
from core.models.spec import ModelSpec

Column = Any  # numpy.int64


@dataclass(frozen=True)
class Moments:
    """Moment, one a row; present is False where a request has no such moment."""

    full_chunks: Column
    chunk: int
    rest: Column
    singles: Column
    present: Any

    @property
    def tokens(self) -> Column:
        """Tokens that the model has read."""
        return self.full_chunks * self.chunk + self.rest + self.singles


def columns(
    spec: ModelSpec, contexts: Column, batches: Column, available: Column, settings: dict[str, Any]
) -> tuple[Column, Any]:
    """(bytes of each whole batch, whether they fit)."""
    held = np.zeros_like(contexts)
    for alone in (True, False):
        rows = (batches == 1) == alone
        if rows.any():
            batch = int(batches[rows].max())
            job = checked({**settings, "context_length": int(contexts.max()), "batch_size": batch})
            held[rows] = _batch_bytes(spec, job, contexts[rows], batches[rows])
    return held, held <= available


def _batch_bytes(spec: ModelSpec, job: MlxJob, contexts: Column, batches: Column) -> Column:
    """Bytes of each batch at the time that the job asks for."""
    layout = layout_of(spec)
    if job.max_kv_size is not None:
        layout = layout.capped(job.max_kv_size, job.batch_size)
        if job.max_kv_size <= KEPT_AT_FRONT:
            for context in np.unique(contexts).tolist():
                check_kept_tokens(layout, replace(job, context_length=context))
    quantised = quantised_of(layout, job)
    best = np.zeros_like(contexts)
    for sequences, moments, before, held in _stands(job, contexts, batches, quantises=quantised is not None):
        converted = moments.tokens >= job.quantized_kv_start if quantised is not None else None
        total = sequences * sum(
            _bytes(cache, moments, quantised, converted) * count for cache, count in layout.distinct
        )
        if held is not None:
            total = total + before * sum(_bytes(cache, held) * count for cache, count in layout.distinct)
        best = larger(best, np.where(moments.present, total, 0))
    return best


def _stands(
    job: MlxJob, contexts: Column, batches: Column, *, quantises: bool
) -> Iterator[tuple[Column, Moments, Column, Moments | None]]:
    """planner._stands, all rows at once: sequences and their moment, those read before and theirs."""
    chunk, start = job.prefill_step_size, job.quantized_kv_start
    chunks, rest = np.divmod(contexts - job.generated_tokens - 1, chunk)
    none, every = np.zeros_like(chunks), np.ones_like(chunks, dtype=np.bool_)
    end = Moments(chunks, chunk, rest, np.full_like(chunks, job.generated_tokens + 1), every)
    if job.moment != "end":
        for before, sequences in _last_groups(batches, job.prefill_batch_size):
            for at, moments in ((chunks - 1, Moments(chunks, chunk, none, none, chunks > 0)),
                                (chunks, Moments(chunks, chunk, rest, none, rest > 0))):  # fmt: skip
                present = moments.present & (sequences > 0)
                yield sequences, replace(moments, present=present), before, _held(job, end, before, at)
        yield batches, replace(end, singles=none + 1), none, None
        if quantises and start > 0:
            earlier = smaller(chunks, (start - 1) // chunk)
            yield batches, Moments(earlier, chunk, none, none, earlier > 0), none, None
            prompt = chunks * chunk + rest
            singles = larger(smaller(end.singles, start - 1 - prompt), 0)
            yield batches, Moments(chunks, chunk, rest, singles, start > prompt), none, None
    yield batches, end, none, None


def _last_groups(batches: Column, group: int) -> Iterator[tuple[Column, Column]]:
    """planner._last_groups; a group that a row does not have has no sequences."""
    whole, left = np.divmod(batches, group)
    yield larger(whole - 1, 0) * group, np.where(whole > 0, group, 0)
    yield whole * group, left


def _held(job: MlxJob, end: Moments, before: Column, chunk: Column) -> Moments | None:
    """Where those that were read before stand; None where no row has any."""
    if not before.any():
        return None
    return replace(end, singles=larger(singles_before(before // job.prefill_batch_size, end, chunk), 1))


def _bytes(cache: MlxCache, at: Moments, quantised: Quantised | None = None, converted: Any = None) -> Column:
    """sequence_bytes of one cache."""
    match cache:
        case StateCache():
            return np.full_like(at.rest, cache.state_bytes)
        case ListedCaches():
            return sum(_bytes(part, at) for part in cache.parts)
        case GrowingCache():
            plain = cache.token_bytes(None)
            wide = plain if converted is None else np.where(converted, cache.token_bytes(quantised), plain)
            return _growing(at) * wide
        case RotatingCache():
            return _rotating(cache, at) * cache.token_bytes
    return _walked(cache, at)


def _walked(cache: MlxCache, at: Moments) -> Column:
    """Row by row, each distinct moment once."""
    rows = np.stack([at.full_chunks, at.rest, at.singles], axis=1)
    distinct, places = np.unique(rows, axis=0, return_inverse=True)
    found = [cache.sequence_bytes(Moment(full, at.chunk, rest, one)) for full, rest, one in distinct.tolist()]
    return np.array(found, dtype=np.int64)[places.reshape(-1)]


def _growing(at: Moments) -> Column:
    """GrowingCache.tokens."""
    held, room = _after_full_chunks(at)
    kept: Column = np.where(held % STEP != 0, held, room)
    room = np.where((at.rest > 0) & (held + at.rest > room), kept + up_to_step(at.rest), room)
    short = held + at.rest + at.singles - room
    return room + np.where(short > 0, up_to_step(short), 0)


def _after_full_chunks(at: Moments) -> tuple[Column, Column]:
    if at.chunk % STEP == 0:
        return at.full_chunks * at.chunk, at.full_chunks * at.chunk
    counts, places = np.unique(at.full_chunks, return_inverse=True)
    states = np.array([after_full_chunks(count, at.chunk) for count in counts.tolist()], dtype=np.int64)
    return states[places, 0], states[places, 1]


def _rotating(cache: RotatingCache, at: Moments) -> Column:
    """RotatingCache.tokens."""
    if at.chunk == 1:
        return _after_singles(cache, np.zeros_like(at.rest), np.zeros_like(at.rest), at.tokens)
    behind = larger(at.full_chunks - 1, 0) * at.chunk
    room = np.where(at.full_chunks > 0, smaller(behind, _left_of(cache, behind)) + at.chunk, 0)
    room = np.where(at.rest > 1, smaller(room, _left_of(cache, room)) + at.rest, room)
    read = at.full_chunks * at.chunk + np.where(at.rest > 1, at.rest, 0)
    return _after_singles(cache, room, read, at.singles + (at.rest == 1))


def _left_of(cache: RotatingCache, room: Column) -> Column:
    cut = room - cache.window + 1
    left = smaller(cache.kept_at_front, room) + larger(room - cut - cache.kept_at_front, 0)
    return np.where(cut <= 0, room, left)


def _after_singles(cache: RotatingCache, room: Column, read: Column, singles: Column) -> Column:
    wanted = smaller(read + singles, cache.window) - room
    grown = np.where(wanted > 0, smaller(room + up_to_step(wanted), cache.window), room)
    cut = smaller(cache.kept_at_front, room) + max(0, cache.window - cache.kept_at_front)
    return np.where(singles == 0, room, np.where(room > cache.window, cut, grown))
