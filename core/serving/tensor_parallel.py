"""Which heads each accelerator holds when one copy of a model is split over several.

Query heads are split evenly. KV heads are split while G >= TP; beyond, every KV head is copied to TP / G ranks so
that each rank holds the one that its query heads read, and the cache per rank stops shrinking. The compressed vector
of latent attention (MLA) is read by all heads, so every rank holds all of it. This is what vLLM does; copies per KV
head are D = ceil(TP / G) (arXiv 2505.21487, section 3). Splits that leave a remainder are refused, as engines refuse
them.
"""

from dataclasses import dataclass

from core.errors import SizingError


@dataclass(frozen=True, kw_only=True)
class Rank:
    """One accelerator's share of one layer: head numbers from 0."""

    index: int
    query_heads: tuple[int, ...]
    kv_heads: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class HeadSplit:
    """One layer over `tensor_parallel` ranks. copies is on how many ranks each KV head is held."""

    num_query_heads: int
    num_kv_heads: int
    tensor_parallel: int
    copies: int
    ranks: tuple[Rank, ...]

    @property
    def kv_heads_per_rank(self) -> int:
        return len(self.ranks[0].kv_heads)

    @property
    def query_heads_per_rank(self) -> int:
        return len(self.ranks[0].query_heads)

    @property
    def sentence(self) -> str:
        """One plain sentence: what each rank holds and what is copied."""
        held = f"{self.kv_heads_per_rank} of {self.num_kv_heads} KV heads"
        ranks = f"Each of {self.tensor_parallel} accelerators holds {self.query_heads_per_rank} query heads and {held}"
        if self.tensor_parallel == 1:
            return f"One accelerator holds all {self.num_query_heads} query heads and {self.num_kv_heads} KV heads."
        return (
            f"{ranks}; every KV head is held {self.copies} times." if self.copies > 1 else f"{ranks}; none is copied."
        )


def split_heads(num_query_heads: int, num_kv_heads: int, tensor_parallel: int) -> HeadSplit:
    """H query heads and G KV heads over TP ranks; the latent of MLA is one KV head. Raises SizingError where heads do
    not divide."""
    check_split(num_query_heads, num_kv_heads, tensor_parallel)
    copies = copies_per_kv_head(num_kv_heads, tensor_parallel)
    ranks = tuple(
        _rank(index, num_query_heads // tensor_parallel, num_query_heads // num_kv_heads)
        for index in range(tensor_parallel)
    )
    return HeadSplit(
        num_query_heads=num_query_heads,
        num_kv_heads=num_kv_heads,
        tensor_parallel=tensor_parallel,
        copies=copies,
        ranks=ranks,
    )


def _rank(index: int, query_heads_per_rank: int, group_size: int) -> Rank:
    first = index * query_heads_per_rank
    queries = tuple(range(first, first + query_heads_per_rank))
    return Rank(
        index=index,
        query_heads=queries,
        kv_heads=tuple(range(queries[0] // group_size, queries[-1] // group_size + 1)),
    )


def check_split(num_query_heads: int, num_kv_heads: int, tensor_parallel: int) -> None:
    """Raises SizingError, with the reason, where G does not divide H or heads do not divide over the ranks."""
    if num_query_heads % num_kv_heads:
        choices = ", ".join(map(str, divisors(num_query_heads)))
        raise SizingError(
            f"num_kv_heads is {num_kv_heads}, which does not divide {num_query_heads} query heads: use one of {choices}"
        )
    check_query_split(num_query_heads, tensor_parallel)
    if num_kv_heads % tensor_parallel and tensor_parallel % num_kv_heads:
        raise SizingError(
            f"tensor_parallel is {tensor_parallel}, over which {num_kv_heads} KV heads neither divide nor repeat "
            f"evenly: use a tensor_parallel that divides {num_kv_heads} or is a multiple of it"
        )


def check_query_split(num_query_heads: int, tensor_parallel: int) -> None:
    """Raises SizingError where the query heads do not divide over the ranks."""
    if num_query_heads % tensor_parallel:
        choices = ", ".join(map(str, divisors(num_query_heads)))
        raise SizingError(
            f"tensor_parallel is {tensor_parallel}, which does not divide {num_query_heads} query heads: "
            f"use one of {choices}"
        )


def copies_per_kv_head(num_kv_heads: int, tensor_parallel: int) -> int:
    """On how many ranks each KV head is held: D = ceil(TP / G)."""
    return -(-tensor_parallel // num_kv_heads)


def kv_heads_per_rank(num_kv_heads: int, tensor_parallel: int) -> int:
    """KV heads that one rank holds: G / TP, and one from G = TP down."""
    return max(num_kv_heads // tensor_parallel, 1)


def divisors(number: int) -> tuple[int, ...]:
    """Every divisor, ascending: the G that a layer of that many query heads can have."""
    return tuple(value for value in range(1, number + 1) if number % value == 0)
