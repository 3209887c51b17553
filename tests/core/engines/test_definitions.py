"""Three ways of counting one cache, against hand arithmetic. The measured ones: test_model_spec_measured."""

import pytest

from core.engines.definitions import definitions, engine_reserved, transformers_stored
from core.models.attention import GroupedAttention, LatentAttention, Layer, NoAttention
from core.models.spec import ModelDimensions, ModelSpec


def spec_of(*layers: Layer) -> ModelSpec:
    return ModelSpec(model_type="x", layers=layers, dimensions=ModelDimensions(hidden_size=1))


def grouped(kv: int, window: int | None = None, *, broadcast: bool = False) -> GroupedAttention:
    return GroupedAttention(
        num_query_heads=32,
        num_kv_heads=kv,
        head_dim=128,
        value_dim=128,
        window=window,
        broadcast_when_stored=broadcast,
    )


LATENT = LatentAttention(num_query_heads=128, latent_dim=512, rope_dim=64, expanded_key_dim=192, expanded_value_dim=128)


def test_whole_blocks_are_reserved() -> None:
    # 100 tokens take 7 blocks of 16 = 112 tokens; 8 heads x 256 x 2 bytes = 4,096 bytes a token
    reserved = engine_reserved(spec_of(grouped(8)), context_length=100)
    assert reserved.total_bytes == 112 * 4_096
    assert reserved.reason == "Each sequence takes whole blocks of 16 tokens in every layer."
    assert engine_reserved(spec_of(grouped(8)), context_length=112, block_size=16).total_bytes == 112 * 4_096
    assert engine_reserved(spec_of(grouped(8)), context_length=100, block_size=1).total_bytes == 100 * 4_096


def test_a_full_window_touches_one_block_more() -> None:
    # window 64 = 4 blocks, + 1 = 80 tokens; a context of 20 needs 2 blocks and never 5
    reserved = engine_reserved(spec_of(grouped(8, window=64)), context_length=10_000)
    assert reserved.total_bytes == 80 * 4_096
    assert "one block more" in reserved.reason
    assert engine_reserved(spec_of(grouped(8, window=64)), context_length=20).total_bytes == 32 * 4_096


def test_kv_heads_repeat_when_ranks_outnumber_them() -> None:
    # 2 heads over 8 ranks: each rank keeps one, 8 in all: four times the payload of 160 tokens
    spec = spec_of(grouped(2))
    reserved = engine_reserved(spec, context_length=160, tensor_parallel=8)
    assert reserved.total_bytes == 4 * spec.kv_cache_bytes(context_length=160)
    assert "8 ranks share 2 KV heads" in reserved.reason
    # 8 heads over 2 ranks are split, not copied
    eight = spec_of(grouped(8))
    assert engine_reserved(eight, context_length=160, tensor_parallel=2).total_bytes == eight.kv_cache_bytes(
        context_length=160
    )


def test_the_latent_is_whole_on_every_rank() -> None:
    # 576 x 2 bytes x 160 tokens x 8 ranks
    reserved = engine_reserved(spec_of(LATENT), context_length=160, tensor_parallel=8)
    assert reserved.total_bytes == 576 * 2 * 160 * 8
    assert "all 8 ranks keep it whole" in reserved.reason


def test_a_split_that_no_engine_makes_is_refused() -> None:
    with pytest.raises(ValueError, match="tensor_parallel is 3 and a layer has 8 KV heads"):
        engine_reserved(spec_of(grouped(8)), context_length=16, tensor_parallel=3)


def test_transformers_keeps_one_token_less_than_the_window() -> None:
    # 4,096 bytes a token: window 64 keeps 63 once it is full, everything before
    spec = spec_of(grouped(8, window=64), grouped(8))
    assert transformers_stored(spec, context_length=10).total_bytes == 2 * 10 * 4_096
    stored = transformers_stored(spec, context_length=1_000)
    assert stored.total_bytes == (63 + 1_000) * 4_096
    assert "window - 1 tokens" in stored.reason


def test_falcons_new_architecture_is_stored_per_query_head() -> None:
    stored = transformers_stored(spec_of(grouped(8, broadcast=True)), context_length=100)
    assert stored.total_bytes == 4 * 100 * 4_096  # 32 heads instead of 8
    assert "every query head" in stored.reason


def test_mla_is_stored_compressed_or_multiplied_out() -> None:
    # 576 values a token; expanded 128 heads x (192 + 128) = 40,960 (DeepSeek-V3: 71 times as much)
    assert transformers_stored(spec_of(LATENT), context_length=10).total_bytes == 576 * 10 * 2
    expanded = transformers_stored(spec_of(LATENT), context_length=10, expanded_latent=True)
    assert (expanded.total_bytes, expanded.name) == (40_960 * 10 * 2, "transformers 4.57")


def test_the_three_stand_side_by_side() -> None:
    names = [
        (item.name, item.total_bytes)
        for item in definitions(spec_of(grouped(8, window=64), NoAttention(reason="x")), context_length=100)
    ]
    assert names == [
        ("payload", 64 * 4_096),
        ("engine-reserved", 80 * 4_096),
        ("transformers 5.23", 63 * 4_096),
    ]
