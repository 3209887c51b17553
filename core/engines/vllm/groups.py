"""Layers into groups: every group has pages of one size, and all groups draw on one pool of blocks.

States vllm/v1/core/kv_cache_planning.py of vLLM 0.33.0 (get_kv_cache_groups and what it calls). A group's block table
serves as many layers as the group is long; a pool block is as large as the longest group's pages together, so layers
that do not fill their last group leave padded places.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from core.engines.arrays import ceiling
from core.engines.plan import EngineError
from core.engines.vllm.caches import FULL_KINDS, Kind, LayerCache

MUCH_LARGER = 1.5  # kinds whose numbers of layers differ by less are padded to the larger one


@dataclass(frozen=True, kw_only=True)
class Group:
    """Layers that one block table serves; `layers` are distinct caches with their number."""

    layers: tuple[tuple[LayerCache, int], ...]

    @cached_property
    def num_layers(self) -> int:
        return sum(number for _, number in self.layers)

    def blocks(self, context: Any) -> Any:
        """Blocks that one request pins at most: its layers all need the same."""
        return self.layers[0][0].blocks(context)

    @cached_property
    def page_bytes(self) -> int:
        """Bytes of one block of this group, all its layers together."""
        return sum(cache.page_bytes * number for cache, number in self.layers)


def grouped(layers: Sequence[LayerCache]) -> tuple[Group, ...]:
    """The groups of a model's layers, in the order of the layers. Raises EngineError where pages cannot be unified.

    One kind of cache: one group. One type in several widths (all hold every token, or all the same window) with one
    block size: one group too. Else pages are made equal and each kind is cut into groups of equal length.
    """
    distinct = counted(layers)
    if not distinct:
        return ()
    if len(distinct) == 1 or one_type([cache for cache, _ in distinct]):
        return (Group(layers=tuple(distinct)),)
    return _equal_groups(counted(with_equal_pages(layers)))


def counted(layers: Sequence[LayerCache]) -> list[tuple[LayerCache, int]]:
    """Distinct caches with their number, in the order of the layers."""
    objects = {id(cache): cache for cache in layers}  # hashing a cache costs more than the rest: once an object
    numbers: dict[LayerCache, int] = {}
    for identity, number in Counter(map(id, layers)).items():
        numbers[objects[identity]] = numbers.get(objects[identity], 0) + number
    return list(numbers.items())


def one_type(caches: Sequence[LayerCache]) -> bool:
    """UniformTypeKVCacheSpecs.is_uniform_type: equal block sizes, and all of one type that needs equal token slots."""
    first = caches[0]
    if any(cache.block_size != first.block_size for cache in caches):
        return False
    if first.kind in FULL_KINDS:
        return all(cache.kind in FULL_KINDS for cache in caches)
    if first.kind is Kind.STATE:
        return all(
            cache.kind is Kind.STATE
            and (cache.page_bytes, cache.state_pages, cache.role) == (first.page_bytes, first.state_pages, first.role)
            for cache in caches
        )
    return all(cache.kind is first.kind and cache.window == first.window for cache in caches)


def with_equal_pages(layers: Sequence[LayerCache]) -> list[LayerCache]:
    """unify_kv_cache_spec_page_size: a page that divides the largest takes more tokens, others are padded."""
    largest = max(cache.page_bytes for cache in layers)
    raised = {id(cache): _raised(cache, largest) for cache in {id(cache): cache for cache in layers}.values()}
    return [raised[id(cache)] for cache in layers]


def _raised(cache: LayerCache, page_bytes: int) -> LayerCache:
    if cache.page_bytes == page_bytes:
        return cache
    if cache.kind is Kind.STATE:
        return replace(cache, page_bytes=page_bytes, padded=True)
    if page_bytes % cache.page_bytes == 0:
        return replace(cache, page_bytes=page_bytes, block_size=cache.block_size * (page_bytes // cache.page_bytes))
    if cache.kind in (Kind.LATENT, Kind.LATENT_WINDOW):
        raise EngineError(
            f"A latent page of {cache.page_bytes:,} bytes does not divide {page_bytes:,}: what vLLM 0.33 makes of such "
            "layers together is not stated here. Choose another cache_type or block_size, or leave a draft out."
        )
    return replace(cache, page_bytes=page_bytes, padded=True)


def _equal_groups(distinct: Sequence[tuple[LayerCache, int]]) -> tuple[Group, ...]:
    """_get_kv_cache_groups_uniform_page_size: the rarest kind sets a group's length, or the most frequent where numbers
    are near (below 1.5 times); a kind with n layers takes ceil(n / length) groups."""
    fewest, most = min(number for _, number in distinct), max(number for _, number in distinct)
    length = most if most < fewest * MUCH_LARGER else fewest
    groups: list[Group] = []
    for cache, number in distinct:
        parts = ceiling(number, length)
        groups += [Group(layers=((cache, (number - part + parts - 1) // parts),)) for part in range(parts)]
    return tuple(groups)
