"""What a model's layers keep, reserve and read per sequence, on one rank of a tensor-parallel copy.

Layers of one shape are one LayerGroup, so a plan for 80 layers adds up one or two numbers. Three counts, all in
elements: payload (each KV head once, windows capped: the pattern's own need), reserved (what a paged engine allocates
on one rank: whole blocks, KV heads copied when TP > G, the MLA latent on every rank) and read (what one decode step
loads on one rank).
"""

from collections import Counter
from dataclasses import dataclass, replace
from functools import lru_cache

from core.errors import SizingError
from core.models.attention import (
    GroupedAttention,
    LatentAttention,
    Layer,
    NoAttention,
    ParallelLayer,
    RecurrentState,
    SharedCache,
)
from core.models.spec import ModelSpec
from core.serving.tensor_parallel import kv_heads_per_rank


@dataclass(frozen=True, kw_only=True)
class LayerGroup:
    """Layers that keep the same: widths are elements per token of one layer.

    payload_width counts each KV head once over all ranks, rank_width what one rank holds, readers how many layers
    read these keys and values in a step (more than `layers` where later layers share a cache), attention_flops FLOPs
    per cached token of one reader over all ranks.
    """

    layers: int
    readers: int
    window: int | None
    kv_heads: int  # 1 for a latent
    width_per_head: int
    payload_width: int
    rank_width: int
    attention_flops: int

    def tokens(self, context_length: int) -> int:
        """Tokens kept per sequence: the context, or the window once it is full."""
        return context_length if self.window is None else min(context_length, self.window)

    def block_tokens(self, context_length: int, block_size: int) -> int:
        """Tokens allocated per sequence: whole blocks; a window of W touches at most ceil((W - 1) / block) + 1 of
        them."""
        blocks = -(-context_length // block_size)
        if self.window is not None:
            blocks = min(blocks, -(-(self.window - 1) // block_size) + 1)
        return blocks * block_size


@dataclass(frozen=True, kw_only=True)
class KvLedger:
    """Layer groups of one model at one tensor_parallel; every method is per sequence."""

    groups: tuple[LayerGroup, ...]
    state_bytes: int  # recurrent state: constant, counted in full on every rank; 2 bytes, or 4 where kept in float32

    def payload_elements(self, context_length: int) -> int:
        """Elements over all ranks, each once: equals the sum of cached_elements over the layers."""
        return sum(group.layers * group.tokens(context_length) * group.payload_width for group in self.groups)

    def reserved_elements(self, context_length: int, block_size: int) -> int:
        """Elements that one rank allocates."""
        return sum(
            group.layers * group.block_tokens(context_length, block_size) * group.rank_width for group in self.groups
        )

    def read_elements(self, context_length: int) -> int:
        """Elements that one rank loads in one decode step."""
        return sum(group.readers * group.tokens(context_length) * group.rank_width for group in self.groups)

    def attention_flops(self, context_length: int) -> int:
        """FLOPs of scores and weighted sums for one new token, over all ranks."""
        return sum(group.readers * group.tokens(context_length) * group.attention_flops for group in self.groups)


@lru_cache(maxsize=1024)
def kv_ledger(model: ModelSpec, tensor_parallel: int) -> KvLedger:
    """The ledger of a model whose heads divide over the ranks. Raises SizingError for a kind of layer not known
    here."""
    counted: Counter[LayerGroup] = Counter()
    readers: Counter[LayerGroup] = Counter()
    by_layer: dict[int, LayerGroup] = {}
    for number, layer in enumerate(model.layers):
        group = _group(layer, tensor_parallel)
        if group is not None:
            by_layer[number] = group
            counted[group] += 1
            readers[group] += 1
        elif isinstance(layer, SharedCache):
            if layer.source_layer not in by_layer:
                raise SizingError(f"layer {number} shares the cache of layer {layer.source_layer}, which keeps none")
            by_layer[number] = by_layer[layer.source_layer]
            readers[by_layer[number]] += 1
    groups = tuple(replace(group, layers=counted[group], readers=readers[group]) for group in counted)
    return KvLedger(groups=groups, state_bytes=model.state_bytes())


def _group(layer: Layer, tensor_parallel: int) -> LayerGroup | None:
    """The group of one layer, with layers and readers still 0; None for a layer that keeps no keys and values."""
    if isinstance(layer, ParallelLayer):
        layer = layer.attention
    if isinstance(layer, GroupedAttention):
        width = layer.head_dim + layer.value_dim
        return LayerGroup(
            layers=0,
            readers=0,
            window=layer.window,
            kv_heads=layer.num_kv_heads,
            width_per_head=width,
            payload_width=layer.num_kv_heads * width,
            rank_width=kv_heads_per_rank(layer.num_kv_heads, tensor_parallel) * width,
            attention_flops=2 * layer.num_query_heads * width,
        )
    if isinstance(layer, LatentAttention):
        # decoded as one shared head: scores over latent and rotary key, sums over the latent
        width = layer.latent_dim + layer.rope_dim
        return LayerGroup(
            layers=0,
            readers=0,
            window=layer.window,
            kv_heads=1,
            width_per_head=width,
            payload_width=width,
            rank_width=width,
            attention_flops=2 * layer.num_query_heads * (width + layer.latent_dim),
        )
    if isinstance(layer, RecurrentState | SharedCache | NoAttention):
        return None
    raise SizingError(f"a layer of kind {type(layer).__name__} cannot be sized: use a model with known kinds of layers")
