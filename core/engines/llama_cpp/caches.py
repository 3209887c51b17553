"""The caches that llama.cpp builds for an architecture: which layers, which widths, how many cells.

States llama_model::create_memory and the constructors of llama_kv_cache, _iswa, _dsa, _dsa_iswa, _msa, _dsv4 and
llama_memory_hybrid(_iswa, _idx) in llama.cpp build 11434.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from core.engines.plan import EngineError
from core.models.gguf.architectures import HYBRID, HYBRID_BY_FFN, HYBRID_BY_INTERVAL, NO_CACHE, PARALLEL, RECURRENT
from core.models.gguf.hparams import HyperParameters

CSA, HCA = 4, 128  # DeepSeek-V4: tokens that one compressed cell stands for
Rows = tuple[tuple[int, int, int], ...]  # layer, elements of a cell's keys, of its values


@dataclass(frozen=True, kw_only=True)
class Cache:
    """One llama_kv_cache: a tensor of keys, and where values are kept one of values, for each of its layers."""

    kind: str  # 'full attention', 'sliding window 1,024', 'indexer'
    rows: Rows
    widest_value: int  # every layer's values are this wide where flash attention is off
    window: int | None = None  # its cells are a window's
    ratio: int = 1  # tokens of a cell
    always_apart: bool = False  # a stream a slot even where the slots share a pool


@dataclass(frozen=True, kw_only=True)
class Memory:
    """All that a context allocates beside its buffers."""

    caches: tuple[Cache, ...]
    state_layers: int = 0  # layers with states
    state_elements: int = 0  # of one slot in all these layers, in float32


def memory_of(read: HyperParameters) -> Memory:
    """create_memory. Raises EngineError where llama.cpp stops at the file."""
    name = read.architecture
    if name in NO_CACHE:
        return Memory(caches=())
    if name == "deepseek4":
        return _compressed(read)
    attends, keeps_state = _filters(read)
    if read.window is not None and name not in HYBRID and not any(read.slides):
        raise EngineError(
            f"llama.cpp: {name} has a window of {read.window:,} and no layer that slides; it stops at such a file "
            "(GGML_ASSERT(hparams.is_swa_any())). Convert the model again."
        )
    _check_sources(read)
    layers = [] if name in RECURRENT else [il for il in range(read.num_layers_all) if attends(il)]
    caches = [_cache(read, "full attention", [il for il in layers if not read.slides[il]])]
    if read.window is not None:
        sliding = [il for il in layers if read.slides[il]]
        caches.append(_cache(read, f"sliding window {read.window:,}", sliding, window=read.window))
    if read.index is not None:
        caches.append(_index_cache(read, layers))
    state_layers = sum(keeps_state(il) for il in range(read.num_layers))
    state = read.states.convolution + read.states.recurrent
    kept = tuple(cache for cache in caches if cache.rows)
    return Memory(caches=kept, state_layers=state_layers, state_elements=state_layers * state)


def _check_sources(read: HyperParameters) -> None:
    """llama_kv_cache stops where a layer that shares reads a layer of the other kind, or an indexer is a draft's."""
    if read.architecture == "hy_v4" and read.index is not None and read.num_layers < read.num_layers_all:
        raise EngineError(
            "llama.cpp: hy_v4 with an indexer and draft layers stops while its cache is made (build 11549)."
        )
    if read.own_layers is None or read.own_layers >= read.num_layers_all:
        return
    if read.own_layers < 2 or not read.slides[read.own_layers - 2] or read.slides[read.own_layers - 1]:
        raise EngineError(
            f"llama.cpp: {read.architecture} shares the caches of layers {read.own_layers - 2} (a window's) and "
            f"{read.own_layers - 1} (a full one); this file's layers are of other kinds, and it stops there."
        )


def _filters(read: HyperParameters) -> tuple[Callable[[int], bool], Callable[[int], bool]]:
    """Which layers keep keys and values, and which keep states."""
    name, trunk = read.architecture, read.num_layers
    if name == PARALLEL:
        return (lambda il: True), (lambda il: True)
    if name in HYBRID_BY_FFN:
        return (
            lambda il: not read.recurrent[il] and read.feed_forward[il] == 0,
            lambda il: read.recurrent[il] and read.feed_forward[il] == 0,
        )
    if name in HYBRID_BY_INTERVAL or name == "glm5-next":
        return (lambda il: il < trunk and not read.recurrent[il]), (lambda il: read.recurrent[il])
    if name in HYBRID or name in RECURRENT:
        return (lambda il: not read.recurrent[il]), (lambda il: read.recurrent[il])
    if name in ("minimax-m3", "hy_v4"):
        return (lambda il: True), (lambda il: False)
    last = read.num_layers_all if read.router_layer or trunk == 0 else trunk
    own = last if read.own_layers is None else min(last, read.own_layers)
    return (lambda il: il < own), (lambda il: False)


def _cache(read: HyperParameters, kind: str, layers: Iterable[int], *, window: int | None = None) -> Cache:
    rows = tuple((il, read.key_width(il), 0 if read.latent else read.value_width(il)) for il in layers)
    widest = 0 if read.latent else max(map(read.value_width, range(read.num_layers_all)))
    return Cache(kind=kind, rows=rows, widest_value=widest, window=window)


def _index_cache(read: HyperParameters, layers: list[int]) -> Cache:
    """One head of keys; where the model is not read as latent attention, values too, though nothing uses them."""
    index = read.index
    assert index is not None  # asked for by memory_of alone
    key = index.key_dim * index.pooled_rows
    keys_alone = read.latent or read.architecture in ("glm5-next", "qwen4exp")
    value = 0 if keys_alone else read.widths.value
    widths = read.widths
    rows = tuple((il, widths.key_sliding if read.slides[il] else key, value) for il in layers if index.layers[il])
    return Cache(kind="indexer", rows=rows, widest_value=value)


def _compressed(read: HyperParameters) -> Memory:
    """DeepSeek-V4: a window of raw keys on every layer, compressed keys and an indexer on some, streams apart."""
    layers = range(read.num_layers_all)
    wide = {il: read.key_width(il) for il in layers}
    index = read.index.key_dim if read.index else 0
    near = [il for il in layers if read.compress_ratios[il] == CSA]
    far = [il for il in layers if read.compress_ratios[il] == HCA]

    def keys(kind: str, rows: Iterable[tuple[int, int]], ratio: int = 1, window: int | None = None) -> Cache:
        kept = tuple((il, width, 0) for il, width in rows)
        return Cache(kind=kind, rows=kept, widest_value=0, ratio=ratio, window=window, always_apart=True)

    caches = (
        keys(f"sliding window {read.window:,}", wide.items(), window=read.window),
        keys(f"compressed {CSA} to 1", ((il, wide[il]) for il in near), CSA),
        keys(f"compressed {HCA} to 1", ((il, wide[il]) for il in far), HCA),
        keys("indexer", ((il, index) for il in near), CSA),
    )
    trunk = read.num_layers
    head = read.widths.key
    state = sum(2 * 2 * CSA * 2 * (head + index) for il in near if il < trunk)
    state += sum(2 * HCA * head for il in far if il < trunk)
    states = sum(il < trunk for il in (*near, *far))
    return Memory(caches=tuple(cache for cache in caches if cache.rows), state_layers=states, state_elements=state)
