"""Model types that nobody knows, read from the file's own keys, or refused by the key that leaves them open.

The shapes are the published ones: Spark-X2.5-4B (36 layers, three of four sliding over 512 tokens, 4 KV heads of 256)
and MiMo-V2-Flash (48 layers, the first and every sixth full with 4 KV heads, the others 8 over 128; keys 192, values
128 wide). Totals are hand arithmetic.
"""

from typing import Any

import pytest

from core.models.attention import GroupedAttention, LatentAttention
from core.models.spec import UnsupportedConfig, read_config

SPARK: dict[str, Any] = {
    "model_type": "spark2_5", "architectures": ["Spark2_5ForCausalLM"], "attention_bias": False, "head_dim": 256,
    "hidden_act": "gelu", "hidden_size": 2560, "initializer_range": 0.02, "intermediate_size": 9728,
    "layer_types": [*["sliding_attention"] * 3, "full_attention"] * 9, "max_position_embeddings": 1_048_576,
    "num_attention_heads": 16, "num_hidden_layers": 36, "num_key_value_heads": 4, "rms_norm_eps": 1e-6,
    "rope_parameters": {"full_attention": {"rope_theta": 5e6}, "sliding_attention": {"rope_theta": 1e4}},
    "sliding_window": 512, "sliding_window_pattern": 4, "headwise_attn_output_gate": True, "num_shared_experts": 1,
    "no_rope_layer_interval": 4, "tie_word_embeddings": True, "use_cache": True, "vocab_size": 131_072,
}  # fmt: skip
MIMO: dict[str, Any] = {
    "hidden_size": 4096, "num_hidden_layers": 48, "num_attention_heads": 64, "num_key_value_heads": 4, "head_dim": 192,
    "v_head_dim": 128, "swa_num_attention_heads": 64, "swa_num_key_value_heads": 8, "swa_head_dim": 192,
    "swa_v_head_dim": 128, "sliding_window": 128, "sliding_window_size": 128, "attention_chunk_size": 128,
    "hybrid_layer_pattern": [0, *[1] * 4, *[0, 1, 1, 1, 1, 1] * 7, 0], "hybrid_block_size": None, "swa_rope_theta": 1e4,
    "add_swa_attention_sink_bias": True, "attention_projection_layout": "fused_qkv", "n_shared_experts": None,
    "moe_layer_freq": [0, *[1] * 47], "attention_value_scale": 0.707, "vocab_size": 152_576,
}  # fmt: skip
LATENT: dict[str, Any] = {
    "model_type": "someone_v9", "hidden_size": 2048, "num_hidden_layers": 4, "num_attention_heads": 16,
    "num_key_value_heads": 16, "kv_lora_rank": 512, "q_lora_rank": 1536, "qk_rope_head_dim": 64,
    "qk_nope_head_dim": 128, "v_head_dim": 128, "vocab_size": 1000,
}  # fmt: skip


def test_a_list_of_kinds_and_a_width_for_each_are_enough() -> None:
    spec = read_config(SPARK)
    # 9 full layers of 1,024 tokens and 27 of 512: x 4 heads x 256 x (key, value) x 2 bytes
    assert spec.kv_cache_bytes(context_length=1024) == (9 * 1024 + 27 * 512) * 4 * 256 * 2 * 2
    assert spec.own_keys is not None
    assert spec.own_keys.used == (
        "head_dim", "layer_types", "num_attention_heads", "num_hidden_layers", "num_key_value_heads", "sliding_window",
    )  # fmt: skip
    assert set(spec.own_keys.used) | set(spec.own_keys.unused) | {"model_type"} == set(SPARK)


def test_the_reading_is_labelled_with_every_key() -> None:
    caution = read_config(SPARK).caution
    assert caution is not None
    assert caution.startswith("Read from the file's own keys; class not known: transformers 5.24 has no model_type")
    assert "Used: head_dim, layer_types, " in caution
    assert "headwise_attn_output_gate" in caution.split("Not used: ")[1]
    llama = {"model_type": "llama", "num_hidden_layers": 2}
    assert (read_config(llama).own_keys, read_config(llama).caution) == (None, None)


@pytest.mark.parametrize(("model_type", "window"), [("mimo_v2", 128), ("mimo_v2_flash", 129)])
def test_mimo_reads_its_pattern_and_its_second_set_of_heads(model_type: str, window: int) -> None:
    # transformers' class of mimo_v2_flash keeps sliding_window_size + 1; nothing knows mimo_v2 but its file
    layers = read_config(MIMO | {"model_type": model_type}).layers
    full = GroupedAttention(num_query_heads=64, num_kv_heads=4, head_dim=192, value_dim=128)
    sliding = GroupedAttention(num_query_heads=64, num_kv_heads=8, head_dim=192, value_dim=128, window=window)
    assert layers == (full, *[sliding] * 4, *[full, *[sliding] * 5] * 7, full)


def test_a_second_set_of_heads_may_differ_in_every_width() -> None:
    own = {"swa_num_attention_heads": 32, "swa_num_key_value_heads": 2, "swa_head_dim": 64, "swa_v_head_dim": 96}
    spec = read_config(MIMO | own | {"model_type": "mimo_v9"})
    assert spec.layers[1] == GroupedAttention(num_query_heads=32, num_kv_heads=2, head_dim=64, value_dim=96, window=128)
    assert spec.own_keys is not None
    assert set(own) <= set(spec.own_keys.used)


def test_a_latent_is_read_where_all_its_widths_stand() -> None:
    layer = read_config(LATENT).layers[0]
    assert isinstance(layer, LatentAttention)
    assert layer.cached_elements(10) == 10 * (512 + 64)
    with pytest.raises(UnsupportedConfig, match=r"^qk_nope_head_dim is absent .* Add qk_nope_head_dim to the file"):
        read_config({key: value for key, value in LATENT.items() if key != "qk_nope_head_dim"})


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"num_kv_shared_layers": 4}, r"^num_kv_shared_layers is 4 .* may change what the cache holds\. Take it out"),
        ({"index_topk": 2048}, "^index_topk is 2048 .* may change"),
        ({"n_recurrent_loops": 2}, "^n_recurrent_loops is 2 .* may change"),
        ({"mamba_d_state": 16}, "^mamba_d_state is 16 .* may change"),
        ({"layer_types": None}, r"^sliding_window is 512 .* Add layer_types, one entry per layer"),
        ({"layer_types": ["linear_attention"] * 36}, "it lists linear_attention, and what its state keeps is a class"),
        ({"layer_types": ["sliding_attention"] * 35}, "layer_types has 35 entries and the model 36 layers"),
        ({"sliding_window": None}, "^sliding_window is null: some layers are sliding attention and need it"),
        ({"sliding_window_size": 511}, "^sliding_window_size is 511: sliding_window says 512. Make both the same"),
        ({"use_sliding_window": False}, "^use_sliding_window is false: it switches the window off"),
        ({"hybrid_layer_pattern": [1] * 36}, "hybrid_layer_pattern is a list of 36: layer_types says other kinds"),
        ({"num_key_value_heads": None}, "^num_key_value_heads is null .* Add num_key_value_heads to the file"),
    ],
)
def test_a_key_that_could_change_the_bytes_refuses_the_file_by_name(changed: dict[str, Any], says: str) -> None:
    with pytest.raises(UnsupportedConfig, match=says):
        read_config(SPARK | changed)


def test_a_pattern_of_another_length_is_refused() -> None:
    with pytest.raises(UnsupportedConfig, match="48 entries of 0 or 1 are expected, one per layer"):
        read_config(MIMO | {"model_type": "mimo_v2", "hybrid_layer_pattern": [0, 1, 2]})


def test_keys_under_a_nested_part_are_named_with_their_path() -> None:
    spec = read_config({"model_type": "spark_vl", "vision_config": {"hidden_size": 8}, "text_config": SPARK})
    assert spec.own_keys is not None
    assert spec.own_keys.used[0] == "text_config.head_dim"


def test_a_nested_part_without_a_name_takes_that_of_its_file() -> None:
    inner = {key: value for key, value in SPARK.items() if key != "model_type"}
    spec = read_config({"model_type": "spark_vl", "text_config": inner})
    assert spec.layers == read_config(SPARK).layers
    assert spec.own_keys is not None
    assert spec.own_keys.model_type == "spark_vl"
