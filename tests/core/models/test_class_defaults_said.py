"""Class defaults are never silent: figures elsewhere in a file are refused by name, a file without any is marked.

The defaults are those of transformers 5.23 and 5.24: LlamaConfig has 32 layers of 32 heads, 4,096 wide.
"""

from typing import Any

import pytest

from core.models.spec import UnsupportedConfig, read_config

MLC = {
    "model_type": "llama", "quantization": "q4f16_1", "vocab_size": 128_256, "context_window_size": 8_192,
    "model_config": {"hidden_size": 4_096, "num_hidden_layers": 32, "num_attention_heads": 32},
}  # fmt: skip
LLAVA = {
    "model_type": "llava",
    "text_config": {"model_type": "llama", "max_position_embeddings": 4_096, "vocab_size": 32_064},
    "vision_config": {"hidden_size": 1_024, "num_hidden_layers": 24, "num_attention_heads": 16},
}


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (MLC, "model_config.hidden_size stands where LlamaConfig does not look.* Move the numbers to the top level"),
        (
            {"model_type": "mistral", "num_hidden_layers": 3, "attention": {"num_heads": 4, "num_kv_heads": 1}},
            "attention.num_heads stands where MistralConfig does not look, and nothing at the top level says its heads",
        ),
        (LLAVA | {"hidden_size": 2_048, "num_hidden_layers": 12}, "under text_config says its width"),
        (
            {"model_type": "llama", "n_layers": 16, "dim": 2_048, "n_heads": 32},
            "n_layers is 16, a name that LlamaConfig does not read.* Write num_hidden_layers instead",
        ),
    ],
    ids=["an object of another tool", "some numbers of it", "beside the nested part", "names of another tool"],
)
def test_figures_where_the_class_does_not_look_are_refused_by_name(config: dict[str, Any], words: str) -> None:
    with pytest.raises(UnsupportedConfig, match=words):
        read_config(config)


@pytest.mark.parametrize("config", [LLAVA, {"model_type": "llama"}, {"model_type": "llama", "vocab_size": 32_000}])
def test_a_file_without_any_figure_is_read_as_its_class_and_says_so(config: dict[str, Any]) -> None:
    spec = read_config(config)
    assert spec.all_defaulted
    assert spec.kv_bytes_per_token() == 2 * 32 * 32 * 128 * 2
    assert spec.caution is not None
    assert "defaults of llama in transformers" in spec.caution


@pytest.mark.parametrize(
    "config",
    [
        {"model_type": "llama", "num_hidden_layers": 2},
        {"model_type": "mamba", "state_size": 8},
        {"model_type": "deepseek_v3", "kv_lora_rank": 64},
        LLAVA | {"text_config": {"model_type": "llama", "num_key_value_heads": 8}},
    ],
)
def test_one_figure_of_the_shape_is_enough(config: dict[str, Any]) -> None:
    spec = read_config(config)
    assert (spec.all_defaulted, spec.caution, spec.remarks) == (False, None, ())


def test_remarks_are_the_caution_and_the_width_that_the_file_states() -> None:
    quantised = {"quantization_config": {"kv_cache_scheme": {"num_bits": 8, "type": "float"}}}
    spec = read_config({"model_type": "llama"} | quantised)
    assert spec.remarks == (
        spec.caution,
        "Cache width: quantization_config.kv_cache_scheme.num_bits in the file says 8: 8 bits an element.",
    )


def test_objects_that_say_nothing_of_the_text_do_not_stand_in_the_way() -> None:
    """A tower, a draft and a quantisation beside a language model, whatever numbers they hold."""
    shape = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
    beside = {"vision_tower": shape, "quantization_config": {"head_dim": 16, "dim": 2}, "draft": shape | {"n_layer": 1}}
    spec = read_config({"model_type": "llama", **shape, **beside})
    assert spec.kv_bytes_per_token() == 2 * 2 * 4 * 16 * 2


def test_a_saved_file_numbers_its_layers_with_leading_zeros() -> None:
    """transformers writes per_layer_config so ("02"); the key is named as the file has it."""
    shape = {"hidden_size": 64, "num_hidden_layers": 4, "num_attention_heads": 4}
    spec = read_config({"model_type": "llama", **shape, "per_layer_config": {"02": {"num_key_value_heads": 2}}})
    assert str(spec.declared_kv_heads) == "per_layer_config.02.num_key_value_heads: 2"
    assert spec.kv_bytes_per_token() == (3 * 4 + 2) * 2 * 16 * 2
