"""Where a server keeps KV caches of unknown length: one stretch per sequence, or blocks handed out as tokens arrive.

A server that keeps each cache in one stretch must reserve before it knows the length: up to the context limit, up to
the next power of two, or, with an oracle, exactly. Whatever is reserved and not yet written is waste. PagedAttention
(Kwon et al. 2023, arXiv 2309.06180) maps a sequence's blocks to any free blocks of a shared pool, so the waste is the
unfilled end of each last block.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

NAMES = "ABCDEFGH"
POLICIES = {
    "limit": "reserve the context limit",
    "power": "reserve the next power of two",
    "oracle": "reserve the final length (needs an oracle)",
    "paged": "blocks as tokens arrive",
}
MAX_CONTEXT, MAX_SEQUENCES, MAX_BLOCK = 1_048_576, 100_000, 1_024


class PagingError(ValueError):
    """An input that cannot be: the message says what, which value and what to do."""


@dataclass(frozen=True, kw_only=True)
class LengthDistribution:
    """Lengths of prompts and outputs: log-normal, with median tokens and spread (sigma of the logarithm)."""

    prompt_median: int
    output_median: int
    spread: float
    context_limit: int

    def __post_init__(self) -> None:
        _whole("the context limit", self.context_limit, 2, MAX_CONTEXT)
        _whole("the median prompt", self.prompt_median, 1, self.context_limit)
        _whole("the median output", self.output_median, 1, self.context_limit)
        if not 0 <= self.spread <= 3:
            raise PagingError(f"the spread of lengths is {self.spread!r}: give a number from 0 to 3.")

    def sample(self, num_sequences: int, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Tokens held now, and tokens at the end, of sequences seen at a random moment of their decoding.

        Cut to the context limit: prompt first, then as much output as is left.
        """
        _whole("the number of sequences", num_sequences, 1, MAX_SEQUENCES)
        random = np.random.default_rng(seed)
        prompts = self._lengths(self.prompt_median, num_sequences, random)
        prompts = np.minimum(prompts, self.context_limit - 1)
        outputs = np.minimum(self._lengths(self.output_median, num_sequences, random), self.context_limit - prompts)
        now = prompts + np.ceil(random.random(num_sequences) * outputs).astype(np.int64)
        return now, prompts + outputs

    def _lengths(self, median: int, count: int, random: np.random.Generator) -> NDArray[np.int64]:
        drawn = np.round(median * np.exp(self.spread * random.standard_normal(count)))
        return np.clip(drawn, 1, self.context_limit).astype(np.int64)


@dataclass(frozen=True, kw_only=True)
class Use:
    """What one policy reserves for the sampled sequences. Tokens."""

    policy: str
    live_tokens: int
    reserved_tokens: int
    num_sequences: int

    @property
    def used_share(self) -> float:
        """Live tokens over reserved tokens, 0 to 1."""
        return self.live_tokens / self.reserved_tokens

    def sequences_in(self, pool_tokens: int) -> int:
        """Sequences like these that a pool of pool_tokens token slots holds at once, on average."""
        return pool_tokens * self.num_sequences // self.reserved_tokens


def compare(
    lengths: LengthDistribution, *, block_size: int, num_sequences: int = 4_000, seed: int = 0
) -> tuple[Use, ...]:
    """The four policies on the same sequences, in the order of POLICIES."""
    _whole("the block size", block_size, 1, MAX_BLOCK)
    now, final = lengths.sample(num_sequences, seed)
    reserved = {
        "limit": np.full_like(final, lengths.context_limit),
        "power": np.minimum(2 ** np.ceil(np.log2(final)).astype(np.int64), lengths.context_limit),
        "oracle": final,
        "paged": -(-now // block_size) * block_size,
    }
    return tuple(
        Use(
            policy=policy,
            live_tokens=int(now.sum()),
            reserved_tokens=int(reserved[policy].sum()),
            num_sequences=num_sequences,
        )
        for policy in POLICIES
    )


@dataclass(frozen=True, kw_only=True)
class Arrival:
    """A sequence of the small example: when it comes, its prompt, and how many tokens it then writes."""

    step: int
    prompt: int
    output: int


@dataclass(frozen=True, kw_only=True)
class Table:
    """A sequence's block table: logical block i lies in physical block blocks[i]."""

    name: str
    tokens: int
    blocks: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Pool:
    """The shared blocks after some step. owner[i] is the sequence in physical block i (None: free)."""

    step: int
    block_size: int
    tables: tuple[Table, ...]
    owner: tuple[str | None, ...]
    filled: tuple[int, ...]  # token slots written, per physical block
    waiting: tuple[str, ...]
    finished: tuple[str, ...]
    says: str

    @property
    def unfilled_slots(self) -> int:
        """Slots that are reserved and not written: the ends of last blocks."""
        return sum(self.block_size - count for owner, count in zip(self.owner, self.filled, strict=True) if owner)


EXAMPLE = (
    Arrival(step=0, prompt=6, output=7),
    Arrival(step=1, prompt=3, output=3),
    Arrival(step=3, prompt=9, output=6),
    Arrival(step=6, prompt=5, output=8),
)
EXAMPLE_BLOCKS, EXAMPLE_BLOCK_SIZE = 12, 4


def last_step(arrivals: Sequence[Arrival] = EXAMPLE) -> int:
    """The step after which nothing is left, if no sequence has to wait."""
    return max(arrival.step + arrival.output + 1 for arrival in arrivals)


def pool_at(
    step: int,
    arrivals: Sequence[Arrival] = EXAMPLE,
    *,
    num_blocks: int = EXAMPLE_BLOCKS,
    block_size: int = EXAMPLE_BLOCK_SIZE,
) -> Pool:
    """The pool after `step` steps: each step frees what is finished, admits who fits, and adds a token to each.

    Blocks are taken lowest number first. A sequence is admitted when its prompt fits; one that finds no block for its
    next token waits for one with its cache kept.
    """
    _whole("the step", step, 0, 1_000)
    _whole("the number of blocks", num_blocks, 1, 1_000)
    _whole("the block size", block_size, 1, MAX_BLOCK)
    _whole("the number of sequences", len(arrivals), 1, len(NAMES))
    play = _Play(arrivals, num_blocks, block_size)
    for number in range(step + 1):
        play.advance(number)
    return play.pool(step)


class _Play:
    """The moving parts of pool_at."""

    def __init__(self, arrivals: Sequence[Arrival], num_blocks: int, block_size: int) -> None:
        self.arrivals = dict(zip(NAMES, arrivals, strict=False))
        self.free, self.block_size = list(range(num_blocks)), block_size
        self.num_blocks = num_blocks
        self.tokens: dict[str, int] = {}
        self.blocks: dict[str, list[int]] = {}
        self.finished: list[str] = []
        self.events: list[str] = []

    def advance(self, step: int) -> None:
        self.events = []
        for name in list(self.tokens):
            self._grow(name)
        for name, arrival in self.arrivals.items():
            if arrival.step <= step and name not in self.tokens and name not in self.finished:
                self._admit(name, arrival)

    def _grow(self, name: str) -> None:
        arrival = self.arrivals[name]
        if self.tokens[name] >= arrival.prompt + arrival.output:
            freed = self.blocks.pop(name)
            self.free = sorted(self.free + freed)
            del self.tokens[name]
            self.finished.append(name)
            self.events.append(f"{name} is done: its {len(freed)} blocks are free again")
        elif self._take(name, self.tokens[name] + 1):
            self.tokens[name] += 1

    def _admit(self, name: str, arrival: Arrival) -> None:
        self.blocks[name] = []
        if self._take(name, arrival.prompt):
            self.tokens[name] = arrival.prompt
        else:
            del self.blocks[name]
            self.events.append(f"{name} waits: no room for its prompt")

    def _take(self, name: str, tokens: int) -> bool:
        """Blocks for so many tokens; False, and nothing taken, where too few are free."""
        needed = -(-tokens // self.block_size) - len(self.blocks[name])
        if needed > len(self.free):
            return False
        taken, self.free = self.free[:needed], self.free[needed:]
        self.blocks[name] += taken
        if taken:
            numbers = ", ".join(map(str, taken))
            self.events.append(f"{name} takes block{'s' if len(taken) > 1 else ''} {numbers}")
        return True

    def pool(self, step: int) -> Pool:
        owner: list[str | None] = [None] * self.num_blocks
        filled = [0] * self.num_blocks
        for name, blocks in self.blocks.items():
            for place, block in enumerate(blocks):
                owner[block] = name
                filled[block] = min(self.block_size, self.tokens[name] - place * self.block_size)
        waiting = [
            name
            for name, arrival in self.arrivals.items()
            if arrival.step <= step and name not in self.tokens and name not in self.finished
        ]
        tables = [Table(name=n, tokens=self.tokens[n], blocks=tuple(self.blocks[n])) for n in sorted(self.tokens)]
        says = "; ".join(self.events) or "every sequence writes into a block that it already has"
        return Pool(
            step=step,
            block_size=self.block_size,
            tables=tuple(tables),
            owner=tuple(owner),
            filled=tuple(filled),
            waiting=tuple(waiting),
            finished=tuple(self.finished),
            says=says[0].upper() + says[1:] + ".",
        )


def _whole(name: str, value: object, low: int, high: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise PagingError(f"{name} is {value!r}: give a whole number from {low:,} to {high:,}.")
