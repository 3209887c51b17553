"""What one layer of a model keeps while it decodes.

A model is a tuple of layers. Each kind of layer is a small frozen class that answers the same questions for one
sequence: how many key and value elements it holds after context_length tokens (`cached_elements`, grows with the
context until a window is full), what else grows beside them in bytes (`side_bytes`: index keys, compressed entries),
how much of all that one decode step reads (`read_bytes`), and how many elements of constant state it holds whatever the
context (`state_elements`). A hybrid model needs no special case: its cache is a sum.

The counts are payload, the least that the attention pattern needs. What an engine reserves on top is core.sizing's.
"""

from dataclasses import dataclass
from typing import Protocol

KEYS_AND_VALUES, LATENTS, INDEX_KEYS = "keys and values", "latents", "index keys"
COMPRESSED_ENTRIES, COMPRESSOR_BUFFERS = "compressed entries", "compressor buffers"
PART_NAMES = (KEYS_AND_VALUES, LATENTS, INDEX_KEYS, COMPRESSED_ENTRIES, COMPRESSOR_BUFFERS)


def kind_of(num_query_heads: int, num_kv_heads: int) -> str:
    """'MQA' for G = 1, 'MHA' for G = H, else 'GQA' (Ainslie et al. 2023, arXiv 2305.13245, section 2.2).

    H = G = 1 is both; it is called MHA, since no head shares anything.
    """
    if num_kv_heads == num_query_heads:
        return "MHA"
    return "MQA" if num_kv_heads == 1 else "GQA"


class _Indexed(Protocol):
    @property
    def index_key_dim(self) -> int | None: ...

    @property
    def index_key_in_float32(self) -> bool: ...


def _index_keys(layer: _Indexed, context_length: int, bytes_per_element: float) -> dict[str, float]:
    """Bytes of the index keys, which are kept for every token of the context, whatever the window."""
    if layer.index_key_dim is None:
        return {}
    return {INDEX_KEYS: context_length * layer.index_key_dim * (4 if layer.index_key_in_float32 else bytes_per_element)}


@dataclass(frozen=True, kw_only=True)
class GroupedAttention:
    """Query heads share key/value heads: num_kv_heads == num_query_heads is MHA, 1 is MQA."""

    num_query_heads: int
    num_kv_heads: int
    head_dim: int
    value_dim: int
    window: int | None = None  # tokens kept; None keeps the whole context
    broadcast_when_stored: bool = False  # transformers copies K and V to every query head before it caches them
    index_key_dim: int | None = None  # elements of the index key kept for every token; None where none is kept
    index_key_in_float32: bool = False  # the class keeps its index keys so, whatever the cache's own type is
    index_topk: int | None = None  # tokens that one step attends to, chosen by an index; None attends to all

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

    def side_bytes(self, context_length: int, bytes_per_element: float) -> dict[str, float]:
        """The index keys of context_length tokens, by part name; empty where the layer keeps none."""
        return _index_keys(self, context_length, bytes_per_element)

    def read_bytes(self, context_length: int, bytes_per_element: float) -> float:
        """Bytes that a decode step of one sequence reads: every index key, and keys and values of the chosen tokens."""
        chosen = context_length if self.index_topk is None else min(context_length, self.index_topk)
        index = self.side_bytes(context_length, bytes_per_element)
        return self.cached_elements(chosen) * bytes_per_element + sum(index.values())


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
    index_key_dim: int | None = None  # elements of the index key kept for every token; None where none is kept
    index_key_in_float32: bool = False  # the class keeps its index keys so, whatever the cache's own type is
    index_topk: int | None = None  # tokens that one step attends to, chosen by an index; None attends to all

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

    def side_bytes(self, context_length: int, bytes_per_element: float) -> dict[str, float]:
        """The index keys of context_length tokens, by part name; empty where the layer keeps none."""
        return _index_keys(self, context_length, bytes_per_element)

    def read_bytes(self, context_length: int, bytes_per_element: float) -> float:
        """Bytes that one decode step of one sequence reads: every index key, and the latents of the chosen tokens."""
        chosen = context_length if self.index_topk is None else min(context_length, self.index_topk)
        index = self.side_bytes(context_length, bytes_per_element)
        return self.cached_elements(chosen) * bytes_per_element + sum(index.values())


@dataclass(frozen=True, kw_only=True)
class RecurrentState:
    """Mamba, linear attention and kin: a state of constant width, and no KV cache."""

    mechanism: str  # as shown to people: 'Mamba-2', 'gated delta rule'
    state_elements: int  # in the model's own type, but for the next figure
    float32_elements: int = 0  # of these, the part that is kept in float32 whatever the cache's own type is
    int64_elements: int = 0  # beside these: token ids that Qwen4-Exp keeps for its n-grams
    position_counters: int = 0  # beside these: 8-byte counters kept once for the whole batch (xLSTM, its first layer)

    kind = "recurrent"

    def state_bytes(self, batch_size: int, bytes_per_element: float) -> float:
        """Bytes for the whole batch, each element in the width that the class keeps it in."""
        own = (self.state_elements - self.float32_elements) * bytes_per_element
        return batch_size * (own + self.float32_elements * 4 + self.int64_elements * 8) + self.position_counters * 8

    def cached_elements(self, context_length: int) -> int:
        """Always 0: the state does not grow with the context."""
        return 0

    def side_bytes(self, context_length: int, bytes_per_element: float) -> dict[str, float]:
        """Always empty."""
        return {}

    def read_bytes(self, context_length: int, bytes_per_element: float) -> float:
        """Always 0: the state is read too, and counted apart."""
        return 0


@dataclass(frozen=True, kw_only=True)
class SharedCache:
    """Attention that reads the keys and values of an earlier layer and keeps none of its own (Gemma-3n, CLA)."""

    source_layer: int
    num_query_heads: int
    num_kv_heads: int
    index_key_dim: int | None = None  # Mistral Large 4: a layer that shares its latent may still index for itself
    index_key_in_float32: bool = False

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

    def side_bytes(self, context_length: int, bytes_per_element: float) -> dict[str, float]:
        """The layer's own index keys, by part name; empty where it keeps none."""
        return _index_keys(self, context_length, bytes_per_element)

    def read_bytes(self, context_length: int, bytes_per_element: float) -> float:
        """The layer's own index keys; what it reads of its source is counted nowhere here."""
        return sum(self.side_bytes(context_length, bytes_per_element).values())


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

    def side_bytes(self, context_length: int, bytes_per_element: float) -> dict[str, float]:
        """Always empty."""
        return {}

    def read_bytes(self, context_length: int, bytes_per_element: float) -> float:
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

    def side_bytes(self, context_length: int, bytes_per_element: float) -> dict[str, float]:
        """The attention part's."""
        return self.attention.side_bytes(context_length, bytes_per_element)

    def read_bytes(self, context_length: int, bytes_per_element: float) -> float:
        """The attention part's."""
        return self.attention.read_bytes(context_length, bytes_per_element)


@dataclass(frozen=True, kw_only=True)
class CompressedAttention:
    """DeepSeek-V4: one key that is also the value for each of the last `window` tokens, and beside it one compressed
    entry for every compress_rate tokens of the whole context (deepseek_v4 of transformers 5.23, modeling_deepseek_v4).

    With an index (its compressed sparse attention, CSA) each entry overlaps two stretches of tokens and has an index
    key, and a step attends to index_topk entries; without one (heavily compressed attention, HCA) to all of them.
    """

    num_query_heads: int
    head_dim: int  # of the shared key and value, and of a compressed entry
    window: int
    compress_rate: int  # tokens that become one entry
    index_key_dim: int | None = None  # of the index key of one entry; None on layers that read every entry
    index_topk: int | None = None  # entries, not tokens, that one step attends to; None attends to all

    kind = "MQA"
    num_kv_heads = 1

    @property
    def state_elements(self) -> int:
        return 0

    @property
    def float32_elements(self) -> int:
        return 0

    def cached_elements(self, context_length: int) -> int:
        """Elements of the window alone: its key and value are one vector, kept once."""
        return min(context_length, self.window) * self.head_dim

    def side_bytes(self, context_length: int, bytes_per_element: float) -> dict[str, float]:
        """Compressed entries, their index keys, and what the compressors hold until a stretch of tokens is whole."""
        entries = context_length // self.compress_rate
        elements = {} if self.index_key_dim is None else {INDEX_KEYS: entries * self.index_key_dim}
        elements |= {COMPRESSED_ENTRIES: entries * self.head_dim}
        elements |= {COMPRESSOR_BUFFERS: self._buffer_elements(context_length)}
        return {name: number * bytes_per_element for name, number in elements.items()}

    def _buffer_elements(self, context_length: int) -> int:
        """A vector and its gate for each token that waits; where stretches overlap two of both, and the last whole
        stretch is held for its successor (transformers 5.24 keeps the gates of that one in float32, 5.23 does not)."""
        waiting = context_length % self.compress_rate
        if self.index_key_dim is None:
            return 2 * waiting * self.head_dim
        held = self.compress_rate if context_length >= self.compress_rate else 0
        return 2 * (2 * waiting + held) * (self.head_dim + self.index_key_dim)

    def read_bytes(self, context_length: int, bytes_per_element: float) -> float:
        """The window, every index key, and the entries chosen; buffers are read only when a stretch is whole."""
        entries = context_length // self.compress_rate
        chosen = entries if self.index_topk is None else min(entries, self.index_topk)
        elements = self.cached_elements(context_length) + chosen * self.head_dim + entries * (self.index_key_dim or 0)
        return elements * bytes_per_element


Layer = (
    GroupedAttention
    | LatentAttention
    | RecurrentState
    | SharedCache
    | NoAttention
    | ParallelLayer
    | CompressedAttention
)


def recurrent_state(layer: Layer) -> RecurrentState | None:
    """The constant state of a layer, whether it stands alone or beside attention; None where there is none."""
    inner = layer.recurrent if isinstance(layer, ParallelLayer) else layer
    return inner if isinstance(inner, RecurrentState) else None


def cache_part_bytes(layer: Layer, context_length: int, bytes_per_element: float) -> dict[str, float]:
    """Bytes of all that grows with the context in this layer, by part name (of PART_NAMES), for one sequence."""
    inner = layer.attention if isinstance(layer, ParallelLayer) else layer
    name = LATENTS if isinstance(inner, LatentAttention) else KEYS_AND_VALUES
    own = layer.cached_elements(context_length)
    return ({name: own * bytes_per_element} if own else {}) | layer.side_bytes(context_length, bytes_per_element)


def token_part_bytes(layer: Layer, bytes_per_element: float) -> dict[str, float]:
    """Bytes that one more token adds to the layer's parts while no window is full: of an entry, the token's share."""
    if not isinstance(layer, CompressedAttention):
        return cache_part_bytes(layer, 1, bytes_per_element)
    one_entry = layer.side_bytes(layer.compress_rate, bytes_per_element)
    shares = {
        name: one_entry[name] / layer.compress_rate for name in (INDEX_KEYS, COMPRESSED_ENTRIES) if name in one_entry
    }
    return {KEYS_AND_VALUES: layer.cached_elements(1) * bytes_per_element} | shares
