"""What one layer of a model keeps while it decodes.

A model is a tuple of layers. Each kind of layer is a small frozen class that answers the same two questions for one
sequence: how many key and value elements it holds after context_length tokens (`cached_elements`, grows with the
context until a window is full), and how many elements of constant state it holds whatever the context
(`state_elements`). A hybrid model needs no special case: its cache is a sum.

The counts are payload, the least that the attention pattern needs. What an engine reserves on top is core.sizing's.
"""

from dataclasses import dataclass


def kind_of(num_query_heads: int, num_kv_heads: int) -> str:
    """'MQA' for G = 1, 'MHA' for G = H, else 'GQA' (Ainslie et al. 2023, arXiv 2305.13245, section 2.2).

    H = G = 1 is both; it is called MHA, since no head shares anything.
    """
    if num_kv_heads == num_query_heads:
        return "MHA"
    return "MQA" if num_kv_heads == 1 else "GQA"


@dataclass(frozen=True, kw_only=True)
class GroupedAttention:
    """Query heads share key/value heads: num_kv_heads == num_query_heads is MHA, 1 is MQA."""

    num_query_heads: int
    num_kv_heads: int
    head_dim: int
    value_dim: int
    window: int | None = None  # tokens kept; None keeps the whole context
    broadcast_when_stored: bool = False  # transformers copies K and V to every query head before it caches them

    @property
    def kind(self) -> str:
        return kind_of(self.num_query_heads, self.num_kv_heads)

    @property
    def state_elements(self) -> int:
        return 0

    @property
    def float32_elements(self) -> int:
        return 0

    def cached_elements(self, context_length: int) -> int:
        """Key and value elements that one sequence keeps in this layer after context_length tokens."""
        tokens = context_length if self.window is None else min(context_length, self.window)
        return tokens * self.num_kv_heads * (self.head_dim + self.value_dim)


@dataclass(frozen=True, kw_only=True)
class LatentAttention:
    """Multi-head latent attention: one compressed vector and one rotary key per token, shared by all heads
    (DeepSeek-V2, arXiv 2405.04434, section 2.1)."""

    num_query_heads: int
    latent_dim: int  # kv_lora_rank
    rope_dim: int  # qk_rope_head_dim; 0 where a layer has no rotary positions
    window: int | None = None
    expanded_key_dim: int | None = None  # per query head, once the latent is multiplied out
    expanded_value_dim: int | None = None

    kind = "MLA"

    @property
    def state_elements(self) -> int:
        return 0

    @property
    def float32_elements(self) -> int:
        return 0

    def cached_elements(self, context_length: int) -> int:
        """Latent and rotary elements that one sequence keeps in this layer after context_length tokens."""
        tokens = context_length if self.window is None else min(context_length, self.window)
        return tokens * (self.latent_dim + self.rope_dim)


@dataclass(frozen=True, kw_only=True)
class RecurrentState:
    """Mamba, linear attention and kin: a state of constant width, and no KV cache."""

    mechanism: str  # as shown to people: 'Mamba-2', 'gated delta rule'
    state_elements: int
    float32_elements: int = 0  # of these, the part that is kept in float32 whatever the cache's own type is

    kind = "recurrent"

    def cached_elements(self, context_length: int) -> int:
        """Always 0: the state does not grow with the context."""
        return 0


@dataclass(frozen=True, kw_only=True)
class SharedCache:
    """Attention that reads the keys and values of an earlier layer and keeps none of its own (Gemma-3n, CLA)."""

    source_layer: int
    num_query_heads: int
    num_kv_heads: int

    kind = "shared"

    @property
    def state_elements(self) -> int:
        return 0

    @property
    def float32_elements(self) -> int:
        return 0

    def cached_elements(self, context_length: int) -> int:
        """Always 0: the bytes are counted in the source layer."""
        return 0


@dataclass(frozen=True, kw_only=True)
class NoAttention:
    """A layer without attention (a feed-forward block, or one that a search removed): keeps nothing."""

    reason: str

    kind = "none"

    @property
    def state_elements(self) -> int:
        return 0

    @property
    def float32_elements(self) -> int:
        return 0

    def cached_elements(self, context_length: int) -> int:
        """Always 0."""
        return 0


@dataclass(frozen=True, kw_only=True)
class ParallelLayer:
    """Attention and a recurrent mixer side by side in one layer (Falcon-H1): keeps what both keep."""

    attention: GroupedAttention | LatentAttention
    recurrent: RecurrentState

    @property
    def kind(self) -> str:
        return self.attention.kind

    @property
    def state_elements(self) -> int:
        return self.recurrent.state_elements

    @property
    def float32_elements(self) -> int:
        return self.recurrent.float32_elements

    def cached_elements(self, context_length: int) -> int:
        """The attention part's elements; the recurrent part is in state_elements."""
        return self.attention.cached_elements(context_length)


Layer = GroupedAttention | LatentAttention | RecurrentState | SharedCache | NoAttention | ParallelLayer
