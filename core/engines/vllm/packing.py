"""Groups of layers whose pages differ, packed side by side into one block (layouts with blocks outermost).

States _get_packed_kv_cache_groups and _approximate_gcd of vllm/v1/core/kv_cache_planning.py, vLLM 0.33.0, which serves
the classes whose kernels ask for such a layout (DeepSeek-V4). Pages keep their own sizes; a block is as wide as the
widest group, so layers are shared out over groups until little of it is padding.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from core.engines.arrays import ceiling
from core.engines.vllm.caches import WINDOW_KINDS, Kind, LayerCache
from core.engines.vllm.groups import Group, counted, one_type


@dataclass(frozen=True, kw_only=True)
class Bucket:
    """Layers that could share one block table, by the size of their pages."""

    first: LayerCache
    of_page: dict[int, list[LayerCache]]

    @property
    def num_layers(self) -> int:
        return sum(map(len, self.of_page.values()))

    @property
    def most(self) -> int:
        """Layers of the most frequent page size."""
        return max(map(len, self.of_page.values()))

    @property
    def balanced(self) -> bool:
        """Whether every page size is there equally often: then a pattern of one layer of each repeats."""
        return len(set(map(len, self.of_page.values()))) == 1

    @property
    def is_state(self) -> bool:
        return self.first.kind is Kind.STATE

    @property
    def slides(self) -> bool:
        return self.first.kind in WINDOW_KINDS

    def widest(self, groups: int) -> int:
        """Bytes of the widest of so many groups."""
        return sum(ceiling(len(caches), groups) * page for page, caches in self.of_page.items())


def packed(layers: Sequence[LayerCache]) -> tuple[Group, ...]:
    """The groups, in the order in which their kinds first appear."""
    if one_type(layers):
        return (Group(layers=tuple(counted(layers))),)
    buckets = _buckets(layers)
    least = max((bucket.most for bucket in buckets if bucket.balanced and len(bucket.of_page) > 1), default=0)
    repeats = _least_padding([bucket.most for bucket in buckets if bucket.balanced], least) if least else None
    anchor = max(bucket.widest(_least_groups(bucket, repeats)) for bucket in buckets)
    made: list[Group] = []
    for bucket in buckets:
        number = _groups(bucket, repeats)
        if _may_split(bucket, repeats):
            number = max(number, ceiling(bucket.num_layers, max(anchor // bucket.first.page_bytes, 1)))
        made += _split(bucket, number)
    return tuple(made)


def _buckets(layers: Sequence[LayerCache]) -> list[Bucket]:
    """First fit: a layer joins the first bucket whose layers need the same number of places."""
    buckets: list[Bucket] = []
    for cache in layers:
        home = next((bucket for bucket in buckets if one_type([bucket.first, cache])), None)
        if home is None:
            home = Bucket(first=cache, of_page={})
            buckets.append(home)
        home.of_page.setdefault(cache.page_bytes, []).append(cache)
    return buckets


def _least_padding(counts: list[int], least: int) -> int:
    """Repeats of a group that leave the fewest places empty; the largest of equals (_approximate_gcd)."""
    candidates = range(least, max(counts) + 1)
    return min(candidates, key=lambda length: (sum(-count % length for count in counts), -length), default=least)


def _groups(bucket: Bucket, repeats: int | None) -> int:
    return ceiling(bucket.most, repeats) if bucket.balanced and repeats is not None else 1


def _may_split(bucket: Bucket, repeats: int | None) -> bool:
    """Whether a bucket may go down to one layer a group rather than widen the block."""
    return bucket.is_state or (bucket.slides and repeats is None)


def _least_groups(bucket: Bucket, repeats: int | None) -> int:
    return bucket.num_layers if _may_split(bucket, repeats) else _groups(bucket, repeats)


def _split(bucket: Bucket, number: int) -> list[Group]:
    """A bucket in so many groups, each with every number-th repeat of its pattern."""
    if number == 1:
        return [Group(layers=tuple(counted([cache for caches in bucket.of_page.values() for cache in caches])))]
    repeats = list(zip(*bucket.of_page.values(), strict=False))
    parts = [[cache for repeat in repeats[index::number] for cache in repeat] for index in range(number)]
    return [Group(layers=tuple(counted(part))) for part in parts]
