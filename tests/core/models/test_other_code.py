"""Files that borrow a model_type of transformers for code of their own, and keys of which a class makes nothing."""

from typing import Any

import pytest

from core.errors import SizingError
from core.models.attention import GroupedAttention
from core.models.spec import UnsupportedConfig, read_config
from core.serving.weights import analytic_count, count_of

# Grok-2, by the keys of the configs in SGLang's tests
GROK_2: dict[str, Any] = {
    "architectures": ["Grok1ForCausalLM"], "vocab_size": 131072, "hidden_size": 8192, "intermediate_size": 32768,
    "moe_intermediate_size": 16384, "max_position_embeddings": 131072, "num_experts_per_tok": 2, "num_local_experts": 8,
    "residual_moe": True, "num_attention_heads": 64, "num_key_value_heads": 8, "num_hidden_layers": 64, "head_dim": 128,
    "sliding_window_size": -1, "global_attn_every_n": 1, "model_type": "git",
}  # fmt: skip
# bigcode/santacoder: its own repository, before transformers had gpt_bigcode
SANTACODER: dict[str, Any] = {
    "architectures": ["GPT2LMHeadCustomModel"], "attention_head_type": "multiquery", "model_type": "gpt2",
    "auto_map": {"AutoConfig": "configuration_gpt2_mq.GPT2CustomConfig"}, "n_embd": 2048, "n_head": 16,
    "n_inner": 8192, "n_layer": 24, "n_positions": 2048, "vocab_size": 49280,
}  # fmt: skip
# MiniMax-M2 by MiniMaxM2Config in ModelCloud/GPTQModel, whose model_type is minimax: every layer is softmax attention
MINIMAX_M2: dict[str, Any] = {
    "architectures": ["MiniMaxM2ForCausalLM"], "attn_type_list": [1] * 62, "model_type": "minimax", "head_dim": 128,
    "auto_map": {"AutoConfig": "configuration_minimax_m2.MiniMaxM2Config"}, "hidden_size": 3072,
    "num_attention_heads": 48, "num_hidden_layers": 62, "num_key_value_heads": 8, "vocab_size": 200064,
}  # fmt: skip
NEOX: dict[str, Any] = {
    "model_type": "gpt_neox", "hidden_size": 6144, "num_attention_heads": 64, "num_hidden_layers": 44,
    "intermediate_size": 24576, "vocab_size": 50432, "num_key_value_heads": 8,
}  # fmt: skip


@pytest.mark.parametrize(
    ("config", "layers", "kv_heads", "declared"),
    [
        (GROK_2, 64, 8, "num_key_value_heads: 8"),
        (SANTACODER, 24, 1, 'attention_head_type: "multiquery"'),
        ({**SANTACODER, "attention_head_type": "multihead"}, 24, 16, 'attention_head_type: "multihead"'),
        (MINIMAX_M2, 62, 8, "num_key_value_heads: 8"),
    ],
    ids=["grok-2", "santacoder", "santacoder, all heads", "minimax-m2"],
)
def test_the_file_s_own_code_decides(config: dict[str, Any], layers: int, kv_heads: int, declared: str) -> None:
    spec = read_config(config)
    assert len(spec.layers) == layers
    assert {type(layer) for layer in spec.layers} == {GroupedAttention}
    assert {(layer.num_kv_heads, layer.head_dim) for layer in spec.layers if isinstance(layer, GroupedAttention)} == {
        (kv_heads, 128)
    }
    assert str(spec.declared_kv_heads) == declared


@pytest.mark.parametrize("config", [GROK_2, SANTACODER, MINIMAX_M2], ids=["grok-2", "santacoder", "minimax-m2"])
def test_no_parameters_are_added_up_of_the_class_whose_name_was_borrowed(config: dict[str, Any]) -> None:
    for count in (analytic_count, count_of):
        with pytest.raises(SizingError, match="would be added up in its place"):
            count(read_config(config))


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({**NEOX, "architectures": ["MyForCausalLM"]}, 'num_key_value_heads is 8: GPTNeoXConfig .* names "MyForCausal'),
        ({**NEOX, "auto_map": {"AutoConfig": "my.Config"}}, "num_key_value_heads is 8: GPTNeoXConfig .* auto_map is"),
        ({**SANTACODER, "architectures": ["X"]}, "attention_head_type is .multiquery.: GPT2Config knows no key"),
        ({**NEOX, "architectures": ["X"], "num_key_value_heads": 64, "multi_query": True}, "multi_query is true"),
        ({**NEOX, "model_type": "baichuan"}, "num_key_value_heads is 8: Baichuan's code knows no key"),
        ({**GROK_2, "sliding_window_size": 4096}, "sliding_window_size is 4096: which layers of Grok"),
        ({**GROK_2, "num_key_value_heads": 7}, "it does not divide the 64 query heads"),
        ({**SANTACODER, "attention_head_type": "grouped"}, "multiquery or multihead is expected"),
        ({**MINIMAX_M2, "attn_type_list": [1]}, "attn_type_list is a list of 1: 62 entries of 0 or 1"),
    ],
)
def test_what_other_code_may_read_is_refused_by_its_key(config: dict[str, Any], words: str) -> None:
    with pytest.raises(UnsupportedConfig, match=words):
        read_config(config)


@pytest.mark.parametrize("named", [{}, {"architectures": ["GPTNeoXForCausalLM"]}, {"architectures": ["GPTNeoXModel"]}])
def test_a_key_of_which_the_class_makes_nothing_declares_nothing(named: dict[str, Any]) -> None:
    """transformers builds 64 KV heads of it, whatever the key says."""
    spec = read_config({**NEOX, **named})
    (heads,) = [note for note in spec.provenance if note.figure == "num_kv_heads"]
    assert (spec.kind, heads.value, str(spec.declared_kv_heads)) == ("MHA", "64", "absent")
    assert heads.sentence.endswith("each query head has its own. It makes nothing of num_key_value_heads.")


def test_the_class_of_minimax_makes_nothing_of_the_list() -> None:
    """MiniMaxConfig alternates: of four layers two keep keys and values."""
    config = {**MINIMAX_M2, "num_hidden_layers": 4, "attn_type_list": [1] * 4, "architectures": ["MiniMaxForCausalLM"]}
    layers = read_config({key: value for key, value in config.items() if key != "auto_map"}).layers
    assert sum(isinstance(layer, GroupedAttention) for layer in layers) == 2
