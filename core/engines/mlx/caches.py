"""mlx-lm's cache classes as arithmetic: how many tokens each holds room for at a moment of a request.

A request is a prompt, read in chunks of prefill_step_size with its last token on its own, then one token a step
(generate.py, generate_step of mlx-lm 0.32.2). Room grows in steps of 256 tokens, and what a chunk leaves of a step is
cut off again where the next chunk begins inside it (models/cache.py, KVCache.update_and_fetch).
"""

from dataclasses import dataclass
from math import gcd
from typing import Any

STEP = 256  # tokens; KVCache.step
ELEMENT_BYTES = 2  # keys, values and scales in the model's bfloat16
KEPT_AT_FRONT = 4  # tokens that make_prompt_cache never overwrites under max_kv_size


@dataclass(frozen=True)
class Moment:
    """Where a request stands: full_chunks x chunk prompt tokens, then the rest of the prompt, then single tokens."""

    full_chunks: int
    chunk: int
    rest: int = 0
    singles: int = 0

    @property
    def tokens(self) -> int:
        """Tokens that the model has read."""
        return self.full_chunks * self.chunk + self.rest + self.singles


@dataclass(frozen=True)
class Quantised:
    """kv_bits and kv_group_size: packed elements with a scale and a bias for each group, in the model's type."""

    bits: int
    group_size: int

    def row_bytes(self, width: int) -> int:
        """Bytes of one token and head of so many elements (mx.quantize)."""
        return width * self.bits // 8 + 2 * (width // self.group_size) * ELEMENT_BYTES


@dataclass(frozen=True)
class GrowingCache:
    """KVCache: every token, in steps of 256."""

    heads: int
    key_dim: int
    value_dim: int
    kind = "KVCache"

    def tokens(self, moment: Moment) -> int:
        """Tokens that it has room for."""
        held, room = after_full_chunks(moment.full_chunks, moment.chunk)
        if moment.rest:
            held, room = _grown(held, room, moment.rest)
        short = held + moment.singles - room
        return room + (up_to_step(short) if short > 0 else 0)

    def sequence_bytes(self, moment: Moment, quantised: Quantised | None = None) -> int:
        """Bytes of one sequence; with quantised, once the cache has been converted."""
        return self.tokens(moment) * self.token_bytes(quantised)

    def token_bytes(self, quantised: Quantised | None) -> int:
        """Bytes of one token, keys and values."""
        if quantised is None:
            return self.heads * (self.key_dim + self.value_dim) * ELEMENT_BYTES
        return self.heads * (quantised.row_bytes(self.key_dim) + quantised.row_bytes(self.value_dim))


@dataclass(frozen=True)
class RotatingCache:
    """RotatingKVCache: the last window tokens, and while a prompt is read window - 1 and the whole chunk."""

    window: int
    heads: int
    key_dim: int
    value_dim: int
    kept_at_front: int = 0
    kind = "RotatingKVCache"

    def tokens(self, moment: Moment) -> int:
        """Room in tokens: a chunk comes whole behind what the window leaves, a single token in its place."""
        room = 0
        if moment.chunk == 1:
            return self._after_singles(0, 0, moment.tokens)
        if moment.full_chunks:
            before = min(
                (moment.full_chunks - 1) * moment.chunk, self._left_of((moment.full_chunks - 1) * moment.chunk)
            )
            room = before + moment.chunk
        if moment.rest > 1:
            room = min(room, self._left_of(room)) + moment.rest
        read = moment.full_chunks * moment.chunk + moment.rest * (moment.rest > 1)
        return self._after_singles(room, read, moment.singles + (moment.rest == 1))

    def _left_of(self, room: int) -> int:
        """What a chunk finds: room cut to window - 1 tokens, the kept ones at the front among them (_trim)."""
        cut = room - self.window + 1
        if cut <= 0:
            return room
        return min(self.kept_at_front, room) + max(0, room - cut - self.kept_at_front)

    def _after_singles(self, room: int, read: int, singles: int) -> int:
        if not singles:
            return room
        if room > self.window:
            return min(self.kept_at_front, room) + max(0, self.window - self.kept_at_front)
        wanted = min(read + singles, self.window) - room
        return min(self.window, room + up_to_step(wanted)) if wanted > 0 else room

    def sequence_bytes(self, moment: Moment, quantised: Quantised | None = None) -> int:
        """Bytes of one sequence."""
        return self.tokens(moment) * self.token_bytes

    @property
    def token_bytes(self) -> int:
        """Bytes of one token, keys and values."""
        return self.heads * (self.key_dim + self.value_dim) * ELEMENT_BYTES


@dataclass(frozen=True)
class ChunkedCache:
    """ChunkedKVCache (Llama-4): cut to the chunk before each step, then grown in steps of 256 for what comes."""

    chunk_size: int
    heads: int
    key_dim: int
    value_dim: int
    kind = "ChunkedKVCache"

    def tokens(self, moment: Moment) -> int:
        """Tokens that it has room for."""
        state = (0, 0)
        for _ in range(moment.full_chunks):
            grown = self._next(state, moment.chunk)
            if grown == state:
                break
            state = grown
        if moment.rest:
            state = self._next(state, moment.rest)
        held, room = state
        singles = moment.singles
        while singles:
            # Below the chunk a step is free until the room is used up; above it every step is the same.
            free = min(singles, max(0, min(room, self.chunk_size) - held))
            if free:
                held, singles = held + free, singles - free
                continue
            grown = self._next((held, room), 1)
            if grown == (held, room):
                break
            (held, room), singles = grown, singles - 1
        return room

    def _next(self, state: tuple[int, int], count: int) -> tuple[int, int]:
        held, room = state
        if held > self.chunk_size:
            held = room = self.chunk_size
        return _grown(held, room, count)

    def sequence_bytes(self, moment: Moment, quantised: Quantised | None = None) -> int:
        """Bytes of one sequence."""
        return self.tokens(moment) * self.heads * (self.key_dim + self.value_dim) * ELEMENT_BYTES


@dataclass(frozen=True)
class StateCache:
    """ArraysCache: states of constant width."""

    state_bytes: int
    kind = "ArraysCache"

    def tokens(self, moment: Moment) -> int:
        """Always 0: a state does not grow."""
        return 0

    def sequence_bytes(self, moment: Moment, quantised: Quantised | None = None) -> int:
        """Bytes of one sequence."""
        return self.state_bytes


@dataclass(frozen=True)
class ListedCaches:
    """CacheList: several caches of one layer. kv_bits passes it by, since it knows no conversion."""

    parts: tuple["MlxCache", ...]
    kind = "CacheList"

    def tokens(self, moment: Moment) -> int:
        """Tokens that the roomiest part has room for."""
        return max(part.tokens(moment) for part in self.parts)

    def sequence_bytes(self, moment: Moment, quantised: Quantised | None = None) -> int:
        """Bytes of one sequence, all parts."""
        return sum(part.sequence_bytes(moment) for part in self.parts)


MlxCache = GrowingCache | RotatingCache | ChunkedCache | StateCache | ListedCaches


def up_to_step(count: Any) -> Any:
    """The next multiple of 256, of a number or a numpy column."""
    return -(-count // STEP) * STEP


def _grown(held: int, room: int, count: int) -> tuple[int, int]:
    """(tokens held, room) after count more: where they do not fit, the last step's unused part is cut off first."""
    if held + count > room:
        room = (held if held % STEP else room) + up_to_step(count)
    return held + count, room


def after_full_chunks(count: int, chunk: int) -> tuple[int, int]:
    """(tokens held, room) after count chunks. What is left of a step repeats after 256 / gcd(chunk, 256) chunks."""
    if chunk % STEP == 0:
        return count * chunk, count * chunk
    period = STEP // gcd(chunk, STEP)
    skipped = max(0, count // period - 2) * period
    held = room = 0
    for _ in range(count - skipped):
        held, room = _grown(held, room, chunk)
    return held + skipped * chunk, room + skipped * chunk
