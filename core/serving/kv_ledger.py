"""What a model's layers keep, reserve and read per sequence, on one rank of a tensor-parallel copy.

Layers of one shape are one LayerGroup, so a plan for 80 layers adds up one or two numbers; what a layer caches beside
its keys and values (index keys, compressed entries and their buffers) is a group of its own. Three counts, all in
elements: payload (each KV head once, windows capped: the pattern's own need, ModelSpec.cache_bytes), reserved (what a
paged engine allocates on one rank: whole blocks, KV heads copied when TP > G; latents, index keys and compressed
entries have no heads to split and are whole on every rank) and read (what one decode step loads on one rank: an index
reads all of its keys, and few tokens are then read).
"""

from collections import Counter
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache
from math import ceil

from core.errors import SizingError
from core.models.attention import (
    COMPRESSED_ENTRIES,
    COMPRESSOR_BUFFERS,
    INDEX_KEYS,
    KEYS_AND_VALUES,
    LATENTS,
    PART_NAMES,
    CompressedAttention,
    GroupedAttention,
    LatentAttention,
    Layer,
    NoAttention,
    ParallelLayer,
    RecurrentState,
    SharedCache,
)
from core.models.spec import ModelSpec
from core.serving.layer_groups import LayerGroup
from core.serving.tensor_parallel import kv_heads_per_rank

MODEL_BITS = Fraction(16)


@dataclass(frozen=True, kw_only=True)
class KvLedger:
    """Layer groups of one model at one tensor_parallel; every method is per sequence."""

    groups: tuple[LayerGroup, ...]
    state_bytes: int  # recurrent state: constant, counted in full on every rank; 2 bytes, or 4 where kept in float32

    @property
    def cache_layers(self) -> int:
        """Layers that keep keys and values or a latent of their own."""
        return sum(group.layers for group in self.groups if group.attends)

    def payload_elements(self, context_length: int) -> int:
        """Elements over all ranks, each once: all that ModelSpec.cache_bytes counts."""
        return sum(self.payload_parts(context_length).values())

    def payload_parts(self, context_length: int) -> dict[str, int]:
        """The same by part, in the order of attention.PART_NAMES; parts that the model does not have are left out."""
        totals = dict.fromkeys(PART_NAMES, 0)
        for group in self.groups:
            totals[group.part] += group.layers * group.entries(context_length) * group.payload_width
        present = {group.part for group in self.groups}
        return {name: elements for name, elements in totals.items() if name in present}

    def reserved_elements(self, context_length: int, block_size: int) -> int:
        """Elements that one rank allocates."""
        return sum(
            group.layers * group.block_entries(context_length, block_size) * group.rank_width for group in self.groups
        )

    def shared_elements(self, context_length: int, prefix: int, *, on_rank: bool) -> int:
        """Elements of a prefix that all sequences begin with: those of one rank, or over all ranks each once."""
        return sum(
            group.layers
            * group.shared_entries(context_length, prefix)
            * (group.rank_width if on_rank else group.payload_width)
            for group in self.groups
        )

    def read_elements(self, context_length: int) -> int:
        """Elements that one rank loads in one decode step."""
        return sum(group.readers * group.read_entries(context_length) * group.rank_width for group in self.groups)

    def shared_read_elements(self, context_length: int, prefix: int) -> int:
        """Of read_elements, those of a prefix that all sequences begin with: an engine may load them once for all.

        Entries that an index chooses count as far as they may lie in the prefix.
        """
        return sum(
            group.readers
            * min(group.shared_entries(context_length, prefix), group.read_entries(context_length))
            * group.rank_width
            for group in self.groups
        )

    def elements_per_token(self) -> Fraction:
        """Elements that a step of one rank loads for a token held, while no window is full and an index chooses all."""
        return sum(
            (
                Fraction(group.readers * group.rank_width, group.tokens_per_entry)
                for group in self.groups
                if group.part != COMPRESSOR_BUFFERS
            ),
            Fraction(0),
        )

    def attention_flops(self, context_length: int) -> int:
        """FLOPs of scores and weighted sums for one new token, over all ranks; an index's own scores are left out."""
        return sum(group.readers * group.read_entries(context_length) * group.attention_flops for group in self.groups)


@lru_cache(maxsize=1024)
def kv_ledger(model: ModelSpec, tensor_parallel: int, kv_bits_per_element: Fraction = MODEL_BITS) -> KvLedger:
    """The ledger of a model whose heads divide over the ranks; kv_bits_per_element is the cache's width, in which
    index keys that a class keeps in float32 are counted too. Raises SizingError for a kind of layer not known here."""
    readers: Counter[LayerGroup] = Counter()
    counted: Counter[LayerGroup] = Counter()
    by_layer: dict[int, LayerGroup] = {}
    for number, layer in enumerate(model.layers):
        if isinstance(layer, SharedCache):
            if layer.source_layer not in by_layer:
                raise SizingError(f"layer {number} shares the cache of layer {layer.source_layer}, which keeps none")
            by_layer[number] = by_layer[layer.source_layer]
            readers[by_layer[number]] += 1
        for group in _groups(layer, tensor_parallel, kv_bits_per_element):
            if group.attends:
                by_layer[number] = group
            counted[group] += 1
            readers[group] += 1
    groups = tuple(replace(group, layers=counted[group], readers=readers[group]) for group in counted)
    return KvLedger(groups=groups, state_bytes=model.state_bytes())


def _groups(layer: Layer, tensor_parallel: int, bits: Fraction) -> tuple[LayerGroup, ...]:
    """What one layer keeps, with layers and readers still 0; nothing for a layer that caches nothing of its own."""
    match layer:
        case ParallelLayer():
            return _groups(layer.attention, tensor_parallel, bits)
        case GroupedAttention():
            return (_grouped(layer, tensor_parallel), *_index(layer, bits))
        case LatentAttention():
            return (_latent(layer), *_index(layer, bits))
        case CompressedAttention():
            return _compressed(layer)
        case SharedCache():
            return _index(layer, bits)
        case RecurrentState() | NoAttention():
            return ()
    raise SizingError(f"a layer of kind {type(layer).__name__} cannot be sized: use a model with known kinds of layers")


def _grouped(layer: GroupedAttention, tensor_parallel: int) -> LayerGroup:
    width = layer.head_dim + layer.value_dim
    return LayerGroup(
        part=KEYS_AND_VALUES,
        window=layer.window,
        chosen=layer.index_topk,
        kv_heads=layer.num_kv_heads,
        width_per_head=width,
        payload_width=layer.num_kv_heads * width,
        rank_width=kv_heads_per_rank(layer.num_kv_heads, tensor_parallel) * width,
        attention_flops=2 * layer.num_query_heads * width,
    )


def _latent(layer: LatentAttention) -> LayerGroup:
    """Decoded as one shared head: scores over latent and rotary key, sums over the latent. A prompt's latents are
    multiplied out once for all its tokens, and each query head then has a key and a value of its own."""
    width = layer.latent_dim + layer.rope_dim
    flops, expanded = 2 * layer.num_query_heads * (width + layer.latent_dim), None
    if layer.expanded_key_dim is not None and layer.expanded_value_dim is not None:
        expanded = min(flops, 2 * layer.num_query_heads * (layer.expanded_key_dim + layer.expanded_value_dim))
    latents = replace(_whole(LATENTS, width, flops), prefill_flops=expanded)
    return replace(latents, window=layer.window, chosen=layer.index_topk)


def _index(layer: GroupedAttention | LatentAttention | SharedCache, bits: Fraction) -> tuple[LayerGroup, ...]:
    if layer.index_key_dim is None:
        return ()
    width = ceil(layer.index_key_dim * 32 / bits) if layer.index_key_in_float32 else layer.index_key_dim
    return (_whole(INDEX_KEYS, width),)


def _compressed(layer: CompressedAttention) -> tuple[LayerGroup, ...]:
    """DeepSeek-V4: a window of vectors that are key and value at once, entries, their index keys, and buffers."""
    flops = 4 * layer.num_query_heads * layer.head_dim
    rate, index_dim = layer.compress_rate, layer.index_key_dim
    entries = replace(_whole(COMPRESSED_ENTRIES, layer.head_dim, flops), tokens_per_entry=rate, chosen=layer.index_topk)
    buffers = _whole(COMPRESSOR_BUFFERS, 2 * (layer.head_dim + (index_dim or 0)))
    buffers = replace(buffers, tokens_per_entry=rate, overlapping=index_dim is not None)
    groups = replace(_whole(KEYS_AND_VALUES, layer.head_dim, flops), window=layer.window), entries, buffers
    return groups if index_dim is None else (*groups, replace(_whole(INDEX_KEYS, index_dim), tokens_per_entry=rate))


def _whole(part: str, width: int, flops: int = 0) -> LayerGroup:
    """A group without heads to split: whole on every rank."""
    return LayerGroup(part=part, width_per_head=width, payload_width=width, rank_width=width, attention_flops=flops)
