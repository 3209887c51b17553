"""A model under one set of settings, compiled once: groups, block size and page; after that each job is a line of
arithmetic.

`layout_of` keeps what it compiled beside the ModelSpec it was asked for, so a sweep pays for reading the file once.
"""

import weakref
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from math import lcm
from typing import Any

from core.engines.arrays import ceiling, smaller
from core.engines.plan import EngineError
from core.engines.vllm import blocks, rows
from core.engines.vllm.caches import FULL_KINDS, Kind
from core.engines.vllm.checks import check
from core.engines.vllm.classes import ATTENTION_FREE, CACHE_TYPE_IGNORED
from core.engines.vllm.drafts import draft_caches, mtp_layers
from core.engines.vllm.groups import Group, grouped
from core.engines.vllm.layers import Frame, attention_of, caches_by_layer, has_state, layer_caches
from core.engines.vllm.model import Model, model_of
from core.engines.vllm.own import OWN, Own
from core.engines.vllm.packing import packed
from core.engines.vllm.pipeline import stage_groups
from core.engines.vllm.settings import Settings
from core.engines.vllm.states import state_of
from core.models.spec import ModelSpec, UnsupportedConfig

SKIPPED_LAYERS = 2  # TurboQuant keeps so many layers at either end in the model's own type (get_boundary_skip_layers)
# A position of their cache needs the token after it; beside one of them Llama 4's chunks keep every token (VllmConfig)
READS_FURTHER = ("eagle", "eagle3", "mtp")
MOST_KEPT = 4096


@dataclass(frozen=True, eq=False)
class Layout:
    """What a vLLM server allocates for a model: the pool's blocks and how many of them a request pins."""

    model: Model
    settings: Settings
    block_size: int
    groups: tuple[Group, ...]
    state_bytes: int | None = None  # of one recurrent layer, before it is paged
    caches_prefixes: bool = True
    stride: int = 1  # bytes that a block is a multiple of
    draft_layers: int = 0  # of the layers in the groups, those that a draft brought

    @cached_property
    def runs(self) -> tuple[tuple[Group, int], ...]:
        """Distinct groups with the number of times that each is there."""
        return tuple(Counter(self.groups).items())

    @cached_property
    def longest(self) -> int:
        """Layers of the longest group: places that every group has."""
        return max(group.num_layers for group in self.groups)

    @cached_property
    def attends(self) -> bool:
        """Whether any layer keeps keys and values."""
        return any(cache.kind is not Kind.STATE for group in self.groups for cache, _ in group.layers)

    @cached_property
    def pool_block_bytes(self) -> int:
        """Bytes of one block of the pool: the pages of the longest group together (_get_kv_cache_bytes_per_block)."""
        return int(ceiling(max(group.page_bytes for group in self.groups), self.stride)) * self.stride

    def request_blocks(self, context: Any) -> Any:
        """Blocks that one request of so many tokens pins at most, all groups together; an int or a numpy array."""
        return sum(group.blocks(context) * number for group, number in self.runs)

    def request_bytes(self, context: Any) -> Any:
        """Bytes of them on one rank (_max_memory_usage_bytes_from_groups)."""
        return self.request_blocks(context) * self.pool_block_bytes

    @cached_property
    def lookahead(self) -> int:
        """Tokens further that a draft reads: one for EAGLE and MTP, every speculated one for a chain of MTP layers."""
        settings = self.settings
        if settings.draft_method not in READS_FURTHER:
            return 0
        chained = settings.draft_method == "mtp" and min(mtp_layers(self.model), settings.speculative_tokens) > 1
        return settings.speculative_tokens if chained else 1

    @cached_property
    def hit_unit(self) -> int:
        """Tokens that a hit of the prefix cache is a multiple of: every group has to have it (kv_cache_coordinator)."""
        sizes = [cache.block_size for group in self.groups for cache, _ in group.layers if cache.block_size]
        return lcm(*sizes) if sizes else 1

    def shared_tokens(self, context: Any, prefix: int) -> Any:
        """Tokens of a prefix that a request of so many tokens takes from the cache: whole blocks, never its last token,
        and a block's hash covers the tokens after it that the draft reads (num_hash_lookahead_tokens). Held against
        vLLM's KVCacheManager, run without a GPU."""
        if not self.caches_prefixes:
            return 0 * context
        return smaller(max(prefix - self.lookahead, 0), context - 1) // self.hit_unit * self.hit_unit

    def shared_blocks(self, context: Any, prefix: int) -> Any:
        """Blocks of a request that all requests with that prefix hold once: of layers that keep every token. Windows
        move off the prefix, and each request has states of its own."""
        tokens = self.shared_tokens(context, prefix)
        full = [(group.layers[0][0], number) for group, number in self.runs if group.layers[0][0].kind in FULL_KINDS]
        return sum(tokens // cache.context_ranks // cache.block_size * number for cache, number in full)

    def holds(self, context: Any, requests: Any, available_bytes: Any, prefix: int = 0) -> Any:
        """Whether so many requests of that length are served at once."""
        beyond = self.request_blocks(context) - self.shared_blocks(context, prefix) if prefix else None
        if beyond is None:
            return self.max_concurrency(context, available_bytes) >= requests
        return self.request_blocks(context) + (requests - 1) * beyond <= self.pool_blocks(available_bytes)

    def pool_blocks(self, available_bytes: Any) -> Any:
        """Blocks that so much memory holds, the null block among them."""
        return available_bytes // self.pool_block_bytes

    def fits(self, context: Any, available_bytes: Any) -> Any:
        """Whether one request fits beside the null block, which the pool holds back for padding."""
        return self.request_bytes(context) <= available_bytes - self.pool_block_bytes

    def max_concurrency(self, context: Any, available_bytes: Any) -> Any:
        """Requests of that length at once (get_max_concurrency_for_kv_cache_config; it counts the null block in)."""
        return self.pool_blocks(available_bytes) / self.request_blocks(context)

    def sweep(self, contexts: Any, available_bytes: Any) -> dict[str, Any]:
        """The plan of many jobs at once, as arrays: request_bytes, fits, max_concurrency and capacity_tokens.

        contexts and available_bytes broadcast against each other. Where a request does not fit, concurrency and
        capacity are 0. Raises EngineError for a length below 1 or memory below 0.
        """
        import numpy as np  # noqa: PLC0415  a job asked from a shell has no array

        lengths, memory = np.asarray(contexts, dtype=np.int64), np.asarray(available_bytes, dtype=np.int64)
        if (lengths < 1).any() or (memory < 0).any():
            raise EngineError("A sweep needs contexts from 1 and memory from 0. Leave the others out.")
        bytes_, fits = self.request_bytes(lengths), self.fits(lengths, memory)
        requests = np.where(fits, self.max_concurrency(lengths, memory), 0.0)
        return {
            "request_bytes": bytes_,
            "fits": fits,
            "max_concurrency": requests,
            "capacity_tokens": (requests * lengths).astype(np.int64),
        }


_kept: dict[tuple[int, Settings], tuple["weakref.ref[ModelSpec]", Layout]] = {}
_models: dict[int, tuple["weakref.ref[ModelSpec]", Model]] = {}


def layout_of(spec: ModelSpec, settings: Settings) -> Layout:
    """The layout, compiled at the first call and kept while the spec lives. Raises EngineError."""
    key = (id(spec), settings)
    kept = _kept.get(key)
    if kept is not None and kept[0]() is spec:
        return kept[1]
    try:
        layout = compiled(_model(spec), settings)
    except UnsupportedConfig as problem:  # a field of the file that only vLLM's rules ask for
        raise EngineError(str(problem)) from problem
    if len(_kept) >= MOST_KEPT:
        _kept.clear()
    _kept[key] = (weakref.ref(spec), layout)
    return layout


def _model(spec: ModelSpec) -> Model:
    """The model of a spec, read once while the spec lives."""
    kept = _models.get(id(spec))
    if kept is not None and kept[0]() is spec:
        return kept[1]
    if len(_models) >= MOST_KEPT:
        _models.clear()
    _models[id(spec)] = (weakref.ref(spec), model_of(spec))
    return _models[id(spec)][1]


def compiled(model: Model, settings: Settings) -> Layout:
    """One model under one set of settings. Raises EngineError where vLLM 0.33 refuses them."""
    own = OWN.get(model.text_class)
    if own is not None:
        return _compiled_own(model, settings, own)
    cache_type = "auto" if model.text_class in CACHE_TYPE_IGNORED else settings.cache_type
    attends = any(attention_of(layer) is not None for layer in model.spec.layers)
    recurrent = model.native and any(has_state(layer) for layer in model.spec.layers)
    check(model, settings, cache_type)
    default = model.text_class not in ATTENTION_FREE
    prefixes = default if settings.prefix_caching is None else settings.prefix_caching
    block = blocks.block_size_of(model, settings, cache_type)
    turbo = settings.cache_type in rows.TURBOQUANT and not recurrent
    if turbo:
        block = blocks.with_skipped_layers(block)
    state = None
    if recurrent and model.part is not None:
        state = state_of(model.part, settings.tensor_parallel, model.text_class, settings.speculative_tokens)
    page = 0 if state is None else state.state_bytes
    if state is not None and attends:
        block, page = blocks.aligned_with_states(model, settings, cache_type, block, state, caches_prefixes=prefixes)
    frame = Frame(
        model=model,
        settings=settings,
        cache_type=cache_type,
        block_size=block,
        caches_prefixes=prefixes,
        state_page_bytes=page,
        skipped=_ends(len(model.spec.layers)) if turbo else frozenset(),
        slides=not (model.chunked and settings.draft_method in READS_FURTHER),
    )
    drafted = draft_caches(frame)
    return Layout(
        model=model,
        settings=settings,
        block_size=block,
        groups=grouped((*layer_caches(frame, state), *drafted))
        if settings.pipeline_parallel == 1
        else stage_groups(caches_by_layer(frame, state), settings.pipeline_parallel, settings.pipeline_stage, drafted),
        draft_layers=len(drafted) if settings.pipeline_stage in (None, settings.pipeline_parallel - 1) else 0,
        state_bytes=None if state is None else state.state_bytes,
        caches_prefixes=prefixes,
    )


def _compiled_own(model: Model, settings: Settings, own: Own) -> Layout:
    """A class that builds caches of its own kinds. Raises EngineError where vLLM 0.33 refuses the settings."""
    if model.part is None:
        raise EngineError(f"{model.text_class} needs its config.json in vLLM 0.33. Give it.")
    turbo = settings.cache_type in rows.TURBOQUANT
    frame = Frame(
        model=model,
        settings=settings,
        cache_type=settings.cache_type,
        block_size=own.block_of(model, settings),
        caches_prefixes=settings.prefix_caching is not False,
        state_page_bytes=0,
        skipped=_ends(len(model.spec.layers)) if turbo else frozenset(),
    )
    own.check(frame)
    if settings.pipeline_parallel > 1:
        raise EngineError(
            f"pipeline_parallel is {settings.pipeline_parallel}: the stages of {model.text_class}'s own kinds of cache "
            "are not stated here. Leave it at 1."
        )
    if settings.draft_method is not None and own.packed:
        raise EngineError(f"A draft beside {model.text_class}'s packed cache is not stated here. Read it in its log.")
    caches, drafted = own.caches(frame), draft_caches(frame)
    return Layout(
        model=model,
        settings=settings,
        block_size=frame.block_size,
        groups=packed(caches) if own.packed else grouped((*caches, *drafted)),
        caches_prefixes=frame.caches_prefixes,
        draft_layers=len(drafted),
        stride=1 if own.stride is None else own.stride(model),
    )


def _ends(layers: int) -> frozenset[int]:
    """The first and last layers that TurboQuant leaves in 16 bits: two of each, at most half of them at one end."""
    number = min(SKIPPED_LAYERS, layers // 2)
    return frozenset([*range(number), *range(layers - number, layers)])
