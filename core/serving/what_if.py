"""What if a model had another G, or kept only a window in some layers: the model's shapes with one thing changed.

A model has a dial for G where every layer with keys and values has the same query and KV heads. Latent attention
(MLA) has no G, layers that compress share one head by their class, and layers that differ have no single G: all are
refused with what can be changed instead.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import lru_cache
from math import gcd

from core.errors import SizingError, require_whole
from core.models.attention import (
    CompressedAttention,
    GroupedAttention,
    LatentAttention,
    Layer,
    ParallelLayer,
    SharedCache,
)
from core.models.spec import ModelSpec
from core.serving.tensor_parallel import check_query_split, check_split, divisors

MAX_CONTEXT_LENGTH = 2**30
MAX_HEADS = MAX_LAYERS = 2**20


@dataclass(frozen=True, kw_only=True)
class WindowPattern:
    """What if some layers kept only a window: global_layers hold the whole context, local_layers the last `window`
    tokens."""

    global_layers: int
    local_layers: int
    window: int


def apply_what_if(model: ModelSpec, num_kv_heads: int | None, pattern: WindowPattern | None) -> ModelSpec:
    """The model with another G and another window pattern. Raises SizingError where the model has no such dial."""
    # checked before the cache, in which True and 8.0 would be found as 1 and 8
    if num_kv_heads is not None:
        require_whole("num_kv_heads", num_kv_heads, 1, MAX_HEADS)
    if pattern is not None:
        _check_pattern(pattern)
    return _applied(model, num_kv_heads, pattern)


@lru_cache(maxsize=512)
def _applied(model: ModelSpec, num_kv_heads: int | None, pattern: WindowPattern | None) -> ModelSpec:
    layers = model.layers
    if num_kv_heads is not None:
        layers = _with_kv_heads(model, num_kv_heads)
    if pattern is not None:
        layers = _with_windows(layers, pattern)
    return model if layers is model.layers else replace(model, layers=layers)


def _check_pattern(pattern: WindowPattern) -> None:
    if not isinstance(pattern, WindowPattern):
        raise SizingError(f"window_pattern is {pattern!r}: give a WindowPattern, or None for the model's own windows")
    require_whole("window_pattern.window", pattern.window, 1, MAX_CONTEXT_LENGTH)
    require_whole("window_pattern.global_layers", pattern.global_layers, 0, MAX_LAYERS)
    require_whole("window_pattern.local_layers", pattern.local_layers, 0, MAX_LAYERS)


def allowed_kv_heads(model: ModelSpec, tensor_parallel: int = 1) -> tuple[int, ...]:
    """Every G that num_kv_heads may be, ascending: divisors of H that split over the ranks. Empty where G has no
    dial."""
    try:
        num_query_heads, _ = require_own_heads(model)
    except SizingError:
        return ()
    return tuple(g for g in divisors(num_query_heads) if not (g % tensor_parallel and tensor_parallel % g))


def own_kv_heads(model: ModelSpec) -> int | None:
    """The one G of every grouped layer; None where the model has no such G (MLA, or several)."""
    try:
        return require_own_heads(model)[1]
    except SizingError:
        return None


def query_heads(model: ModelSpec) -> int:
    """The greatest number that divides every attention layer's query heads; 1 for a model without attention."""
    parts = [_attention_part(layer) for layer in model.layers]
    heads = [
        part.num_query_heads
        for part in parts
        if isinstance(part, GroupedAttention | LatentAttention | CompressedAttention)
    ]
    return gcd(*heads) or 1


def check_parallel_layers(model: ModelSpec, tensor_parallel: int) -> None:
    """Raises SizingError where a layer's heads do not divide over the ranks."""
    if tensor_parallel == 1:
        return
    for part in map(_attention_part, model.layers):
        if isinstance(part, GroupedAttention):
            check_split(part.num_query_heads, part.num_kv_heads, tensor_parallel)
        elif isinstance(part, LatentAttention | CompressedAttention):
            check_query_split(part.num_query_heads, tensor_parallel)


def _attention_part(layer: Layer) -> Layer:
    return layer.attention if isinstance(layer, ParallelLayer) else layer


def _grouped_part(layer: Layer) -> GroupedAttention | None:
    part = _attention_part(layer)
    return part if isinstance(part, GroupedAttention) else None


def _has_latent(layers: Iterable[Layer]) -> bool:
    return any(isinstance(_attention_part(layer), LatentAttention) for layer in layers)


OTHER_DIALS = "KV bits, context, batch, weights or accelerators can be changed instead"


def require_own_heads(model: ModelSpec) -> tuple[int, int]:
    """(H, G) of every grouped layer. Raises SizingError where there is no single G to replace, and says what can
    change."""
    if reason := why_no_dial(model):
        leave = "" if reason.startswith("no layer") else f". Leave num_kv_heads empty; {OTHER_DIALS}"
        raise SizingError(f"num_kv_heads cannot be set: {reason}{leave}")
    return _head_counts(model).pop()


def why_no_dial(model: ModelSpec) -> str | None:
    """Why there is no single G to replace, as a clause; None where there is one."""
    name = f"this {model.model_type} model"
    parts = [_attention_part(layer) for layer in model.layer_counts]
    if any(isinstance(part, LatentAttention) for part in parts):
        return f"{name} keeps one latent vector that all heads share (MLA), so it has no G"
    if any(isinstance(part, CompressedAttention) for part in parts):
        return (
            f"{name} keeps one key, which is the value too, and compressed entries of it for all heads, so it has no G"
        )
    shapes = _head_counts(model)
    if not shapes:
        return f"no layer of {name} keeps keys and values"
    if len(shapes) > 1:
        found = ", ".join(f"{query_heads}/{kv_heads}" for query_heads, kv_heads in sorted(shapes))
        return f"layers of {name} differ (query/KV heads {found}), so there is no single G to replace"
    return None


def _head_counts(model: ModelSpec) -> set[tuple[int, int]]:
    """(H, G) of the grouped layers."""
    return {(part.num_query_heads, part.num_kv_heads) for part in map(_grouped_part, model.layer_counts) if part}


def _with_kv_heads(model: ModelSpec, num_kv_heads: int) -> tuple[Layer, ...]:
    num_query_heads, own = require_own_heads(model)
    require_whole("num_kv_heads", num_kv_heads, 1, num_query_heads)
    if num_kv_heads == own:
        return model.layers
    check_split(num_query_heads, num_kv_heads, 1)
    return tuple(_regroup(layer, num_kv_heads) for layer in model.layers)


def _regroup(layer: Layer, num_kv_heads: int) -> Layer:
    if isinstance(layer, SharedCache):
        return replace(layer, num_kv_heads=num_kv_heads)
    part = _grouped_part(layer)
    return layer if part is None else _with_part(layer, replace(part, num_kv_heads=num_kv_heads))


def _with_part(layer: Layer, part: GroupedAttention) -> Layer:
    """The layer with its attention replaced."""
    return replace(layer, attention=part) if isinstance(layer, ParallelLayer) else part


def _with_windows(layers: tuple[Layer, ...], pattern: WindowPattern) -> tuple[Layer, ...]:
    """Windows on local_layers of the grouped layers, global ones spread evenly and the last one global."""
    grouped = [(number, part) for number, layer in enumerate(layers) if (part := _grouped_part(layer))]
    if _has_latent(layers) or not grouped:
        raise SizingError(
            "window_pattern applies to layers with grouped keys and values; this model has others. Leave it out"
        )
    if pattern.global_layers + pattern.local_layers != len(grouped):
        raise SizingError(
            f"window_pattern has {pattern.global_layers} global + {pattern.local_layers} local layers, but the model "
            f"has {len(grouped)} layers with keys and values: make them add up"
        )
    changed = list(layers)
    for position, (number, part) in enumerate(grouped):
        before, after = (pattern.global_layers * (position + step) // len(grouped) for step in (0, 1))
        window = None if after > before else pattern.window
        changed[number] = _with_part(layers[number], replace(part, window=window))
    return tuple(changed)
