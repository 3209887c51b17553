"""What a class makes of a list, a window or a count that the file gives: as transformers 5.23 and 5.24 build it.

Each expectation was seen on the configuration class itself and on the layers that DynamicCache builds from it.
"""

from typing import Any

import pytest

from core.models.attention import GroupedAttention, LatentAttention, ParallelLayer
from core.models.spec import UnsupportedConfig, read_config

SMALL: dict[str, Any] = {"hidden_size": 128, "num_hidden_layers": 3, "num_attention_heads": 8, "vocab_size": 128}


def windows(config: dict[str, Any]) -> list[int | None]:
    return [layer.window for layer in read_config(config).layers if isinstance(layer, GroupedAttention)]


@pytest.mark.parametrize("model_type", ["gemma4_text", "gemma4_unified_text"])
def test_gemma_4_makes_its_last_layer_full_whatever_the_list_says(model_type: str) -> None:
    kinds = {"layer_types": ["sliding_attention"] * 3, "sliding_window": 16, "head_dim": 16, "num_key_value_heads": 2}
    assert windows(SMALL | kinds | {"model_type": model_type}) == [16, 16, None]


@pytest.mark.parametrize(
    ("extra", "index_key_dims"),
    [({}, [16, 16]), ({"use_dsa": False}, [None, None]), ({"per_layer_config": None}, [None, None])],
)
def test_dots3_reads_listed_full_layers_as_indexed_unless_told_otherwise(
    extra: dict[str, Any], index_key_dims: list[int | None]
) -> None:
    config = SMALL | {
        "model_type": "dots3_note_text", "num_hidden_layers": 2, "kv_lora_rank": 40, "qk_rope_head_dim": 8,
        "qk_nope_head_dim": 16, "v_head_dim": 24, "index_head_dim": 16, "layer_types": ["full_attention"] * 2,
    }  # fmt: skip
    layers = read_config(config | extra).layers
    assert [layer.index_key_dim for layer in layers if isinstance(layer, LatentAttention)] == index_key_dims


def test_longcat_counts_two_attention_layers_a_block_under_either_name() -> None:
    config = {"model_type": "longcat_flash", "hidden_size": 128, "num_attention_heads": 8, "vocab_size": 128}
    assert len(read_config(config | {"num_layers": 3}).layers) == 6
    assert len(read_config(config | {"num_layers": 3, "num_hidden_layers": 8}).layers) == 8


def test_one_layer_may_slide_where_no_list_names_kinds() -> None:
    config = SMALL | {"model_type": "qwen3_moe", "head_dim": 16, "num_key_value_heads": 2}
    assert windows(config | {"per_layer_config": {"1": {"sliding_window": 5}}}) == [None, 5, None]


def test_a_null_flag_of_falcon_is_false() -> None:
    config = SMALL | {"model_type": "falcon"}
    # 8 heads of 16: all of them without multi-query, one with it
    assert read_config(config | {"multi_query": None}).kv_bytes_per_token() == 3 * 8 * 16 * 2 * 2
    assert read_config(config | {"new_decoder_architecture": None}).kv_bytes_per_token() == 3 * 16 * 2 * 2


def test_listed_sliding_layers_with_the_window_switched_off_are_refused_by_the_switch() -> None:
    config = SMALL | {
        "model_type": "qwen2",
        "num_key_value_heads": 2,
        "sliding_window": 16,
        "layer_types": ["sliding_attention"] * 3,
    }
    with pytest.raises(UnsupportedConfig, match=r"use_sliding_window is false .* switches the window off"):
        read_config(config)
    assert windows(config | {"use_sliding_window": True}) == [16, 16, 16]


def test_a_model_that_reads_another_ones_cache_is_refused_by_its_outer_name() -> None:
    config = {"model_type": "gemma4_unified_assistant", "text_config": {"model_type": "gemma4_unified_text"}}
    with pytest.raises(UnsupportedConfig, match=r"it reads the cache of .* config\.json of the model that it ass"):
        read_config(config)


def test_jetmoe_turns_pairs_of_elements() -> None:
    """Of a head of one element its rotary makes two keys in transformers 5.24 (960 bytes a layer of 40 tokens held, 640
    by the file); three do not build."""
    config = SMALL | {"model_type": "jetmoe", "num_key_value_heads": 2}
    assert len(read_config(config | {"kv_channels": 16}).layers) == 3
    for odd in (1, 3):
        with pytest.raises(UnsupportedConfig, match=f"kv_channels is {odd}: .* an even number is needed"):
            read_config(config | {"kv_channels": odd})


def test_heads_of_some_layers_left_to_the_class_are_no_other_tools_name() -> None:
    spec = read_config(SMALL | {"model_type": "inkling_text", "num_key_value_heads": 2, "head_dim": 16})
    assert len(spec.layers) == 3


def test_a_stray_chunk_or_share_counts_as_the_class_and_its_cache_take_it() -> None:
    # DynamicCache infers chunked layers from any attention_chunk_size; sharing caches is a property of Gemma's classes
    config = SMALL | {"model_type": "llama", "attention_chunk_size": 16}
    assert windows(config) == [16, 16, 16]
    assert windows(config | {"sliding_window": 7}) == [7, 7, 7]
    assert windows(SMALL | {"model_type": "llama", "num_kv_shared_layers": 2}) == [None, None, None]
    shared = {"model_type": "ministral", "sliding_window": None, "num_key_value_heads": 8, "head_dim": 16}
    assert windows(SMALL | shared | {"num_kv_shared_layers": 2}) == [None, None, None]
    assert windows({"model_type": "gpt_neo", "num_layers": 2, "attention_chunk_size": 16}) == [16, 16]
    assert windows({"model_type": "gpt_neo", "num_layers": 2}) == [None, None]


NESTED: dict[str, Any] = {**SMALL, "num_key_value_heads": 2, "head_dim": 24}


def test_nemotron_omni_takes_its_language_model_from_under_the_older_name_too() -> None:
    hybrid = NESTED | {"model_type": "nemotron_h", "layers_block_type": ["mamba", "attention", "attention"]}
    older = read_config({"model_type": "nemotron_h_omni", "llm_config": hybrid})
    # 2 attention layers x 2 KV heads x (24 + 24) x 2 bytes
    assert older.kv_bytes_per_token() == 384
    both = read_config({"model_type": "nemotron_h_omni", "llm_config": NESTED, "text_config": hybrid})
    assert both.kv_bytes_per_token() == 384


@pytest.mark.parametrize("key", ["language_config", "llm_config"])
def test_a_class_that_does_not_look_under_another_name_is_not_read_from_there(key: str) -> None:
    with pytest.raises(UnsupportedConfig, match=rf"{key}.hidden_size stands where LlamaConfig does not look"):
        read_config({"model_type": "deepseek_vl", key: NESTED})


def test_step_3_slides_on_the_layers_that_its_list_names_alone() -> None:
    text = NESTED | {"sliding_window": 16}
    assert windows({"model_type": "step3p7", "text_config": text}) == [None, None, None]
    listed = text | {"layer_types": ["full_attention", "sliding_attention", "sliding_attention"]}
    spec = read_config(
        {"model_type": "step3p7", "text_config": listed | {"attention_other_setting": {"num_attention_heads": 12}}}
    )
    assert [layer.window for layer in spec.layers if isinstance(layer, GroupedAttention)] == [None, 16, 16]
    # sliding layers have more query heads on the same KV heads
    assert [layer.num_query_heads for layer in spec.layers if isinstance(layer, GroupedAttention)] == [8, 12, 12]
    assert {layer.num_kv_heads for layer in spec.layers if isinstance(layer, GroupedAttention)} == {2}


def test_ministral_derives_its_list_so_that_a_chunk_says_nothing() -> None:
    ministral = NESTED | {"model_type": "ministral", "sliding_window": None, "attention_chunk_size": 5}
    assert windows(ministral) == [None, None, None]
    assert windows(ministral | {"sliding_window": 7}) == [7, 7, 7]


@pytest.mark.parametrize("model_type", ["qwen2_vl_text", "qwen2_5_vl_text"])
def test_a_null_switch_of_qwen_vl_is_off(model_type: str) -> None:
    text = NESTED | {"model_type": model_type, "sliding_window": 16, "max_window_layers": 0}
    assert windows(text | {"use_sliding_window": True}) == [16, 16, 16]
    assert windows(text | {"use_sliding_window": None}) == [None, None, None]
    assert windows(text | {"use_sliding_window": False, "max_window_layers": None}) == [None, None, None]


def test_inkling_slides_on_the_layers_that_local_layer_ids_lists() -> None:
    text = SMALL | {"model_type": "inkling_text", "num_hidden_layers": 4, "sliding_window_size": 16}
    widths = {"head_dim": 24, "swa_head_dim": 24, "num_attention_heads": 8, "swa_num_attention_heads": 8}
    heads = {"num_key_value_heads": 2, "swa_num_key_value_heads": 4}

    def kept(config: dict[str, Any]) -> list[int | None]:
        layers = read_config(config).layers
        return [layer.attention.window for layer in layers if isinstance(layer, ParallelLayer)]

    assert kept(text | widths | heads) == [16, 16, 16, 16]
    assert kept(text | widths | heads | {"local_layer_ids": [0, 2]}) == [16, None, 16, None]
    assert kept(text | widths | heads | {"local_layer_ids": []}) == [None, None, None, None]


@pytest.mark.parametrize("model_type", ["inkling_text", "inkling2_text"])
def test_inkling_takes_its_sliding_heads_beside_a_list_of_layers_and_gemma_4_does_not(model_type: str) -> None:
    """Inkling's own code reads the swa_ keys; Gemma 4's class writes its wide heads as per_layer_config, unless the
    file has that key, null too. Bytes as transformers 5.24 held them on the meta device."""

    def kept(config: dict[str, Any], listed: Any) -> list[tuple[int, int | None]]:
        layers = read_config(config | {"per_layer_config": listed}).layers
        plain = [layer.attention if isinstance(layer, ParallelLayer) else layer for layer in layers]
        return [(layer.head_dim, layer.window) for layer in plain if isinstance(layer, GroupedAttention)]

    inkling = SMALL | {"model_type": model_type, "num_hidden_layers": 6, "num_key_value_heads": 2, "head_dim": 24}
    inkling |= {"sliding_window_size" if model_type == "inkling_text" else "sliding_window": 16}
    assert kept(inkling, {}) == [(128, 16)] * 5 + [(24, None)]
    assert kept(inkling, {"0": {"sliding_window": 7}})[:2] == [(128, 7), (128, 16)]
    gemma = SMALL | {"model_type": "gemma4_text", "sliding_window": 16, "head_dim": 16, "num_key_value_heads": 2}
    gemma |= {"num_hidden_layers": 6}
    for listed in ({}, None):
        assert kept(gemma, listed) == [(16, 16)] * 5 + [(16, None)]
    assert read_config(gemma).layers[-1] == GroupedAttention(
        num_query_heads=8, num_kv_heads=2, head_dim=512, value_dim=512
    )


@pytest.mark.parametrize("model_type", ["mistral", "mixtral", "minimax", "moshi", "starcoder2"])
def test_a_head_width_of_zero_is_none_where_the_class_takes_it_so(model_type: str) -> None:
    layers = read_config(SMALL | {"model_type": model_type, "num_key_value_heads": 2, "head_dim": 0}).layers
    assert {layer.head_dim for layer in layers if isinstance(layer, GroupedAttention)} == {16}  # 128 / 8
    with pytest.raises(UnsupportedConfig, match="head_dim is 0: the number has to lie between 1"):
        read_config(SMALL | {"model_type": "llama", "head_dim": 0})  # its class does not run


@pytest.mark.parametrize("model_type", ["exaone_moe", "kyutai_speech_to_text", "moshi"])
def test_a_window_of_null_is_refused_where_the_class_takes_a_number_alone(model_type: str) -> None:
    config = SMALL | {"model_type": model_type, "num_key_value_heads": 2}
    assert windows(config | {"sliding_window": 16}) == [16] * 3
    with pytest.raises(UnsupportedConfig, match=r"sliding_window is null: \w+ takes no null here\. Give a value"):
        read_config(config | {"sliding_window": None})
    assert windows(SMALL | {"model_type": "mistral", "sliding_window": None}) == [None] * 3  # its class takes null


@pytest.mark.parametrize(("model_type", "field"), [("jetmoe", "head_dim"), ("bailing_hybrid", "kv_lora_rank")])
def test_a_layers_own_width_is_refused_where_the_class_has_one_for_all(model_type: str, field: str) -> None:
    config = SMALL | {"model_type": model_type, "per_layer_config": {"2": {field: 32}}}
    with pytest.raises(
        UnsupportedConfig, match=f"per_layer_config is .* reads {field} once for all layers, and layer 2"
    ):
        read_config(config)
    assert len(read_config(config | {"per_layer_config": {"2": {"vocab_size": 9}}}).layers) == 3


# Each null that its own class of transformers 5.24 (and 5.23) refuses: "Field 'head_dim' expected int, got NoneType"
@pytest.mark.parametrize(
    ("model_type", "key", "name"),
    [
        ("laguna", "sliding_window", "LagunaConfig"),
        ("gemma2", "head_dim", "Gemma2Config"),
        ("exaone_moe", "num_experts", "ExaoneMoeConfig"),
        ("gpt2", "n_embd", "GPT2Config"),
        ("qwen3_moe", "num_experts", "Qwen3MoeConfig"),
    ],
)
def test_null_is_refused_where_the_field_of_the_class_takes_none(model_type: str, key: str, name: str) -> None:
    config = SMALL | {"model_type": model_type, key: None}
    with pytest.raises(UnsupportedConfig) as refused:
        read_config(config)
    assert str(refused.value) == f"{key} is null: {name} takes no null here. Give a value, or leave it out."


def test_exaone_without_a_window_needs_its_list_of_layers() -> None:
    """Exaone4Config divides by 0 there; EXAONE-4.0-1.2B ships null beside a list."""
    config = SMALL | {"model_type": "exaone4", "num_key_value_heads": 2, "sliding_window": None}
    assert windows(config | {"layer_types": ["full_attention"] * 3}) == [None] * 3
    with pytest.raises(UnsupportedConfig, match=r"sliding_window is null: .*Give a window, or layer_types"):
        read_config(config)
    with pytest.raises(UnsupportedConfig, match="sliding_window_pattern is null: Exaone4Config counts by it"):
        read_config(config | {"sliding_window": 16, "sliding_window_pattern": None})


def test_qwen4_takes_one_head_of_index_keys_alone() -> None:
    """ "Qwen4-Exp QSA requires indexer_kv_heads=1." (Qwen4ExpTextConfig)"""
    config = SMALL | {"model_type": "qwen4_exp_text", "num_key_value_heads": 2, "num_hidden_layers": 4} | {
        "indexer_n_heads": 4, "indexer_kv_heads": 1, "indexer_head_dim": 32, "indexer_budget": 8,
        "indexer_compress_ratio": 1,
    }  # fmt: skip
    # one layer of four attends; keys and values of 2 heads of the class's width, and one index key of 32
    assert read_config(config).cache_parts(context_length=10, bytes_per_element=2)["index keys"] == 10 * 32 * 2
    with pytest.raises(UnsupportedConfig, match="indexer_kv_heads is 2: Qwen4ExpTextConfig takes 1 alone"):
        read_config(config | {"indexer_kv_heads": 2})
