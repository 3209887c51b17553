"""llama.cpp's plan: bytes of each layer's cache for all slots, with the lines that explain them.

bytes of a layer = cells x streams x (row of keys + row of values), a row being its elements in whole blocks of the
cache's type (ggml_row_size); states are float32 whatever the type, and stand apart.
"""

from dataclasses import dataclass, replace
from functools import reduce
from typing import Any

from core.engines.arrays import larger
from core.engines.llama_cpp.buffers import compute_buffer_bytes
from core.engines.llama_cpp.cache_types import BITS, row_bytes
from core.engines.llama_cpp.caches import Cache, Memory, memory_of
from core.engines.llama_cpp.convert import metadata_of
from core.engines.llama_cpp.notes import notes_of
from core.engines.llama_cpp.settings import STEP, Cells, Settings, cells_for, cells_of, check, settings, window_cells
from core.engines.plan import CacheGroup, EngineError, EnginePlan
from core.models.attention import GroupedAttention
from core.models.gguf.hparams import HyperParameters, hyper_parameters
from core.models.rules.facts import UnsupportedConfig
from core.models.spec import ModelSpec

VERSION = "llama.cpp build 11434"
STATE_BYTES = 4  # GGML_TYPE_F32


@dataclass(frozen=True, kw_only=True)
class Read:
    """What follows from the model alone."""

    parameters: HyperParameters
    memory: Memory


def translated(common: dict[str, Any]) -> dict[str, Any]:
    """context_length of each slot x batch_size slots: n_ctx in all. cache_bits 16, 8 and 4 are f16, q8_0 and q4_0."""
    job: dict[str, Any] = {}
    slots = common.get("batch_size", 1)
    for key, value in (("batch_size", slots), ("context_length", common.get("context_length", 1))):
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise EngineError(f"llama.cpp: {key} is {str(value)[:40]}: give a whole number above 0.")
    if "batch_size" in common:
        job["n_seq_max"] = slots
    if "context_length" in common:
        job["n_ctx"] = common["context_length"] * slots
    if "cache_bits" in common:
        bits = common["cache_bits"]
        if bits not in BITS:
            raise EngineError(f"llama.cpp: cache_bits is {str(bits)[:40]}: give 32, 16, 8 or 4, or type_k and type_v.")
        job["type_k"] = job["type_v"] = BITS[bits]
    return job | {key: common[key] for key in ("available_bytes", "tensor_parallel") if key in common}


def plan(spec: ModelSpec, **job: Any) -> EnginePlan:
    """The whole context of all slots. Raises EngineError for what llama.cpp does not load or does not take.

    request_bytes are keys and values of one device: of all layers, or with tensor_parallel above 1 of the device that
    holds most of them. fits counts the states too.
    """
    asked = settings(job)
    read = _read(spec)
    used = check(read.parameters, asked)
    cells = cells_of(used, read.parameters.trained_context)
    layers: dict[int, int] = {}
    groups = []
    for cache in read.memory.caches:
        held, rows = cells_in(cache, cells, used), cache_rows(cache, used)
        for (il, _, _), row in zip(cache.rows, rows, strict=True):
            layers[il] = layers.get(il, 0) + held * row
        groups.append(_group(cache, held, rows, cells))
    state_bytes = read.memory.state_elements * cells.slots * STATE_BYTES
    if state_bytes:
        groups.append(CacheGroup(kind="state", num_layers=read.memory.state_layers, filled_bytes=state_bytes))
    layer_bytes = tuple(layers[il] for il in sorted(layers))
    request = _one_device(layers, read.parameters.num_layers_all, used.tensor_parallel)
    memory = used.available_bytes
    return EnginePlan(
        engine="llama.cpp",
        version=VERSION,
        request_bytes=request,
        fits=None if memory is None else request + state_bytes <= memory,
        block_size=STEP if layers else None,
        capacity_tokens=cells.total if layers else None,
        state_slots=cells.slots if state_bytes else None,
        slots_per_request=1 if state_bytes else None,
        max_running_requests=cells.slots,
        layer_bytes=layer_bytes,
        groups=tuple(groups),
        notes=notes_of(spec, read.parameters, read.memory, used, cells, request, state_bytes),
    )


def compute_buffer(spec: ModelSpec, **job: Any) -> int:
    """Bytes of the compute buffer for the same job (core.engines.llama_cpp.buffers). Raises EngineError."""
    return compute_buffer_bytes(spec, _read(spec).parameters, **job)


def columns(spec: ModelSpec, contexts: Any, batches: Any, available: Any, own: dict[str, Any]) -> tuple[Any, Any]:
    """(bytes of all slots on one device, states included, and whether they fit), for numpy columns of jobs: a slot of
    contexts tokens for each of batches requests."""
    read = _read(spec)
    used = check(read.parameters, settings({**own, "n_ctx": 1}))
    cells = cells_for(used, contexts * batches, batches)
    layers: dict[int, Any] = {}
    for cache in read.memory.caches:
        held = cells_in(cache, cells, used)
        for (il, _, _), row in zip(cache.rows, cache_rows(cache, used), strict=True):
            layers.setdefault(il, []).append((held, row))
    sums = {il: _summed(parts) for il, parts in layers.items()} if used.tensor_parallel > 1 else None
    if sums is None:
        request = _summed([part for parts in layers.values() for part in parts])
    else:
        request = _one_device(sums, read.parameters.num_layers_all, used.tensor_parallel)
    held_bytes = request + read.memory.state_elements * STATE_BYTES * batches
    return held_bytes, held_bytes <= available


def _summed(parts: list[tuple[Any, int]]) -> Any:
    """Cells x bytes of one cell, the rows of one column of cells added up first."""
    rows: dict[int, int] = {}
    held = {id(cells): cells for cells, _ in parts}
    for cells, row in parts:
        rows[id(cells)] = rows.get(id(cells), 0) + row
    return sum(held[identity] * row for identity, row in rows.items())


def cells_in(cache: Cache, cells: Cells, job: Settings) -> Any:
    """Cells of one layer of this cache, over all its streams."""
    shared = job.kv_unified and not cache.always_apart
    streams = 1 if shared else cells.slots
    if cache.window is not None:
        return streams * window_cells(cells, cache.window, shared=shared, swa_full=job.swa_full)
    if cache.ratio == 1:
        return streams * cells.per_stream
    compressed = larger(1, -(-cells.per_stream // cache.ratio))
    return streams * -(-compressed // STEP) * STEP


def cache_rows(cache: Cache, job: Settings) -> list[int]:
    """Bytes of one cell in each layer; without flash attention every layer's values are as wide as the widest, those
    of a layer without KV heads too."""
    seen: dict[tuple[int, int], int] = {}
    rows = []
    for _, key, value in cache.rows:
        if (key, value) not in seen:
            wide = cache.widest_value if job.flash_attn == "off" else value
            seen[key, value] = row_bytes(job.type_k, key) + (row_bytes(job.type_v, wide) if wide else 0)
        rows.append(seen[key, value])
    return rows


def _group(cache: Cache, held: int, rows: list[int], cells: Cells) -> CacheGroup:
    total = sum(rows)
    steps = held // STEP
    return CacheGroup(
        kind=cache.kind,
        num_layers=len(rows),
        block_size=STEP,
        page_bytes=total * STEP,
        pages_per_request=steps,
        filled_bytes=None,
    )


def _one_device(layers: dict[int, Any], num_layers: int, devices: int) -> Any:
    """The largest share where equal devices split the layers (split-mode layer; the output counts as one layer)."""
    if devices == 1:
        return sum(layers.values())
    shares: list[Any] = [0] * devices
    for il, held in layers.items():
        shares[min(devices - 1, il * devices // (num_layers + 1))] += held
    return reduce(larger, shares)


_SEEN: dict[int, tuple[ModelSpec, Read]] = {}  # by identity: the spec is kept, so its id stays its own
_MOST_SEEN = 64


def _read(spec: ModelSpec) -> Read:
    """The model's part of a plan, worked out once a spec."""
    seen = _SEEN.get(id(spec))
    if seen is not None and seen[0] is spec:
        return seen[1]
    try:
        if spec.metadata:
            parameters = _with_heads(hyper_parameters(spec.metadata), spec)
        else:
            parameters = hyper_parameters(metadata_of(spec))
    except UnsupportedConfig as error:
        raise EngineError(f"llama.cpp: {error}") from error
    read = Read(parameters=parameters, memory=memory_of(parameters))
    if len(_SEEN) >= _MOST_SEEN:
        _SEEN.clear()
    _SEEN[id(spec)] = spec, read
    return read


def _with_heads(read: HyperParameters, spec: ModelSpec) -> HyperParameters:
    """A what-if on G changes the layers and not the header: the layers' KV heads count."""
    heads = list(read.num_kv_heads)
    for il, layer in enumerate(spec.layers[: read.num_layers]):
        if isinstance(layer, GroupedAttention) and not read.latent:
            heads[il] = layer.num_kv_heads
    return replace(read, num_kv_heads=tuple(heads))
