"""transformers: what DynamicCache and StaticCache of transformers 5.24 hold after a prompt, states included.

DynamicCache keeps window - 1 tokens in a sliding layer once a window is full (cache_utils.py,
DynamicSlidingWindowLayer), as a view: all of a prompt lives behind it until the next token comes (seen with 5.24,
findings/transformers_window_holds_the_prompt.sh). StaticCache keeps as many as the window; Falcon's newer layout is
stored with a copy for each query head (modeling_falcon.py), MLA as its latent. Nothing is rounded to blocks and nothing
is shared by ranks.
"""

from collections import Counter
from dataclasses import replace
from typing import Any

from core.engines.arrays import smaller
from core.engines.plan import EngineError, EnginePlan, PlanNote
from core.models.attention import CompressedAttention, GroupedAttention, LatentAttention, Layer, ParallelLayer
from core.models.spec import ModelSpec

VERSION = "transformers 5.24.0"
KEYS = ("context_length", "batch_size", "cache_bits", "cache", "available_bytes")
CACHES = ("dynamic", "static")
BITS = (16, 32)
OWN_CACHE = ("minimax", "xlstm")  # classes of 5.24 that make a cache of their own kind and take no StaticCache
INKLING = ("inkling_text", "inkling2_text", "inkling2_loop_text")
MOST = 2**40


def translated(common: dict[str, Any]) -> dict[str, Any]:
    """The common job as it is. Raises EngineError for tensor_parallel, which gives every rank its own rules."""
    job = dict(common)
    ranks = job.pop("tensor_parallel", 1)
    if ranks != 1:
        raise EngineError(f"transformers: tensor_parallel is {ranks}: its cache is counted on one device. Set it to 1.")
    return job


def plan(spec: ModelSpec, **job: Any) -> EnginePlan:
    """request_bytes of one sequence of context_length tokens; fits asks for batch_size of them.

    Raises EngineError for an unknown key, a size that cannot be, or a width that the classes do not store.
    """
    for key in job:
        if key not in KEYS:
            raise EngineError(f"transformers has no setting {key!r}: it takes {', '.join(KEYS)}. Leave {key} out.")
    context, batch = _whole(job, "context_length", 1), _whole(job, "batch_size", 1)
    kind, bits, memory = job.get("cache", "dynamic"), job.get("cache_bits", 16), job.get("available_bytes")
    if kind not in CACHES:
        raise EngineError(f"transformers: cache is {kind!r}: choose one of {', '.join(CACHES)}.")
    if kind == "static":
        _check_static(spec)
    if bits not in BITS:
        raise EngineError(f"transformers: cache_bits is {bits!r}: its cache has the model's own 16 or 32 bits.")
    layer_bytes = tuple(int(stored_elements(layer, context, kind) * bits / 8) for layer in spec.layers)
    wide = bits / 8
    beside = spec.cache_bytes(context_length=context, bytes_per_element=wide) - spec.kv_cache_bytes(
        context_length=context, bytes_per_element=wide
    )
    states = spec.state_bytes(bytes_per_element=bits / 8)
    request = sum(layer_bytes) + beside + states
    slid = sum(
        int(stored_elements(open_layer, context) * bits / 8) - held
        for layer, held in zip(spec.layers, layer_bytes, strict=True)
        if (open_layer := _without_window(layer)) is not None
    )
    return EnginePlan(
        engine="transformers",
        version=VERSION,
        request_bytes=request,
        fits=None if memory is None else request * batch <= memory,
        max_concurrency=None if memory is None or not request else memory / request,
        layer_bytes=tuple(number for number in layer_bytes if number),
        notes=_notes(spec, context, kind, request, slid),
    )


def _check_static(spec: ModelSpec) -> None:
    """Raises EngineError for a class that generates with no StaticCache."""
    if spec.model_type in OWN_CACHE:
        raise EngineError(f"transformers: {spec.model_type} takes no StaticCache in 5.24. Ask for cache='dynamic'.")
    if any(isinstance(layer, CompressedAttention) for layer in spec.layers):
        raise EngineError(
            f"transformers: cache is 'static', and StaticCache knows no compressed attention as in {spec.model_type} "
            "(5.24 stops at it with a KeyError). Ask for cache='dynamic'."
        )


def columns(
    spec: ModelSpec, contexts: Any, batches: Any, available: Any, settings: dict[str, Any]
) -> tuple[Any, Any] | None:
    """(bytes of each batch, whether they fit), for numpy columns of jobs; None for a model with index keys or
    compressed entries, whose rows are planned one by one."""
    if any(isinstance(layer, CompressedAttention) or layer.side_bytes(1, 2) for layer in spec.layers):
        return None
    kind, wide = settings.get("cache", "dynamic"), settings.get("cache_bits", 16) // 8
    distinct = {id(layer): layer for layer in spec.layers}
    numbers = Counter(map(id, spec.layers))
    elements = sum(stored_elements(layer, contexts, kind) * numbers[key] for key, layer in distinct.items())
    held = (elements * wide + spec.state_bytes(bytes_per_element=wide)) * batches
    return held, held <= available


def stored_elements(layer: Layer, context_length: Any, cache: str = "dynamic", *, expanded_latent: bool = False) -> Any:
    """Elements of keys, values or latents that the cache holds in one layer for one sequence of so many tokens, a
    number or a numpy column.

    expanded_latent: MLA multiplied out to K and V of every query head, as transformers 4.57 stored it.
    """
    inner = layer.attention if isinstance(layer, ParallelLayer) else layer
    if isinstance(inner, CompressedAttention):
        return _tokens(inner.window, context_length, cache) * inner.head_dim
    if not isinstance(inner, GroupedAttention | LatentAttention):
        return layer.cached_elements(context_length)
    tokens = _tokens(inner.window, context_length, cache)
    if isinstance(inner, GroupedAttention):
        heads = inner.num_query_heads if inner.broadcast_when_stored else inner.num_kv_heads
        return tokens * heads * (inner.head_dim + inner.value_dim)
    if expanded_latent and inner.expanded_key_dim is not None and inner.expanded_value_dim is not None:
        return tokens * inner.num_query_heads * (inner.expanded_key_dim + inner.expanded_value_dim)
    return tokens * (inner.latent_dim + inner.rope_dim)


def _tokens(window: int | None, context_length: Any, cache: str) -> Any:
    if window is None:
        return context_length
    if cache == "static":
        return smaller(context_length, window)
    # the class slices the last window - 1 tokens; with a window of 1 that slice is everything
    return context_length if window == 1 else smaller(context_length, window - 1)


def _without_window(layer: Layer) -> Layer | None:
    """The layer as if it kept all; None for one that has no window."""
    inner = layer.attention if isinstance(layer, ParallelLayer) else layer
    if not isinstance(inner, GroupedAttention | LatentAttention) or inner.window is None:
        return None
    return replace(inner, window=None)


def _notes(spec: ModelSpec, context: int, cache: str, request: int, slid: int) -> tuple[PlanNote, ...]:
    inner = [layer.attention if isinstance(layer, ParallelLayer) else layer for layer in spec.layers]
    reasons = []
    if any(isinstance(layer, GroupedAttention) and layer.broadcast_when_stored for layer in inner):
        reasons.append("Keys and values are copied to every query head before they are cached.")
    if cache == "dynamic" and any(getattr(layer, "window", None) for layer in inner):
        reasons.append("A sliding layer keeps its window less one token.")
    held = PlanNote(
        name="request",
        formula="each layer's tokens x heads x (key + value width) x bytes, and the states",
        numbers=f"{context:,} tokens, {cache} cache",
        result=f"{request:,} bytes",
        reason=" ".join(reasons),
    )
    if cache == "static":
        return held, *_static_notes(spec, inner, context, request)
    if not slid:
        return (held,)
    prompt = PlanNote(
        name="prompt",
        formula="the same with every token of the prompt in sliding layers too",
        numbers=f"a prompt of {context:,} tokens, before the next token",
        result=f"{request + slid:,} bytes",
        reason="A sliding layer's keys are a view of its last tokens, and the tensor behind them lives until then.",
    )
    return held, prompt


def _static_notes(spec: ModelSpec, inner: list[Any], context: int, request: int) -> tuple[PlanNote, ...]:
    """How long a static cache stays as it is, and where nothing is generated with it (5.24)."""
    kept = PlanNote(
        name="static cache",
        formula="as long as the longest that generate() was asked for before",
        numbers=f"{context:,} tokens here",
        result=f"{request:,} bytes or more",
        reason="generate() makes a static cache no shorter than the longest that the same model object made before.",
    )
    windows = [layer.window for layer in inner if getattr(layer, "window", None)]
    if spec.model_type not in INKLING or not windows or context <= min(windows):
        return (kept,)
    stops = PlanNote(
        name="static window",
        formula="tokens of the static cache against the window",
        numbers=f"{context:,} against {min(windows):,}",
        result="one new token, then an error",
        reason=f"Past its window {spec.model_type} of 5.24 generates no second token with a static cache: its mask is "
        "as long as the cache, and a window's keys are not. Ask for cache='dynamic'.",
    )
    return kept, stops


def _whole(job: dict[str, Any], key: str, default: int) -> int:
    value = job.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MOST:
        raise EngineError(f"transformers: {key} is {str(value)[:40]}: give a whole number from 1 to {MOST:,}.")
    return value
