"""All that grows with the context beside keys and values: index keys, compressed entries, compressor buffers.

The byte totals are what transformers 5.23.0 held after a forward of batch 2 over the tokens named, in bfloat16, on the
meta device (GLM-5.3-Flash: on the CPU), every storage once and windows filled up to min(tokens, window).
"""

from typing import Any

import pytest

from core.models.attention import CompressedAttention, GroupedAttention, LatentAttention, SharedCache
from core.models.spec import UnsupportedConfig, read_config

MLA: dict[str, Any] = {
    "hidden_size": 128, "num_hidden_layers": 6, "num_attention_heads": 8, "num_key_value_heads": 8, "kv_lora_rank": 40,
    "q_lora_rank": 32, "qk_nope_head_dim": 16, "qk_rope_head_dim": 8, "v_head_dim": 24, "index_head_dim": 16,
    "index_n_heads": 4, "index_topk": 8, "vocab_size": 128,
}  # fmt: skip
V4: dict[str, Any] = {
    "model_type": "deepseek_v4", "hidden_size": 64, "num_hidden_layers": 4, "num_attention_heads": 4, "head_dim": 32,
    "q_lora_rank": 16, "index_n_heads": 2, "index_head_dim": 16, "index_topk": 4, "sliding_window": 8,
}  # fmt: skip


@pytest.mark.parametrize(
    ("config", "kv_bytes", "all_bytes"),
    [
        ({"model_type": "deepseek_v32"}, 46_080, 61_440),
        ({"model_type": "axk2"}, 46_080, 61_440),
        ({"model_type": "glm_moe_dsa"}, 46_080, 61_440),
        ({"model_type": "glm_moe_dsa", "index_topk_freq": 3, "index_skip_topk_offset": 1}, 46_080, 51_200),
        ({"model_type": "glm_moe_dsa", "index_topk_pattern": "FSSFFS"}, 46_080, 53_760),
        ({"model_type": "hy_v4"}, 46_080, 53_760),
        ({"model_type": "mistral_large4_text"}, 44_800, 60_160),
        (
            {
                "model_type": "mistral_large4_text",
                "kv_source_layers": [0, 0, 2, 3, 4, 4],
                "indexer_types": ["full", "full", "full", "shared", "full", "full"],
            },
            29_440,
            42_240,
        ),
        (
            {
                "model_type": "glm5_next_text",
                "num_hidden_layers": 4,
                "qk_rope_head_dim": 0,
                "index_kpool": 4,
                "linear_head_dim": 8,
                "linear_num_heads": 4,
            },
            6_400,
            11_680,
        ),
    ],
)
def test_index_keys_are_counted_where_a_class_keeps_them(config: dict[str, Any], kv_bytes: int, all_bytes: int) -> None:
    spec = read_config(MLA | config)
    assert spec.kv_cache_bytes(context_length=40, batch_size=2) == kv_bytes
    assert spec.cache_bytes(context_length=40, batch_size=2) == all_bytes


@pytest.mark.parametrize(
    ("config", "totals"),
    [
        ({"compress_ratios": [0, 4, 128, 4]}, {3: 7_296, 41: 24_064, 300: 48_512}),
        (
            {"compress_rates": {"compressed_sparse_attention": 3, "heavily_compressed_attention": 7}},
            {3: 5_184, 41: 15_808, 300: 45_184},
        ),
        ({"compress_ratios": [0, 0, 4, 128], "sliding_window": 3}, {3: 5_376, 41: 17_024, 300: 29_760}),
        ({"compress_ratios": [128, 128, 4, 4], "sliding_window": 130}, {3: 7_680, 41: 50_432, 300: 121_472}),
        ({"compress_ratios": [4, 0, 4, 0]}, {3: 6_912, 41: 14_592, 300: 38_016}),
        (
            {
                "compress_ratios": [4, 128, 128, 4, 0],
                "compress_rate_csa": 6,
                "compress_rate_hca": 10,
                "num_key_value_heads": 2,
            },
            {3: 7_680, 41: 20_224, 300: 35_584},
        ),
    ],
)
def test_deepseek_v4_keeps_a_window_and_compressed_entries(config: dict[str, Any], totals: dict[int, int]) -> None:
    spec = read_config(V4 | config)
    assert {tokens: spec.cache_bytes(context_length=tokens, batch_size=2) for tokens in totals} == totals


@pytest.mark.parametrize("kv_heads", [0, 3])
def test_deepseek_v4_has_one_kv_head_whatever_the_file_says(kv_heads: int) -> None:
    # the class never reads the number: the cache is the one above, with one KV head
    spec = read_config(V4 | {"compress_ratios": [0, 4, 128, 4], "num_key_value_heads": kv_heads})
    assert spec.cache_bytes(context_length=41, batch_size=2) == 24_064
    assert spec.declared_kv_heads.value == kv_heads
    with pytest.raises(UnsupportedConfig, match="num_key_value_heads is null: DeepseekV4Config takes no null here"):
        read_config(V4 | {"num_key_value_heads": None})


def test_the_parts_of_a_cache_are_named_and_add_up() -> None:
    spec = read_config(V4 | {"compress_ratios": [0, 4, 128, 4]})
    # 41 tokens: window 8 x (64 + 3 x 32); entries 2 x 10 x 32 + 0 x 32; index keys 2 x 10 x 16; the layers with
    # an index hold 1 token x 4 x (32 + 16) and 4 tokens x 2 x (32 + 16), the other one 41 tokens x 2 x 32
    assert spec.cache_parts(context_length=41) == {
        "keys and values": 2 * 1_280,
        "index keys": 2 * 320,
        "compressed entries": 2 * 640,
        "compressor buffers": 2 * (2 * (192 + 384) + 2_624),
    }
    assert sum(spec.cache_parts(context_length=41).values()) == spec.cache_bytes(context_length=41)


def test_a_step_reads_every_index_key_and_few_latents() -> None:
    spec = read_config(MLA | {"model_type": "deepseek_v32"})
    # 6 layers: 40 tokens x 16 index elements, and 8 tokens of 48 latent elements, 2 bytes each
    assert spec.cache_read_bytes(context_length=40) == 6 * (40 * 16 + 8 * 48) * 2
    assert spec.cache_read_bytes(context_length=5) == spec.cache_bytes(context_length=5) == 6 * 5 * (16 + 48) * 2


def test_a_compressed_layer_reads_its_window_all_index_keys_and_few_entries() -> None:
    layer = CompressedAttention(
        num_query_heads=4, head_dim=32, window=8, compress_rate=4, index_key_dim=16, index_topk=4
    )
    assert layer.read_bytes(300, 2) == (8 * 32 + 75 * 16 + 4 * 32) * 2
    assert CompressedAttention(num_query_heads=4, head_dim=32, window=8, compress_rate=128).read_bytes(300, 2) == (
        (8 * 32 + 2 * 32) * 2
    )


def test_a_layer_says_what_its_index_keeps_and_chooses() -> None:
    layers = read_config(MLA | {"model_type": "hy_v4"}).layers
    assert [(layer.index_key_dim, layer.index_topk) for layer in layers if isinstance(layer, LatentAttention)] == [
        (16, 8), (16, 8), (None, 8), (None, 8), (None, 8), (16, 8),
    ]  # fmt: skip


def test_a_layer_that_shares_its_latent_may_keep_an_index_of_its_own() -> None:
    spec = read_config(MLA | {"model_type": "mistral_large4_text", "kv_source_layers": [0, 0, 2, 3, 4, 4]})
    assert spec.layers[1] == SharedCache(source_layer=0, num_query_heads=8, num_kv_heads=1, index_key_dim=16)
    assert spec.layers[1].read_bytes(40, 2) == 40 * 16 * 2


def test_minimax_m3_indexes_its_sparse_layers() -> None:
    config = {
        "model_type": "minimax_m3_vl_text", "hidden_size": 128, "num_hidden_layers": 3, "num_attention_heads": 8,
        "num_key_value_heads": 2, "head_dim": 16, "vocab_size": 128, "index_head_dim": 99,
        "sparse_attention_config": {
            "sparse_attention_freq": [0, 1, 1], "sparse_index_dim": 16, "sparse_block_size": 8, "sparse_topk_blocks": 2,
        },
    }  # fmt: skip
    spec = read_config(config)
    assert spec.cache_bytes(context_length=40, batch_size=2) == 35_840
    assert isinstance(spec.layers[1], GroupedAttention)
    assert (spec.layers[1].index_key_dim, spec.layers[1].index_topk) == (16, 16)


def test_dots3_keeps_its_index_keys_in_float32() -> None:
    layer = LatentAttention(num_query_heads=8, latent_dim=40, rope_dim=8, index_key_dim=16, index_key_in_float32=True)
    assert layer.side_bytes(40, 2) == {"index keys": 40 * 16 * 4}
    assert layer.side_bytes(40, 1) == {"index keys": 40 * 16 * 4}


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"model_type": "glm_moe_dsa", "indexer_types": ["full"]}, "indexer_types is a list of 1: 6 entries"),
        ({"model_type": "glm_moe_dsa", "indexer_types": ["half"] * 6}, 'its entry "half" is neither'),
        ({"model_type": "glm_moe_dsa", "index_topk_pattern": "SFFFFF"}, "index_topk_pattern is .* no earlier layer"),
        ({"model_type": "deepseek_v32", "index_head_dim": None}, "index_head_dim is null: DeepseekV32Config takes no"),
        (V4 | {"compress_ratios": [0, 4, 8, 4]}, "compress_ratios is a list of 4: at least 4 entries of 0, 4 or 128"),
        (V4 | {"layer_types": ["full_attention"] * 4}, "layer_types is a list of 4: its entries have to be"),
        (V4 | {"compress_rates": {"heavily_compressed_attention": 0}}, "compress_rates.heavily_compressed_attention"),
    ],
)
def test_what_an_index_leaves_open_is_refused_by_name(config: dict[str, Any], words: str) -> None:
    with pytest.raises(UnsupportedConfig, match=words):
        read_config(MLA | config)
