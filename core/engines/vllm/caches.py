"""What vLLM keeps for one layer on one rank: pages of whole blocks, and how many of them a request pins.

States vllm/v1/kv_cache_interface.py of vLLM 0.33.0. Five kinds of layer answer the same question, `blocks(context)`:
the most pages that one request of that length pins. The arithmetic takes ints and numpy arrays alike.
"""

from dataclasses import dataclass
from enum import Enum
from typing import Any

from core.engines.arrays import ceiling, smaller


class Kind(Enum):
    """The kinds of layer cache that vLLM's planner knows; a group holds layers of one kind."""

    FULL = "full attention"
    LATENT = "latent"
    WINDOW = "sliding window"
    LATENT_WINDOW = "latent, sliding window"
    CHUNK = "local chunks"
    STATE = "state"
    RING = "ring of waiting keys"


FULL_KINDS = (Kind.FULL, Kind.LATENT)  # both hold every token: they may share one group
WINDOW_KINDS = (Kind.WINDOW, Kind.LATENT_WINDOW)


@dataclass(frozen=True, kw_only=True)
class LayerCache:
    """One layer's cache on one rank. Layers that compare equal need no telling apart."""

    kind: Kind
    block_size: int  # tokens of a page
    page_bytes: int  # bytes of a page, padding included
    row_bytes: int = 0  # bytes of one token; 0 for a state
    tokens_per_row: int = 1  # tokens that one row stands for (DeepSeek-V4's compressed entries)
    padded: bool = False  # page_bytes is more than block_size x row_bytes: it was raised to another layer's page
    shape: tuple[int, ...] = ()  # heads, key width, value width: layers differ where these do, whatever their bytes
    role: str = ""  # 'indexer', 'leader', a state whole on each rank: what keeps layers of one size from being merged
    window: int = 0  # tokens of a window or a chunk
    state_pages: int = 0  # pages that a request pins for a recurrent state
    filled_bytes: int = 0  # of a state's page, the state itself
    in_flight_tokens: int = 0  # scheduled and not yet settled: windows and chunks hold these too
    context_ranks: int = 1  # decode context parallelism: ranks that share out the tokens

    def blocks(self, context: Any) -> Any:
        """Pages that one request of `context` tokens pins at most.

        Full and latent: ceil(tokens / block). Window: the last window - 1 tokens and those in flight, and one block
        more since a window may begin inside a block. Chunk: a chunk and those in flight. State: a fixed number.
        (FullAttentionSpec, SlidingWindowSpec, ChunkedLocalAttentionSpec and MambaSpec, max_memory_usage_bytes.)
        """
        if self.kind in (Kind.STATE, Kind.RING):
            return self.state_pages
        if self.kind in WINDOW_KINDS:
            return ceiling(smaller(self.window - 1 + self.in_flight_tokens, context), self.block_size) + 1
        if self.kind is Kind.CHUNK:
            return ceiling(smaller(self.window + self.in_flight_tokens, context), self.block_size)
        return ceiling(ceiling(context, self.context_ranks), self.block_size)

    def filled(self, context: int) -> int:
        """Bytes that the tokens and states of one request need at this layer's widths, without any page."""
        if self.kind in (Kind.STATE, Kind.RING):
            return self.filled_bytes
        tokens = min(context, self.window) if self.window else ceiling(context, self.context_ranks)
        return int(tokens // self.tokens_per_row * self.row_bytes)
