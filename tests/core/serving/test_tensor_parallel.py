"""Which heads each rank holds: literal splits, refusals, and properties over every split that divides."""

import pytest

from core.errors import SizingError
from core.serving.tensor_parallel import check_query_split, copies_per_kv_head, divisors, kv_heads_per_rank, split_heads


def test_llama_2_70b_on_eight_ranks_copies_nothing() -> None:
    split = split_heads(64, 8, 8)
    assert split.copies == 1
    assert [rank.kv_heads for rank in split.ranks] == [(head,) for head in range(8)]
    assert split.ranks[1].query_heads == (8, 9, 10, 11, 12, 13, 14, 15)
    assert split.sentence == "Each of 8 accelerators holds 8 query heads and 1 of 8 KV heads; none is copied."


def test_two_kv_heads_on_eight_ranks_are_held_four_times() -> None:
    split = split_heads(64, 2, 8)
    assert split.copies == 4
    assert [rank.kv_heads for rank in split.ranks] == [(0,)] * 4 + [(1,)] * 4
    assert split.sentence.endswith("1 of 2 KV heads; every KV head is held 4 times.")


def test_sixteen_kv_heads_on_eight_ranks_are_two_each() -> None:
    assert [rank.kv_heads for rank in split_heads(64, 16, 8).ranks][:2] == [(0, 1), (2, 3)]


def test_one_rank_holds_everything() -> None:
    split = split_heads(40, 5, 1)
    assert split.ranks[0].kv_heads == (0, 1, 2, 3, 4)
    assert split.sentence == "One accelerator holds all 40 query heads and 5 KV heads."


@pytest.mark.parametrize(
    ("heads", "message"),
    [
        ((71, 1, 2), "tensor_parallel is 2, which does not divide 71 query heads: use one of 1, 71"),
        ((40, 3, 1), "num_kv_heads is 3, which does not divide 40 query heads: use one of 1, 2, 4, 5, 8, 10, 20, 40"),
        ((24, 8, 6), "tensor_parallel is 6, over which 8 KV heads neither divide nor repeat evenly"),
    ],
)
def test_uneven_splits_are_refused_with_the_reason(heads: tuple[int, int, int], message: str) -> None:
    with pytest.raises(SizingError, match=message):
        split_heads(*heads)


def test_latent_attention_needs_its_query_heads_to_divide() -> None:
    check_query_split(128, 16)
    with pytest.raises(SizingError, match="does not divide 128 query heads"):
        check_query_split(128, 3)


EVEN = [
    (ranks, kv_heads, group)
    for ranks in range(1, 17)
    for kv_heads in range(1, 17)
    for group in range(1, 13)  # every H = G x group up to 192
    if kv_heads * group % ranks == 0 and (kv_heads % ranks == 0 or ranks % kv_heads == 0)
]


def test_every_rank_holds_just_the_kv_heads_that_its_query_heads_read() -> None:
    assert len(EVEN) == 698
    for ranks, kv_heads, group in EVEN:
        holds_just_what_it_reads(ranks, kv_heads, group)


def holds_just_what_it_reads(ranks: int, kv_heads: int, group: int) -> None:
    query_heads = kv_heads * group
    split = split_heads(query_heads, kv_heads, ranks)
    for rank in split.ranks:
        assert set(rank.kv_heads) == {query // group for query in rank.query_heads}
        assert len(rank.kv_heads) == kv_heads_per_rank(kv_heads, ranks) == split.kv_heads_per_rank
    held = [head for rank in split.ranks for head in rank.kv_heads]
    assert sorted(held) == sorted(list(range(kv_heads)) * copies_per_kv_head(kv_heads, ranks))
    assert sorted(query for rank in split.ranks for query in rank.query_heads) == list(range(query_heads))


def test_divisors() -> None:
    assert divisors(40) == (1, 2, 4, 5, 8, 10, 20, 40)
    assert divisors(71) == (1, 71)
