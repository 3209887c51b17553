"""Our figure beside the cache that transformers really makes, layer by layer.

`measure_cache` starts transformers_check_worker.py as a process of its own (time limit, memory limit, cancel), which
builds the architecture on torch's meta device and runs one forward. `compare` lays the answer beside a ModelSpec:
equal or not, and which named definition explains a difference. Where our rules refuse a config, the measurement
stands alone.
"""

import json
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from core.engines.transformers import stored_elements
from core.host import children
from core.host.packages import missing
from core.models.attention import CompressedAttention, GroupedAttention, LatentAttention, Layer, ParallelLayer
from core.models.spec import ModelSpec

BYTES_PER_ELEMENT = 2  # the worker builds in bfloat16
TIME_LIMIT_SECONDS = 120.0
MAX_CONTEXT, USUAL_CONTEXT = 40_000, 128


class CacheCheckError(RuntimeError):
    """The measurement could not be made: the message says what happened and what to do."""


@dataclass(frozen=True, kw_only=True)
class MeasuredLayer:
    """What transformers held in one layer: shapes are (batch, heads, tokens, width) for keys and values."""

    index: int
    cache_class: str
    key_shape: tuple[int, ...] | None
    value_shape: tuple[int, ...] | None
    state_shapes: tuple[tuple[int, ...], ...]
    kv_bytes: int
    state_bytes: int
    indexer_bytes: int  # index keys, compressed entries and compressor buffers: all else that grows


@dataclass(frozen=True, kw_only=True)
class CacheMeasurement:
    """The cache of one forward, bfloat16, no weights."""

    model_class: str
    transformers_version: str
    context_length: int
    batch_size: int
    layers: tuple[MeasuredLayer, ...]
    seconds: float

    @property
    def kv_bytes(self) -> int:
        return sum(layer.kv_bytes for layer in self.layers)

    @property
    def indexer_bytes(self) -> int:
        return sum(layer.indexer_bytes for layer in self.layers)

    @property
    def state_bytes(self) -> int:
        return sum(layer.state_bytes for layer in self.layers)


@dataclass(frozen=True, kw_only=True)
class LayerComparison:
    """One layer: our payload, what transformers held, and why they differ if they do."""

    index: int
    kind: str
    payload_bytes: int
    measured_bytes: int
    equal: bool
    explained: bool  # equal, or a named definition gives exactly the measured bytes
    reason: str


def usual_context(spec: ModelSpec | None) -> int:
    """Enough tokens that every window is full, where that is still quick; a plain prompt otherwise."""
    if spec is None:
        return USUAL_CONTEXT
    windows = [inner.window for layer in spec.layers if (inner := _attention(layer)) and inner.window is not None]
    longest = max((window for window in windows if window + 16 <= MAX_CONTEXT), default=0)
    return max(USUAL_CONTEXT, longest + 16) if spec.state_bytes() == 0 else USUAL_CONTEXT


def measure_cache(
    config: Mapping[str, Any],
    *,
    context_length: int,
    batch_size: int = 1,
    time_limit_seconds: float = TIME_LIMIT_SECONDS,
    cancelled: threading.Event | None = None,
) -> CacheMeasurement:
    """Run the worker. Raises CacheCheckError when transformers cannot build or run it, on timeout and on cancel."""
    if not 1 <= context_length <= MAX_CONTEXT or not 1 <= batch_size <= 64:
        raise CacheCheckError(
            f"context_length is {context_length} and batch_size {batch_size}: the check takes 1 to {MAX_CONTEXT:,} "
            "tokens and 1 to 64 sequences."
        )
    if without := missing("The check", "torch", "transformers"):
        raise CacheCheckError(without)
    question = {"config": dict(config), "context_length": context_length, "batch_size": batch_size}
    started = time.monotonic()
    answer = _run(json.dumps(question), time_limit_seconds, cancelled)
    if "error" in answer:
        raise CacheCheckError(f"transformers could not run this config: {answer['error']}")
    return measurement(answer, time.monotonic() - started)


def _run(question: str, time_limit_seconds: float, cancelled: threading.Event | None) -> dict[str, Any]:
    """The worker's last line of output as a mapping; the process never outlives this call."""
    process = children.start("-m", "core.engines.transformers_check_worker")
    try:
        output = children.answer(process, question, time_limit_seconds, cancelled)
    except children.Cancelled:
        raise CacheCheckError("The check was cancelled.") from None
    except TimeoutError:
        raise CacheCheckError(
            f"The check took longer than {time_limit_seconds:.0f} s and was stopped. Try a smaller context."
        ) from None
    finally:
        children.close(process)
    if process.returncode != 0 or not output.strip():
        raise CacheCheckError(
            f"The check {children.ending(process.returncode)}: most likely it ran out of memory. Try a smaller "
            "context, or a model with fewer layers."
        )
    answer: dict[str, Any] = json.loads(output.strip().splitlines()[-1])
    return answer


def measurement(answer: Mapping[str, Any], seconds: float) -> CacheMeasurement:
    """The worker's answer as a measurement."""
    layers = tuple(
        MeasuredLayer(
            index=index,
            cache_class=layer["class"],
            key_shape=None if layer["key_shape"] is None else tuple(layer["key_shape"]),
            value_shape=None if layer["value_shape"] is None else tuple(layer["value_shape"]),
            state_shapes=tuple(tuple(shape) for shape in layer["state_shapes"]),
            kv_bytes=layer["kv_bytes"],
            state_bytes=layer["state_bytes"],
            indexer_bytes=layer["indexer_bytes"],
        )
        for index, layer in enumerate(answer["layers"])
    )
    return CacheMeasurement(
        model_class=answer["model_class"],
        transformers_version=answer["transformers_version"],
        context_length=answer["context_length"],
        batch_size=answer["batch_size"],
        layers=layers,
        seconds=seconds,
    )


def compare(spec: ModelSpec, measured: CacheMeasurement) -> tuple[LayerComparison, ...]:
    """Layer by layer; layers that one side lacks count as 0 bytes there."""
    count = max(len(spec.layers), len(measured.layers))
    return tuple(_compare_layer(spec, measured, index) for index in range(count))


def _compare_layer(spec: ModelSpec, measured: CacheMeasurement, index: int) -> LayerComparison:
    layer = spec.layers[index] if index < len(spec.layers) else None
    found = measured.layers[index] if index < len(measured.layers) else None
    held = 0 if found is None else found.kv_bytes + found.indexer_bytes
    beside = _beside_bytes(layer, measured)
    scale = measured.batch_size * BYTES_PER_ELEMENT
    payload = layer.cached_elements(measured.context_length) * scale + beside if layer is not None else 0
    stored = stored_elements(layer, measured.context_length) * scale + beside if layer is not None else 0
    equal, gates = payload == held, _gates_in_float32(layer, measured)
    reason = _reason(layer, measured.context_length) if stored == held else "unexplained"
    if not equal and gates and held == stored + gates:
        reason = "transformers 5.24 keeps the gates of the last compressed stretch in float32"
    return LayerComparison(
        index=index,
        kind=layer.kind if layer is not None else "none",
        payload_bytes=payload,
        measured_bytes=held,
        equal=equal,
        explained=equal or held in (stored, stored + gates),
        reason="equal" if equal else reason,
    )


def _beside_bytes(layer: Layer | None, measured: CacheMeasurement) -> int:
    """Bytes of what grows beside keys and values, for the whole batch."""
    if layer is None:
        return 0
    return int(sum(layer.side_bytes(measured.context_length, BYTES_PER_ELEMENT).values()) * measured.batch_size)


def _gates_in_float32(layer: Layer | None, measured: CacheMeasurement) -> int:
    """Bytes beyond bfloat16 that DeepSeek-V4's overlapping layers take since transformers 5.24."""
    if not isinstance(layer, CompressedAttention) or layer.index_key_dim is None:
        return 0
    held = layer.compress_rate if measured.context_length >= layer.compress_rate else 0
    return held * (layer.head_dim + layer.index_key_dim) * (4 - BYTES_PER_ELEMENT) * measured.batch_size


def _reason(layer: Layer | None, context_length: int) -> str:
    inner = _attention(layer) if layer is not None else None
    if isinstance(inner, GroupedAttention) and inner.broadcast_when_stored:
        return f"transformers stores a copy per query head: {inner.num_query_heads} instead of {inner.num_kv_heads}"
    if inner is not None and inner.window is not None and context_length >= inner.window:
        return f"transformers keeps window - 1 = {inner.window - 1:,} tokens; the next token completes the window"
    return "unexplained"


def _attention(layer: Layer) -> GroupedAttention | LatentAttention | CompressedAttention | None:
    inner = layer.attention if isinstance(layer, ParallelLayer) else layer
    return inner if isinstance(inner, GroupedAttention | LatentAttention | CompressedAttention) else None
