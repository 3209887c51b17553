"""A serving job: a model, how it is served, and on what. Every field is checked when the job is made.

`model` is the model as published; `num_kv_heads` and `window_pattern` ask what if. A field that cannot be honoured
raises SizingError with what is wrong, which value, and what to do: nothing is guessed and nothing is clamped.
"""

from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property, lru_cache
from math import gcd, isfinite
from operator import index
from typing import Any

from core.accelerators import Accelerator, find_accelerator
from core.attention import GroupedAttention, LatentAttention, Layer, ParallelLayer, SharedCache
from core.model_spec import ModelSpec
from core.sizing_error import SizingError
from core.tensor_parallel import check_query_split, check_split, divisors
from core.weights import ParameterCount

MAX_CONTEXT_LENGTH = 2**30
MAX_BATCH_SIZE = 2**20
MAX_ACCELERATORS = 2**16


@dataclass(frozen=True, kw_only=True)
class WindowPattern:
    """What if some layers kept only a window: global_layers hold the whole context, local_layers the last `window`
    tokens."""

    global_layers: int
    local_layers: int
    window: int


@dataclass(frozen=True, kw_only=True)
class ServingJob:
    """What is to be served. Raises SizingError on construction where a field or a combination is not possible.

    num_kv_heads          G to use instead of the model's own in every grouped layer; None keeps the model's
    batch_size            sequences decoded together over all accelerators
    context_length        tokens held per sequence
    weight_bits, kv_bits  per stored element; KV scales: kv_scale_overhead_bits for every kv_elements_per_scale elements
    accelerator           an id of the catalogue, or an Accelerator
    num_accelerators      a multiple of tensor_parallel; beyond it, copies of the model share the batch
    memory_utilization    part of the accelerator's memory that the engine may use, above 0 and up to 1
    runtime_reserve_bytes for the runtime, activations and fragmentation; prefill workspace counts where it is larger
    freed_parameters      'dropped', or 'spent' on a wider FFN, when num_kv_heads changes the K and V projections
    window_pattern        what-if pattern of global and local layers; None keeps the model's windows
    block_size            tokens per block of a paged cache; 1 for no rounding
    prefill_chunk         tokens that one prefill step works on
    parameter_count       exact count of the published model, with its source; None adds it up from the shapes
    """

    model: ModelSpec
    batch_size: int
    context_length: int
    num_kv_heads: int | None = None
    weight_bits: float = 16
    kv_bits: int = 16
    kv_scale_overhead_bits: int = 0
    kv_elements_per_scale: int = 64
    accelerator: str | Accelerator = "h100-sxm"
    num_accelerators: int = 1
    tensor_parallel: int = 1
    memory_utilization: float = 0.9
    runtime_reserve_bytes: float = 2e9
    freed_parameters: str = "dropped"
    window_pattern: WindowPattern | None = None
    block_size: int = 16
    prefill_chunk: int = 8192
    parameter_count: ParameterCount | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.model, ModelSpec):
            raise SizingError(f"model is a {type(self.model).__name__}: give a ModelSpec, such as read_config returns")
        for name, (smallest, largest) in _WHOLE_FIELDS.items():
            _require_whole(name, getattr(self, name), smallest, largest)
        _require_number("weight_bits", self.weight_bits, 0.5, 64)
        _require_number("memory_utilization", self.memory_utilization, 1e-6, 1)
        _require_number("runtime_reserve_bytes", self.runtime_reserve_bytes, 0, 1e15)
        if self.freed_parameters not in ("dropped", "spent"):
            raise SizingError(f"freed_parameters is {self.freed_parameters!r}: use 'dropped' or 'spent'")
        if not isinstance(self.accelerator, str | Accelerator):
            raise SizingError(f"accelerator is {self.accelerator!r}: give an id of the catalogue or an Accelerator")
        _check_memory_known(self.device)
        if self.num_accelerators % self.tensor_parallel:
            raise SizingError(
                f"num_accelerators is {self.num_accelerators}, not a multiple of tensor_parallel "
                f"{self.tensor_parallel}: each copy of the model takes {self.tensor_parallel} accelerators"
            )
        check_parallel_layers(self.served_model, self.tensor_parallel)

    @property
    def device(self) -> Accelerator:
        """The accelerator itself, whether given by id or as an object."""
        return find_accelerator(self.accelerator) if isinstance(self.accelerator, str) else self.accelerator

    @cached_property
    def served_model(self) -> ModelSpec:
        """The model with num_kv_heads and window_pattern applied; the FFN width is core.weights.resize's to change."""
        return apply_what_if(self.model, self.num_kv_heads, self.window_pattern)

    @property
    def replicas(self) -> int:
        """Copies of the model: num_accelerators / tensor_parallel. They share the batch."""
        return self.num_accelerators // self.tensor_parallel

    @property
    def batch_per_replica(self) -> int:
        """Sequences of the fullest copy: ceil(batch_size / replicas)."""
        return -(-self.batch_size // self.replicas)

    @property
    def kv_bits_per_element(self) -> Fraction:
        """KV bits and their share of a scale, exact: kv_bits + overhead / elements per scale."""
        return self.kv_bits + Fraction(self.kv_scale_overhead_bits, self.kv_elements_per_scale)

    def where(self, **changes: Any) -> "ServingJob":
        """The same job with fields changed, checked again."""
        return replace(self, **changes)


_WHOLE_FIELDS: dict[str, tuple[int, int]] = {
    "batch_size": (1, MAX_BATCH_SIZE),
    "context_length": (1, MAX_CONTEXT_LENGTH),
    "kv_bits": (1, 64),
    "kv_scale_overhead_bits": (0, 128),
    "kv_elements_per_scale": (1, 2**20),
    "num_accelerators": (1, MAX_ACCELERATORS),
    "tensor_parallel": (1, MAX_ACCELERATORS),
    "block_size": (1, 2**20),
    "prefill_chunk": (1, MAX_CONTEXT_LENGTH),
}


@lru_cache(maxsize=512)
def apply_what_if(model: ModelSpec, num_kv_heads: int | None, pattern: WindowPattern | None) -> ModelSpec:
    """The model with another G and another window pattern. Raises SizingError where the model has no such dial."""
    layers = model.layers
    if num_kv_heads is not None:
        layers = _with_kv_heads(model, num_kv_heads)
    if pattern is not None:
        layers = _with_windows(layers, pattern)
    return model if layers is model.layers else replace(model, layers=layers)


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
    parts = [layer.attention if isinstance(layer, ParallelLayer) else layer for layer in set(model.layers)]
    heads = [part.num_query_heads for part in parts if isinstance(part, GroupedAttention | LatentAttention)]
    return gcd(*heads) or 1


def check_parallel_layers(model: ModelSpec, tensor_parallel: int) -> None:
    """Raises SizingError where a layer's heads do not divide over the ranks."""
    if tensor_parallel == 1:
        return
    for layer in model.layers:
        if isinstance(layer, ParallelLayer):
            layer = layer.attention
        if isinstance(layer, GroupedAttention):
            check_split(layer.num_query_heads, layer.num_kv_heads, tensor_parallel)
        elif isinstance(layer, LatentAttention):
            check_query_split(layer.num_query_heads, tensor_parallel)


def _grouped_part(layer: Layer) -> GroupedAttention | None:
    if isinstance(layer, ParallelLayer):
        return layer.attention
    return layer if isinstance(layer, GroupedAttention) else None


def require_own_heads(model: ModelSpec) -> tuple[int, int]:
    """(H, G) of every grouped layer. Raises SizingError where there is no single G to replace, and says what can
    change."""
    shapes = {(part.num_query_heads, part.num_kv_heads) for part in map(_grouped_part, model.layers) if part}
    other = "KV bits, context, batch, weights or accelerators can be changed instead"
    if any(isinstance(layer, LatentAttention) for layer in model.layers):
        raise SizingError(
            f"num_kv_heads cannot be set: this {model.model_type} model keeps one latent vector that all heads share "
            f"(MLA), so it has no G. Leave num_kv_heads empty; {other}"
        )
    if not shapes:
        raise SizingError(
            f"num_kv_heads cannot be set: no layer of this {model.model_type} model keeps keys and values"
        )
    if len(shapes) > 1:
        found = ", ".join(f"{query_heads}/{kv_heads}" for query_heads, kv_heads in sorted(shapes))
        raise SizingError(
            f"num_kv_heads cannot be set: layers of this {model.model_type} model differ (query/KV heads {found}), so "
            f"there is no single G to replace. Leave num_kv_heads empty; {other}"
        )
    return shapes.pop()


def _with_kv_heads(model: ModelSpec, num_kv_heads: int) -> tuple[Layer, ...]:
    num_query_heads, own = require_own_heads(model)
    _require_whole("num_kv_heads", num_kv_heads, 1, num_query_heads)
    if num_kv_heads == own:
        return model.layers
    check_split(num_query_heads, num_kv_heads, 1)
    return tuple(_regroup(layer, num_kv_heads) for layer in model.layers)


def _regroup(layer: Layer, num_kv_heads: int) -> Layer:
    if isinstance(layer, GroupedAttention | SharedCache):
        return replace(layer, num_kv_heads=num_kv_heads)
    if isinstance(layer, ParallelLayer):
        return replace(layer, attention=replace(layer.attention, num_kv_heads=num_kv_heads))
    return layer


def _with_windows(layers: tuple[Layer, ...], pattern: WindowPattern) -> tuple[Layer, ...]:
    """Windows on local_layers of the grouped layers, global ones spread evenly and the last one global."""
    if not isinstance(pattern, WindowPattern):
        raise SizingError(f"window_pattern is {pattern!r}: give a WindowPattern, or None for the model's own windows")
    _require_whole("window_pattern.window", pattern.window, 1, MAX_CONTEXT_LENGTH)
    grouped = [number for number, layer in enumerate(layers) if _grouped_part(layer)]
    _require_whole("window_pattern.global_layers", pattern.global_layers, 0, len(grouped))
    _require_whole("window_pattern.local_layers", pattern.local_layers, 0, len(grouped))
    if any(isinstance(layer, LatentAttention) for layer in layers) or not grouped:
        raise SizingError(
            "window_pattern applies to layers with grouped keys and values; this model has others. Leave it out"
        )
    if pattern.global_layers + pattern.local_layers != len(grouped):
        raise SizingError(
            f"window_pattern has {pattern.global_layers} global + {pattern.local_layers} local layers, but the model "
            f"has {len(grouped)} layers with keys and values: make them add up"
        )
    changed = list(layers)
    for position, number in enumerate(grouped):
        before, after = (pattern.global_layers * (position + step) // len(grouped) for step in (0, 1))
        changed[number] = _rewindow(layers[number], None if after > before else pattern.window)
    return tuple(changed)


def _rewindow(layer: Layer, window: int | None) -> Layer:
    if isinstance(layer, ParallelLayer):
        return replace(layer, attention=replace(layer.attention, window=window))
    return replace(layer, window=window) if isinstance(layer, GroupedAttention) else layer


def _check_memory_known(accelerator: Accelerator) -> None:
    if accelerator.memory_bytes is None:
        raise SizingError(
            f"accelerator {accelerator.id!r}: its memory size is not established, so a fit cannot be judged; "
            f"choose another, or type its memory in as a custom accelerator"
        )


def _require_whole(name: str, value: Any, smallest: int, largest: int) -> None:
    """Whole numbers of any integer type; bools and floats are refused, 16.0 too."""
    try:
        whole = None if isinstance(value, bool) else index(value)
    except TypeError:
        whole = None
    if whole is None or not smallest <= whole <= largest:
        raise SizingError(f"{name} is {value!r}: give a whole number from {smallest:,} to {largest:,}")


def _require_number(name: str, value: Any, smallest: float, largest: float) -> None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not isfinite(value) or not smallest <= value <= largest:
        raise SizingError(f"{name} is {value!r}: give a number from {smallest:,.12g} to {largest:,.12g}")
