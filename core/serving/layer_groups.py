"""Layers that keep the same, as one group: how many entries it holds, reserves and reads after a number of tokens.

An entry is what one token leaves, or several tokens together where the layer compresses them. Every count takes one
context length or a numpy column of them.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from core.models.attention import COMPRESSOR_BUFFERS, KEYS_AND_VALUES, LATENTS

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

Tokens = TypeVar("Tokens", int, "npt.NDArray[np.int64]")


@dataclass(frozen=True, kw_only=True)
class LayerGroup:
    """Layers that keep the same: widths are elements per entry of one layer.

    payload_width counts each KV head once over all ranks, rank_width what one rank holds, readers how many layers
    read these entries in a step (more than `layers` where later layers share a cache), attention_flops FLOPs per
    entry read of one reader over all ranks. part is a name of attention.PART_NAMES.
    """

    part: str
    layers: int = 0
    readers: int = 0
    window: int | None = None
    chosen: int | None = None  # entries that one step reads at most, where an index chooses them
    tokens_per_entry: int = 1
    overlapping: bool = False  # of compressor buffers: each token waits twice, and the last whole stretch is held
    kv_heads: int = 1  # 1 for a latent, an index key, a compressed entry
    width_per_head: int
    payload_width: int
    rank_width: int
    attention_flops: int = 0
    prefill_flops: int | None = None  # while a prompt is worked on, where that is done otherwise than a step

    @property
    def attends(self) -> bool:
        """Whether this is the keys and values, or the latents, of its layers: each has one such group."""
        return self.part in (KEYS_AND_VALUES, LATENTS)

    def entries(self, context_length: Tokens) -> Tokens:
        """Entries kept per sequence: the context, the window once it is full, or what waits to be compressed."""
        if self.part == COMPRESSOR_BUFFERS:
            waiting = context_length % self.tokens_per_entry
            if not self.overlapping:
                return waiting
            return 2 * waiting + self.tokens_per_entry * _least(context_length // self.tokens_per_entry, 1)
        whole = context_length // self.tokens_per_entry
        return whole if self.window is None else _least(whole, self.window)

    def block_entries(self, context_length: Tokens, block_size: int) -> Tokens:
        """Entries allocated per sequence: whole blocks; a window of W touches at most ceil((W - 1) / block) + 1 of
        them. Buffers are allocated for the most that ever waits."""
        if self.part == COMPRESSOR_BUFFERS:
            longest = self.tokens_per_entry - 1
            return context_length * 0 + (3 * longest + 1 if self.overlapping else longest)
        blocks = -(-(context_length // self.tokens_per_entry) // block_size)
        if self.window is not None:
            blocks = _least(blocks, -(-(self.window - 1) // block_size) + 1)
        return blocks * block_size

    def shared_entries(self, context_length: Tokens, prefix: int) -> Tokens:
        """Of the entries kept, those of a prefix of so many tokens that every sequence begins with: one window's last
        tokens alone may lie in it, and what waits to be compressed is a sequence's own."""
        if self.part == COMPRESSOR_BUFFERS:
            return context_length * 0
        shared = _least(context_length, prefix) // self.tokens_per_entry
        if self.window is None:
            return shared
        left = shared + self.entries(context_length) - context_length // self.tokens_per_entry
        return (left + abs(left)) // 2  # never below 0, of a column too

    def read_entries(self, context_length: Tokens) -> Tokens:
        """Entries that one reader loads in a step: those that an index chooses, and no buffer, which waits for its
        stretch to be whole."""
        if self.part == COMPRESSOR_BUFFERS:
            return context_length * 0
        kept = self.entries(context_length)
        return kept if self.chosen is None else _least(kept, self.chosen)


def _least(amount: Tokens, most: int) -> Tokens:
    if isinstance(amount, int):
        return min(amount, most)
    import numpy as np  # noqa: PLC0415  a job asked from a shell has no column

    return np.minimum(amount, most)
