"""A ModelSpec as the list of caches that its mlx-lm class makes, compiled once for each model."""

import weakref
from collections import Counter
from collections.abc import Mapping
from dataclasses import astuple, dataclass
from functools import cached_property
from typing import Any

from core.engines.mlx.caches import (
    KEPT_AT_FRONT,
    ChunkedCache,
    GrowingCache,
    ListedCaches,
    MlxCache,
    RotatingCache,
    StateCache,
)
from core.engines.mlx.classes import MlxClass, class_of, table
from core.engines.mlx.states import state_bytes
from core.engines.mlx.windows import windows_of
from core.engines.plan import EngineError
from core.models.attention import (
    CompressedAttention,
    GroupedAttention,
    LatentAttention,
    Layer,
    ParallelLayer,
    RecurrentState,
)
from core.models.spec import ModelSpec

EXPANDED = ("deepseek_v2", "minicpm3", "youtu_llm")  # the latent is multiplied out to K and V of every query head
INDEXED = ("deepseek_v32", "glm_moe_dsa")  # an indexer's keys stand in a second cache, and once more as its values
PAIRED = ("longcat_flash",)  # two attentions a layer, in one CacheList
LATENT = (
    "bailing_hybrid", "bailing_moe_v3", "deepseek_v3", "glm4_moe_lite", "kimi_k25", "kimi_k3", "kimi_linear", "kimi_vl",
    "mistral3", "mistral4",
)  # fmt: skip
RECURRENT = (
    "bailing_hybrid", "bailing_moe_v3", "falcon_h1", "granitemoehybrid", "jamba", "kimi_k3", "kimi_linear", "lfm2",
    "lfm2-vl", "lfm2_moe", "mamba", "mamba2", "nemotron_h", "olmo_hybrid", "qwen3_5", "qwen3_5_moe", "qwen3_next",
    "recurrent_gemma",
)  # fmt: skip


@dataclass(frozen=True)
class Layout:
    """The caches in the order of the model's layers; layers that keep nothing have none."""

    served_by: MlxClass
    caches: tuple[MlxCache, ...]

    @cached_property
    def distinct(self) -> tuple[tuple[MlxCache, int], ...]:
        """Each kind of cache with how many there are of it."""
        return tuple(Counter(self.caches).items())

    def capped(self, max_kv_size: int, batch_size: int) -> "Layout":
        """The same under max_kv_size: classes without a make_cache rotate every layer, the others ignore it."""
        if self.served_by.makes_own_cache:
            return self
        front = KEPT_AT_FRONT if batch_size == 1 else 0
        caches = tuple(
            RotatingCache(max_kv_size, cache.heads, cache.key_dim, cache.value_dim, front)
            if isinstance(cache, GrowingCache)
            else cache
            for cache in self.caches
        )
        return Layout(self.served_by, caches)


_kept: dict[int, tuple["weakref.ref[ModelSpec]", Layout]] = {}
MOST_KEPT = 4096


def layout_of(spec: ModelSpec) -> Layout:
    """The layout, compiled at the first call and kept while the spec lives. Raises EngineError."""
    kept = _kept.get(id(spec))
    if kept is not None and kept[0]() is spec:
        return kept[1]
    layout = compiled(spec)
    if len(_kept) >= MOST_KEPT:
        _kept.clear()
    _kept[id(spec)] = (weakref.ref(spec), layout)
    return layout


def compiled(spec: ModelSpec) -> Layout:
    """The caches that the class's make_cache returns. Raises EngineError for a model that mlx-lm does not serve."""
    served_by = class_of(spec.config)
    config = _text_config(spec.config)
    windows = windows_of(served_by.text_module, config, [window_of(layer) for layer in spec.layers])
    caches = [
        _cache_of(served_by.module, config, index, layer, window)
        for index, (layer, window) in enumerate(zip(spec.layers, windows, strict=True))
    ]
    kept = tuple(cache for cache in caches if cache is not None)
    if served_by.module in PAIRED:
        kept = tuple(ListedCaches(pair) for pair in zip(kept[::2], kept[1::2], strict=True))
    if served_by.module == "nanbeige":
        kept *= _width(
            {"num_loops": 1, **config}, "num_loops"
        )  # the stack is walked num_loops times, each with its own
    if served_by.module == "iquestloopcoder":
        window = _width({"loop_window_size": 64, **config}, "loop_window_size")
        kept += tuple(RotatingCache(window, *astuple(cache)) for cache in kept if isinstance(cache, GrowingCache))
    return Layout(served_by, kept)


def _text_config(config: Mapping[str, Any]) -> Mapping[str, Any]:
    for key in ("text_config", "llm_config", "language_config"):
        if isinstance(config.get(key), Mapping):
            text: Mapping[str, Any] = config[key]
            return text
    return config


def window_of(layer: Layer) -> int | None:
    """The window that the model was trained with; None without one."""
    inner = layer.attention if isinstance(layer, ParallelLayer) else layer
    return inner.window if isinstance(inner, GroupedAttention | LatentAttention) else None


def _cache_of(module: str, config: Mapping[str, Any], index: int, layer: Layer, window: int | None) -> MlxCache | None:
    if isinstance(layer, GroupedAttention):
        return _grouped(module, config, index, layer, window)
    if isinstance(layer, LatentAttention):
        return _latent(module, config, layer)
    if isinstance(layer, RecurrentState | ParallelLayer) and module not in RECURRENT:
        raise EngineError(
            f"mlx: layer {index} keeps a state, and the class {module} of mlx-lm 0.32.2 knows none. "
            "Choose another engine."
        )
    if isinstance(layer, RecurrentState):
        return StateCache(state_bytes(module, config, layer))
    if isinstance(layer, ParallelLayer):
        attention = _cache_of(module, config, index, layer.attention, window)
        states = StateCache(state_bytes(module, config, layer.recurrent))
        return ListedCaches((states,) if attention is None else (states, attention))
    if isinstance(layer, CompressedAttention):
        raise EngineError(
            f"mlx: mlx-lm 0.32.2 knows no compressed attention as in layer {index}. Choose another engine."
        )
    return None


def _grouped(
    module: str, config: Mapping[str, Any], index: int, layer: GroupedAttention, window: int | None
) -> MlxCache:
    heads, key_dim, value_dim = layer.num_kv_heads, layer.head_dim, layer.value_dim
    if module in table()["head_dim_ignored"]:
        key_dim = value_dim = _width(config, "hidden_size") // layer.num_query_heads
    other = config.get("attention_other_setting")
    if module == "step3p5" and window is not None and isinstance(other, Mapping):
        heads = _width(other, "num_attention_groups")  # step3p5.py takes head_dim from the plain key all the same
    if module == "recurrent_gemma":
        heads = 1  # recurrent_gemma.py shares one KV head, whatever num_key_value_heads says
    if window is not None:
        kind = ChunkedCache if module == "llama4" else RotatingCache
        return kind(window, heads, key_dim, value_dim)
    grown = GrowingCache(heads, key_dim, value_dim)
    if module != "minimax_m3_vl":
        return grown
    if not _is_sparse(config, index):
        return ListedCaches((grown,))
    sparse = config.get("sparse_attention_config") or {}
    return ListedCaches((grown, GrowingCache(1, _width({**config, **_renamed(sparse)}, "index_head_dim"), 0)))


def _is_sparse(config: Mapping[str, Any], index: int) -> bool:
    """TextArgs.is_sparse_attn of minimax_m3_vl.py."""
    sparse = config.get("sparse_attention_config") or {}
    if sparse.get("sparse_block_size", config.get("index_block_size")) is None:
        return False
    types = config.get("layer_types")
    if types is not None:
        return bool(types[index] != "full_attention")
    frequency = sparse.get("sparse_attention_freq", config.get("sparse_attention_freq"))
    return bool(frequency[index]) if frequency is not None else True


def _renamed(sparse: Mapping[str, Any]) -> dict[str, Any]:
    return {"index_head_dim": sparse["sparse_index_dim"]} if "sparse_index_dim" in sparse else {}


def _latent(module: str, config: Mapping[str, Any], layer: LatentAttention) -> MlxCache:
    if module in EXPANDED:
        heads = layer.num_query_heads
        value_dim = layer.expanded_value_dim or _width(config, "hidden_size") // heads
        if layer.expanded_key_dim is None:
            raise EngineError(
                "mlx: the config names no qk_nope_head_dim, by which the latent is multiplied out. Add it."
            )
        return GrowingCache(heads, layer.expanded_key_dim, value_dim)
    latent = GrowingCache(1, layer.latent_dim, layer.rope_dim)
    if module in INDEXED:
        width = _width(config, "index_head_dim")
        return ListedCaches((latent, GrowingCache(1, width, width)))
    if module not in LATENT and module not in PAIRED:
        raise EngineError(f"mlx: the class {module} of mlx-lm 0.32.2 knows no latent attention. Choose another engine.")
    return latent


def _width(config: Mapping[str, Any], key: str) -> int:
    value = config.get(key)
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise EngineError(f"mlx: {key} is {value!r}: it has to be a whole number above 0. Mend the config.")
    return value
