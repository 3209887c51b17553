"""The layers of a model as vLLM builds them: what one rank caches for each.

States the get_kv_cache_spec of Attention, ChunkedLocalAttention, MLAAttention, the DeepSeek indexer and the Mamba
layers of vLLM 0.33.0. Which window a layer has, and whether its latent is multiplied out, is the model class's doing
(classes.py).
"""

from dataclasses import dataclass

from core.engines.plan import EngineError
from core.engines.vllm import rows
from core.engines.vllm.caches import Kind, LayerCache
from core.engines.vllm.classes import EVERY_HEAD, ONE_MORE_TOKEN, OWN_WINDOWS
from core.engines.vllm.model import Model
from core.engines.vllm.settings import Settings
from core.engines.vllm.states import State
from core.models.attention import GroupedAttention, LatentAttention, Layer, ParallelLayer, RecurrentState

STATES_HELD = 1  # the running state
STATES_HELD_CACHED = 2  # with prefix caching: the running state, and the last one at the end of a block
INDEX_SCALE_WIDTH = 128  # elements of an index key that share one float32 scale


@dataclass(frozen=True, kw_only=True)
class Frame:
    """What the layers of one server have in common."""

    model: Model
    settings: Settings
    cache_type: str  # as the class heeds it
    block_size: int
    caches_prefixes: bool
    state_page_bytes: int  # page of a recurrent layer, raised to the attention page where both are there
    skipped: frozenset[int] = frozenset()  # layers that keep the model's own type (TurboQuant's first and last two)

    slides: bool = True  # False: every layer keeps every token (--disable-hybrid-kv-cache-manager)
    retained_tokens: int = 0  # a chain of MTP modules reads so many tokens further (extra_retained_tokens)

    @property
    def in_flight_tokens(self) -> int:
        """Scheduled and not yet settled: a batch on every stage of a pipeline, and one that is prepared meanwhile
        (VllmConfig.max_in_flight_tokens with asynchronous scheduling and the second model runner, the defaults)."""
        batches = self.settings.pipeline_parallel + 1
        return batches * self.settings.max_batched_tokens + self.retained_tokens


def attention_of(layer: Layer) -> GroupedAttention | LatentAttention | None:
    """The attention of a layer that caches keys and values of its own."""
    inner = layer.attention if isinstance(layer, ParallelLayer) else layer
    return inner if isinstance(inner, GroupedAttention | LatentAttention) else None


def has_state(layer: Layer) -> bool:
    return isinstance(layer, RecurrentState | ParallelLayer)


def layer_caches(
    frame: Frame, state: State | None, windows: tuple[int | None, ...] | None = None
) -> tuple[LayerCache, ...]:
    """What every layer keeps on one rank, in order. windows: each layer's, where it is not the class's own doing.
    Raises EngineError."""
    return tuple(cache for caches in caches_by_layer(frame, state, windows) for cache in caches)


def caches_by_layer(
    frame: Frame, state: State | None, windows: tuple[int | None, ...] | None = None
) -> list[list[LayerCache]]:
    """The same, a list a layer; layers that are one object are made once."""
    made: dict[tuple[int, int | None, bool, bool], list[LayerCache]] = {}
    caches: list[list[LayerCache]] = []
    model = frame.model
    if windows is None:
        windows = windows_of(model) if frame.slides else (None,) * len(model.spec.layers)
    for index, layer in enumerate(model.spec.layers):
        indexed = model.index_width is not None and model.has_indexer(index)
        key = (id(layer), windows[index], index in frame.skipped, indexed)
        if key not in made:
            made[key] = _of_layer(frame, layer, windows[index], state, skipped=index in frame.skipped, indexed=indexed)
        caches.append(made[key])
    return caches


def _of_layer(
    frame: Frame, layer: Layer, window: int | None, state: State | None, *, skipped: bool, indexed: bool
) -> list[LayerCache]:
    attention = attention_of(layer)
    cache_type = "auto" if skipped else frame.cache_type
    caches: list[LayerCache] = []
    if isinstance(attention, GroupedAttention):
        caches.append(_grouped(frame, attention, window, cache_type))
    elif isinstance(attention, LatentAttention):
        caches += _latent(frame, attention, cache_type, indexed=indexed)
    if state is not None and has_state(layer):
        caches.append(_recurrent(frame, state))
    return caches


def windows_of(model: Model) -> tuple[int | None, ...]:
    """Each layer's window as vLLM sees it; None holds every token.

    A class that passes layers their own window, and transformers' code, slide as the file says. Any other class has one
    window for all its layers, and only where all of them slide. A class that knows no window still takes one that the
    file states (EngineArgs.create_engine_config reads sliding_window whoever declares it).
    """
    attention = [attention_of(layer) for layer in model.spec.layers]
    stated = [None if inner is None else inner.window for inner in attention]
    of_attention = {inner.window for inner in attention if inner is not None}
    honoured = model.text_class in OWN_WINDOWS or not model.native or not model.text_class
    if len(of_attention) > 1 and not honoured:
        return tuple(None for _ in stated)
    if of_attention == {None} and (stray := model.stray_window) is not None:
        return tuple(None if inner is None else stray for inner in attention)
    more = 1 if model.text_class in ONE_MORE_TOKEN else 0
    return tuple(None if window is None else window + more for window in stated)


def kv_heads_of_rank(num_kv_heads: int, ranks: int, *, strict: bool = True) -> int:
    """max(1, G // TP): fewer heads than ranks are repeated. Raises EngineError where neither divides the other."""
    if strict and num_kv_heads % ranks and ranks % num_kv_heads:
        raise EngineError(
            f"tensor_parallel is {ranks}: {num_kv_heads} KV heads neither divide it nor are divided by it, which vLLM "
            "0.33 refuses. Choose another tensor_parallel."
        )
    return max(1, num_kv_heads // ranks)


def _grouped(frame: Frame, attention: GroupedAttention, window: int | None, cache_type: str) -> LayerCache:
    """Attention.get_kv_cache_spec: keys and values in one page; values are stored as wide as keys."""
    width = attention.head_dim
    stored = attention.num_query_heads if frame.model.text_class in EVERY_HEAD else attention.num_kv_heads
    heads = kv_heads_of_rank(stored, frame.settings.tensor_parallel, strict=frame.model.native)
    return _attention_cache(frame, heads, width, window, cache_type, chunked=frame.model.chunked)


def _attention_cache(
    frame: Frame, heads: int, width: int, window: int | None, cache_type: str, *, chunked: bool = False
) -> LayerCache:
    row = heads * rows.head_bytes(cache_type, width, width)
    kind = Kind.FULL if window is None else (Kind.CHUNK if chunked else Kind.WINDOW)
    ranks = frame.settings.decode_context_parallel
    if ranks > 1 and kind is not Kind.FULL:
        raise EngineError(
            f"decode_context_parallel is {ranks}: vLLM 0.33 does not share out sliding windows. Leave it at 1."
        )
    return LayerCache(
        kind=kind,
        block_size=frame.block_size,
        page_bytes=frame.block_size * row,
        row_bytes=row,
        shape=(heads, width, width),
        role=cache_type,
        window=window or 0,
        in_flight_tokens=frame.in_flight_tokens if window else 0,
        context_ranks=ranks,
    )


def _latent(frame: Frame, attention: LatentAttention, cache_type: str, *, indexed: bool) -> list[LayerCache]:
    """MLAAttention keeps one latent for all heads on every rank; where the class, or transformers' code, multiplies it
    out, every query head has keys and values of the full width."""
    model = frame.model
    if model.multiplies_latents_out:
        heads = attention.num_query_heads // frame.settings.tensor_parallel
        if attention.expanded_key_dim is None:
            raise EngineError("qk_nope_head_dim is missing: vLLM 0.33 multiplies this model's latent out and needs it.")
        return [_attention_cache(frame, heads, attention.expanded_key_dim, attention.window, cache_type)]
    caches = []
    if indexed and model.index_width is not None:
        caches.append(_indexer(frame, model.index_width))
    caches.append(_kept_latent(frame, attention, leads=bool(caches)))
    return caches


def _kept_latent(frame: Frame, attention: LatentAttention, *, leads: bool) -> LayerCache:
    width = attention.latent_dim + attention.rope_dim
    if frame.cache_type == "fp8_ds_mla" or (frame.model.index_width is not None and frame.cache_type == "fp8"):
        row = rows.indexed_latent_bytes(frame.cache_type, width)
    else:
        row = rows.latent_bytes(frame.cache_type, width)
    return LayerCache(
        kind=Kind.LATENT,
        block_size=frame.block_size,
        page_bytes=frame.block_size * row,
        row_bytes=row,
        shape=(1, width, 0),
        role="leader" if leads else "",
        context_ranks=frame.settings.decode_context_parallel,
    )


def _indexer(frame: Frame, width: int) -> LayerCache:
    """DeepseekV32IndexerCache: 8-bit index keys with a float32 scale for every 128 elements."""
    row = width + width // INDEX_SCALE_WIDTH * 4
    return LayerCache(
        kind=Kind.LATENT,
        block_size=frame.block_size,
        page_bytes=frame.block_size * row,
        row_bytes=row,
        shape=(1, row, 0),
        role="indexer",
        context_ranks=frame.settings.decode_context_parallel,
    )


def _recurrent(frame: Frame, state: State) -> LayerCache:
    """MambaSpec: whole pages for the running state, and with prefix caching for the last one at a block's end and for
    one that a prefill exports.
    """
    pages = STATES_HELD
    if frame.caches_prefixes:
        pages = STATES_HELD_CACHED + (1 if state.checkpoint else 0)
    pages += frame.settings.speculative_tokens  # a state for each token that may be taken back
    return LayerCache(
        kind=Kind.STATE,
        block_size=frame.block_size if frame.caches_prefixes else 0,
        page_bytes=frame.state_page_bytes,
        state_pages=pages,
        filled_bytes=state.state_bytes,
        padded=frame.state_page_bytes > state.state_bytes,
    )
