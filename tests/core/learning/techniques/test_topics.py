"""Paging, eviction, fewer bits and MLA: hand arithmetic, published figures, and properties."""

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import SizingError
from core.evidence.records import EvidenceError
from core.evidence.studies import published as evidence
from core.learning.techniques import eviction, latent, paging, published, quantisation
from core.learning.techniques.paging import Arrival, LengthDistribution, PagingError

ONE_LENGTH = LengthDistribution(prompt_median=100, output_median=1, spread=0, context_limit=200)


# paging


def test_reserving_by_hand() -> None:
    """Every sequence holds 101 tokens (100 and its one answer) of at most 200; 128 is the next power of two."""
    used = {use.policy: use.used_share for use in paging.compare(ONE_LENGTH, block_size=16)}
    assert used == pytest.approx({"limit": 101 / 200, "power": 101 / 128, "oracle": 1.0, "paged": 101 / 112})


def test_a_pool_holds_as_many_as_it_reserves_for() -> None:
    by_policy = {use.policy: use for use in paging.compare(ONE_LENGTH, block_size=16)}
    assert by_policy["limit"].sequences_in(2_000) == 10
    assert by_policy["paged"].sequences_in(1_120) == 10


LENGTHS = st.builds(
    LengthDistribution,
    prompt_median=st.integers(1, 500),
    output_median=st.integers(1, 500),
    spread=st.floats(0, 2),
    context_limit=st.integers(500, 4_096),
)


@settings(max_examples=60)
@given(LENGTHS, st.integers(1, 64))
def test_every_policy_reserves_what_it_must(lengths: LengthDistribution, block_size: int) -> None:
    used = {use.policy: use for use in paging.compare(lengths, block_size=block_size, num_sequences=200)}
    assert all(use.live_tokens <= use.reserved_tokens for use in used.values())
    assert used["oracle"].reserved_tokens <= used["power"].reserved_tokens <= used["limit"].reserved_tokens
    waste = used["paged"].reserved_tokens - used["paged"].live_tokens
    assert waste <= (block_size - 1) * 200  # at most one block less a token for each sequence


def test_blocks_of_one_token_waste_nothing() -> None:
    paged = paging.compare(ONE_LENGTH, block_size=1)[-1]
    assert paged.used_share == 1.0


@pytest.mark.parametrize(
    ("values", "says"),
    [({"prompt_median": 0}, "median prompt"), ({"output_median": 10**7}, "median output"), ({"spread": 9}, "spread"),
     ({"context_limit": 1}, "context limit"), ({"spread": float("nan")}, "spread")],
)  # fmt: skip
def test_impossible_lengths_are_refused(values: dict[str, object], says: str) -> None:
    with pytest.raises(PagingError, match=says):
        LengthDistribution(**{**vars(ONE_LENGTH), **values})


def test_the_block_table_by_hand() -> None:
    """Step 3 of the example: A has 6 + 3 tokens in 3 blocks, B 3 + 2 in 2, C has come with 9 in 3."""
    pool = paging.pool_at(3)
    assert [(t.name, t.tokens, t.blocks) for t in pool.tables] == [
        ("A", 9, (0, 1, 3)),
        ("B", 5, (2, 4)),
        ("C", 9, (5, 6, 7)),
    ]
    assert pool.unfilled_slots == 9  # three ends of 3
    assert paging.pool_at(5).finished == ("B",)
    assert paging.pool_at(6).tables[2].blocks == (2, 4)  # D takes what B gave back


def test_at_the_end_every_block_is_free() -> None:
    pool = paging.pool_at(paging.last_step())
    assert not pool.tables
    assert set(pool.owner) == {None}


@settings(max_examples=80)
@given(
    st.lists(st.builds(Arrival, step=st.integers(0, 6), prompt=st.integers(1, 9), output=st.integers(1, 9)),
             min_size=1, max_size=6),
    st.integers(0, 20), st.integers(1, 12), st.integers(1, 6),
)  # fmt: skip
def test_a_block_has_one_owner_and_tables_hold_their_tokens(
    arrivals: list[Arrival], step: int, num_blocks: int, block_size: int
) -> None:
    pool = paging.pool_at(step, arrivals, num_blocks=num_blocks, block_size=block_size)
    held = [block for table in pool.tables for block in table.blocks]
    assert len(held) == len(set(held)) <= num_blocks
    assert sum(pool.filled) == sum(table.tokens for table in pool.tables)
    for table in pool.tables:
        assert len(table.blocks) == -(-table.tokens // block_size)


def test_a_prompt_that_does_not_fit_waits() -> None:
    pool = paging.pool_at(0, [Arrival(step=0, prompt=9, output=1)], num_blocks=2, block_size=4)
    assert pool.waiting == ("A",)
    assert "waits" in pool.says


# eviction


@pytest.mark.parametrize(
    ("policy", "kept"),
    [("all", list(range(20))), ("window", list(range(12, 20))), ("sinks", [0, 1, *range(14, 20)])],
)
def test_kept_tokens_by_hand(policy: str, kept: list[int]) -> None:
    found = eviction.keep(policy, num_tokens=20, budget=8, num_sinks=2)
    assert [place for place, flag in enumerate(found.kept) if flag] == kept


def test_heavy_hitters_keep_the_newest_half_and_stay_in_the_budget() -> None:
    found = eviction.keep("heavy", num_tokens=100, budget=20, num_sinks=4)
    assert found.num_kept == 20
    assert all(found.kept[90:])
    assert found.sinks_kept  # they draw most attention, so they are hitters


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(sorted(eviction.POLICIES)), st.integers(5, 120), st.integers(1, 130), st.integers(0, 8))
def test_no_policy_exceeds_its_budget(policy: str, num_tokens: int, budget: int, sinks: int) -> None:
    found = eviction.keep(policy, num_tokens=num_tokens, budget=budget, num_sinks=sinks)
    assert found.num_kept == (num_tokens if policy == "all" else min(budget, num_tokens))
    assert 0 <= found.attention_kept <= 1 + 1e-9
    assert found.holds(num_tokens - 1)


def test_attention_is_causal_and_sums_to_one() -> None:
    weights = eviction.attention_weights(50, num_hitters=5, seed=1)
    assert weights.sum(axis=1) == pytest.approx(np.ones(50))
    assert np.triu(weights, 1).max() == 0


@pytest.mark.parametrize(
    ("values", "says"),
    [({"policy": "oldest"}, "not one of"), ({"num_tokens": 4}, "number of tokens"), ({"budget": 0}, "budget"),
     ({"num_sinks": 17}, "sinks"), ({"num_tokens": 513}, "number of tokens")],
)  # fmt: skip
def test_impossible_evictions_are_refused(values: dict[str, object], says: str) -> None:
    with pytest.raises(eviction.EvictionError, match=says):
        eviction.keep(**{"policy": "window", "num_tokens": 20, "budget": 8, "num_sinks": 2, **values})  # type: ignore[arg-type]


# fewer bits


@pytest.mark.parametrize(("bits", "group", "stored"), [(4, 32, 5.0), (2, 32, 3.0), (8, 128, 8.25), (16, 32, 16.0)])
def test_stored_bits_by_hand(bits: int, group: int, stored: float) -> None:
    assert quantisation.stored_bits(bits, group) == stored


def test_rounding_by_hand() -> None:
    """0, 1, 2, 3 with 2 bits are four levels exactly; 0, 1, 2, 6 has steps of 2, so that 1 goes to 0 (half to even)."""
    exact = np.array([[0.0, 1.0, 2.0, 3.0]])
    assert quantisation.round_trip(exact, bits=2, group=4, axis="token").tolist() == [[0, 1, 2, 3]]
    coarse = quantisation.round_trip(np.array([[0.0, 1.0, 2.0, 6.0]]), bits=2, group=4, axis="token")
    assert coarse.tolist() == [[0, 0, 2, 6]]


def test_the_axis_says_what_shares_a_scale() -> None:
    data = np.array([[0.0, 100.0], [1.0, 103.0]])
    by_channel = quantisation.round_trip(data, bits=2, group=2, axis="channel")
    assert by_channel.tolist() == data.tolist()  # each channel's own range: two values are two levels
    by_token = quantisation.round_trip(data, bits=2, group=2, axis="token")
    assert by_token.tolist() == data.tolist()


@settings(max_examples=40)
@given(st.integers(0, 1_000), st.sampled_from(quantisation.BITS), st.sampled_from(sorted(quantisation.AXES)))
def test_an_element_moves_by_at_most_half_a_step(seed: int, bits: int, axis: str) -> None:
    data = np.random.default_rng(seed).normal(size=(32, 32))
    found = quantisation.round_trip(data, bits=bits, group=16, axis=axis)
    widest = np.ptp(data)
    assert np.abs(found - data).max() <= widest / (2**bits - 1) / 2 + 1e-9


def test_keys_by_channel_lose_less_where_channels_differ() -> None:
    """KIVI's reason: at equal bits, large channels spoil a token's group and not their own."""
    data = quantisation.sample(outlier_scale=8)
    for bits in quantisation.BITS:
        channel = quantisation.try_bits(data, bits=bits, group=32, key_axis="channel")
        token = quantisation.try_bits(data, bits=bits, group=32, key_axis="token")
        assert channel.output_error < token.output_error
        assert channel.stored_bits == token.stored_bits
    even = quantisation.sample(outlier_scale=1, num_outliers=1)
    one, other = (quantisation.try_bits(even, bits=4, group=32, key_axis=axis) for axis in ("channel", "token"))
    assert one.key_error == pytest.approx(other.key_error, rel=0.1)


def test_fewer_bits_lose_more() -> None:
    found = quantisation.trials(quantisation.sample(), group=32)
    for axis in quantisation.AXES:
        errors = [trial.output_error for trial in found if trial.key_axis == axis]  # 8, 4, 3, 2 bits
        assert errors == sorted(errors)


@pytest.mark.parametrize(
    ("call", "says"),
    [(lambda: quantisation.stored_bits(5, 32), "5 bits"), (lambda: quantisation.stored_bits(4, 1), "group is 1"),
     (lambda: quantisation.round_trip(np.ones((4, 6)), bits=4, group=4, axis="token"), "do not divide 6"),
     (lambda: quantisation.round_trip(np.ones((4, 4)), bits=4, group=4, axis="layer"), "axis is 'layer'"),
     (lambda: quantisation.sample(outlier_scale=0), "large channels")],
)  # fmt: skip
def test_impossible_roundings_are_refused(call: object, says: str) -> None:
    with pytest.raises(quantisation.QuantisationError, match=says):
        call()  # type: ignore[operator]


# MLA


def test_mla_equals_two_and_a_quarter_heads() -> None:
    """DeepSeek-V2 (arXiv 2405.04434), Table 1: 4.5 x head_dim = 576 elements, GQA with 2.25 groups."""
    assert latent.latent_elements() == 576 == 4.5 * 128
    assert latent.equivalent_kv_heads() == 2.25


def test_shares_over_ranks_by_hand() -> None:
    shares = latent.shares(num_query_heads=128, num_kv_heads=8, head_dim=128, tensor_parallel=16)
    assert {share.kind: share.elements for share in shares} == {
        "MHA": 2 * 128 * 128 / 16,
        "GQA": 2 * 128,  # 8 heads over 16 ranks: one on each
        "MQA": 2 * 128,
        "MLA": 576,
    }


@pytest.mark.parametrize(("g", "ranks", "says"), [(3, 1, "does not"), (8, 3, "does not"), (8, 256, "does not")])
def test_a_split_that_leaves_a_remainder_is_refused(g: int, ranks: int, says: str) -> None:
    with pytest.raises(SizingError, match=says):
        latent.shares(num_query_heads=128, num_kv_heads=g, head_dim=128, tensor_parallel=ranks)


# published figures


def test_published_figures_are_those_of_the_evidence() -> None:
    """Where core/data/evidence.yaml states the same thing in words, the numbers stand in its words."""
    said = {finding.id: finding.statement.replace(",", "") for finding in evidence().findings}
    found = published.published()
    low, high = found["paged_use"]["earlier_percent"]
    assert f"{low} to {high} %" in said["paged-attention"]
    assert f"{found['paged_use']['paged_percent']} %" in said["paged-attention"]
    assert f"{found['sinks']['llama2_13b_window_only']:.0f}" in said["streaming-sinks"]
    assert f"{found['sinks']['llama2_13b_four_sinks']:.2f}" in said["streaming-sinks"]
    kivi = {row["model"]: row for row in found["kivi"]["rows"]}
    for model, task, bits in (("Llama-2-13B", "coqa", 4), ("Llama-2-13B", "gsm8k", 16), ("Mistral-7B", "coqa", 4)):
        assert f"{kivi[model][task][bits]:.2f}" in said["kivi-4bit"]
    for model, task, bits in (("Falcon-7B", "coqa", 2), ("Falcon-7B", "gsm8k", 2), ("Llama-2-7B", "gsm8k", 16)):
        assert f"{kivi[model][task][bits]:.2f}" in said["kivi-2bit"]
    small = found["mla"]["rows"][1]
    assert f"{small['bbh']} BBH and {small['mmlu']:.1f} MMLU" in said["mla-quality"]


def test_figures_without_a_statement_there_are_the_papers_own() -> None:
    """StreamingLLM Table 2 (Llama-2-7B by sinks), H2O and SnapKV abstracts, DeepSeek-V2 Table 9."""
    found = published.published()
    assert [(row["sinks"], row["perplexity"]) for row in found["sinks"]["llama2_7b"]] == [
        (0, 3359.95), (1, 11.88), (2, 10.51), (4, 9.59), (8, 9.54),
    ]  # fmt: skip
    assert (found["heavy_hitters"]["kept_percent"], found["heavy_hitters"]["throughput_deepspeed"]) == (20, 29)
    assert (found["snapkv"]["speed_factor"], found["snapkv"]["memory_factor"]) == (3.6, 8.2)
    assert [row["kv_elements_per_token"] for row in found["mla"]["rows"]] == [110_600, 15_600, 860_200, 34_600]


def test_every_source_can_be_shown() -> None:
    for entry in published.published().values():
        assert entry.source.link
        assert entry.source.caveat


def test_an_unverified_source_is_refused(tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> None:
    document = yaml.safe_load(published.PATH.read_text(encoding="utf-8"))
    document["snapkv"]["source"]["confidence"] = "unverified"
    with pytest.raises(EvidenceError, match="cannot be shown"):
        published._read("snapkv", document["snapkv"])
    del document["snapkv"]["source"]
    with pytest.raises(EvidenceError, match="source is missing"):
        published._read("snapkv", document["snapkv"])
