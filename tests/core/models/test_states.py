"""Constant states: what a class keeps whatever the context, each in its own width.

Bytes that transformers 5.23.0 held, batch 2, bfloat16 (Qwen4-Exp after a forward on the CPU, others on meta).
"""

from typing import Any

import pytest

from core.models.attention import RecurrentState
from core.models.spec import UnsupportedConfig, read_config

QWEN4: dict[str, Any] = {
    "model_type": "qwen4_exp_text", "hidden_size": 128, "num_hidden_layers": 6, "num_attention_heads": 8,
    "num_key_value_heads": 2, "head_dim": 24, "linear_num_key_heads": 4, "linear_num_value_heads": 8,
    "linear_key_head_dim": 8, "linear_value_head_dim": 12, "indexer_n_heads": 4, "indexer_kv_heads": 1,
    "indexer_head_dim": 32, "indexer_budget": 8, "indexer_compress_ratio": 1, "vocab_size": 128,
}  # fmt: skip
MAMBA: dict[str, Any] = {
    "model_type": "mamba", "hidden_size": 128, "num_hidden_layers": 3, "state_size": 8, "conv_kernel": 4, "expand": 2,
    "vocab_size": 128,
}  # fmt: skip


def test_mamba_takes_intermediate_size_from_the_file_before_expand() -> None:
    # 3 layers x 2 sequences: channels x 4 taps x 2 bytes, channels x 8 x 4 bytes in float32
    assert read_config(MAMBA).state_bytes(batch_size=2) == 3 * 2 * 256 * (4 * 2 + 8 * 4)
    assert read_config(MAMBA | {"intermediate_size": 64}).state_bytes(batch_size=2) == 3 * 2 * 64 * (4 * 2 + 8 * 4)


def test_mamba_refuses_a_null_intermediate_size() -> None:
    with pytest.raises(UnsupportedConfig, match="intermediate_size is null: a whole number is needed"):
        read_config(MAMBA | {"intermediate_size": None})


def test_xlstm_keeps_one_position_counter_for_the_whole_batch() -> None:
    config = {"model_type": "xlstm", "hidden_size": 128, "num_hidden_layers": 2, "num_heads": 4, "vocab_size": 128}
    # keys 64 and values 128 wide in all: 4 heads x (16 x 32 + 16 + 1) elements a layer, and 8 bytes once
    one, two = (read_config(config).state_bytes(batch_size=batch) for batch in (1, 2))
    assert one == 2 * 4 * 529 * 2 + 8
    assert two == 2 * one - 8


def test_layers_with_n_grams_keep_a_dilated_convolution_and_token_ids() -> None:
    assert read_config(QWEN4).state_bytes(batch_size=2) == 43_520
    spec = read_config(QWEN4 | {"ple_layer_ids": [1, 3]})
    # 2 layers more, each 4 streams x 128 x 9 taps of bfloat16 and 2 token ids of 8 bytes, for 2 sequences
    assert spec.state_bytes(batch_size=2) == 80_448
    assert isinstance(spec.layers[0], RecurrentState)
    assert spec.layers[0].int64_elements == 2
    assert spec.layers[1] == read_config(QWEN4).layers[1]


def test_a_state_says_the_width_that_it_is_kept_in() -> None:
    sentences = {note.figure: note.sentence for note in read_config(MAMBA).provenance}
    assert sentences["state"] == (
        "Mamba: 3,072 elements per sequence and layer, whatever the context, 2,048 of them in float32, the others in "
        "the model's own type."
    )
