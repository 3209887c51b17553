"""The decoders that came with transformers 5.24.0, and keys that a class takes from a file in a roundabout way.

Byte totals: what transformers 5.24.0 held after a forward of batch 2 over 40 tokens, bfloat16, meta device, with window
tokens where it keeps window - 1.
"""

from typing import Any

import pytest

from core.models.attention import GroupedAttention, LatentAttention
from core.models.spec import UnsupportedConfig, read_config

PLAIN: dict[str, Any] = {
    "hidden_size": 128, "num_attention_heads": 8, "num_key_value_heads": 2, "head_dim": 16, "vocab_size": 128,
    "sliding_window": 16,
}  # fmt: skip
LATENT: dict[str, Any] = {
    "hidden_size": 128, "num_attention_heads": 8, "kv_lora_rank": 40, "q_lora_rank": 32, "qk_nope_head_dim": 16,
    "qk_rope_head_dim": 8, "v_head_dim": 24, "vocab_size": 128,
}  # fmt: skip
DORY = PLAIN | {
    "model_type": "dory", "num_hidden_layers": 9, "n_input_layers": 2, "n_output_layers": 3, "n_recurrent_loops": 3,
}  # fmt: skip
INKLING = PLAIN | {
    "model_type": "inkling2_loop_text", "num_hidden_layers": 8, "swa_num_attention_heads": 4, "swa_head_dim": 8,
    "swa_num_key_value_heads": 4, "loop_layer_index_start": 2, "loop_layer_index_end": 6, "loop_num_passes": 3,
}  # fmt: skip
TOKEN = (
    2 * 16 * 2 * 2 * 2
)  # bytes that one token adds to a plain layer: 2 heads x 16 x (key, value) x 2 bytes x batch 2


def bytes_of(config: dict[str, Any]) -> tuple[int, int, int]:
    spec = read_config(config)
    job = {"context_length": 40, "batch_size": 2}
    return spec.kv_cache_bytes(**job), spec.cache_bytes(**job), spec.state_bytes(batch_size=2)


def test_dory_keeps_a_cache_for_each_pass_through_its_recurrent_layers() -> None:
    # every fourth layer full; layers 2 to 5 run three times: 9 + 2 x 4 = 17 caches, 4 of them full
    assert bytes_of(DORY) == (90_880 + 13 * TOKEN,) * 2 + (0,)
    assert len(read_config(DORY).layers) == 17
    assert bytes_of(DORY | {"recurrent_kv_cache_mode": "last_loop"})[0] == 47_360 + 7 * TOKEN


def test_dory_may_list_attention_and_mlp_blocks_in_turn() -> None:
    blocks = {
        "num_hidden_layers": 12, "n_input_layers": 4, "n_recurrent_layers": 4, "n_output_layers": 4,
        "n_recurrent_loops": 2, "layer_types": ["sliding_attention", "mlp", "full_attention", "mlp"] * 3,
    }  # fmt: skip
    assert bytes_of(DORY | blocks)[0] == 56_320 + 4 * TOKEN


def test_inkling_2_loop_keeps_a_cache_and_convolutions_for_each_pass() -> None:
    # sliding layers: 4 heads x 8, as wide as 2 heads x 16; 15 of the 16 caches slide
    assert bytes_of(INKLING) == (80_640 + 13 * TOKEN, 80_640 + 13 * TOKEN, 163_840)
    assert len(read_config(INKLING | {"loop_layer_index_start": 8}).layers) == 8  # behind the last layer: no loop
    config = INKLING | {"loop_config": {"core_start": 4, "num_passes": 2}}
    assert bytes_of(config)[2] == 102_400


@pytest.mark.parametrize(
    ("config", "totals"),
    [
        # transformers' cache slides wherever the file has a sliding_window, also in a class that knows no such key
        (PLAIN | {"model_type": "exaone", "num_layers": 4}, (15_360 + 4 * TOKEN, 15_360 + 4 * TOKEN, 0)),
        (PLAIN | {"model_type": "apertus1p5_text", "num_hidden_layers": 4}, (16_384, 16_384, 0)),
        (PLAIN | {"model_type": "sarvam_moe", "num_hidden_layers": 3}, (12_288, 12_288, 0)),
        (LATENT | {"model_type": "sarvam_mla", "num_hidden_layers": 3, "head_dim": 48}, (23_040, 23_040, 0)),
        (
            LATENT | {"model_type": "hy_v4_vl_text", "num_hidden_layers": 6, "index_head_dim": 16, "index_topk": 8},
            (46_080, 53_760, 0),
        ),
        (
            PLAIN
            | {
                "model_type": "lara_mini",
                "num_hidden_layers": 7,
                "linear_key_head_dim": 8,
                "linear_value_head_dim": 12,
                "linear_num_key_heads": 2,
                "linear_num_value_heads": 4,
            },
            (21_760 + 3 * TOKEN, 21_760 + 3 * TOKEN, 13_056),
        ),
    ],
    ids=lambda value: value["model_type"] if isinstance(value, dict) else "",
)
def test_new_decoders_are_read(config: dict[str, Any], totals: tuple[int, int, int]) -> None:
    assert bytes_of(config) == totals


def test_loops_that_do_not_fit_are_refused_by_name() -> None:
    with pytest.raises(UnsupportedConfig, match=r"loop_layer_index_end is 9: the looped layers 2 to 9 do not lie"):
        read_config(INKLING | {"loop_layer_index_end": 9})
    with pytest.raises(UnsupportedConfig, match="n_input_layers is 2: with recurrent and output layers"):
        read_config(DORY | {"n_recurrent_layers": 3})


def test_a_list_of_kinds_counts_under_the_alias_of_its_class() -> None:
    # GraniteMoeHybridConfig.attribute_map: layers_block_type is layer_types; ZambaConfig's says the reverse
    kinds = ["mamba", "attention", "mamba", "attention"]
    config = {
        "model_type": "granitemoehybrid", "hidden_size": 128, "num_hidden_layers": 4, "num_attention_heads": 8,
        "num_key_value_heads": 2, "vocab_size": 128, "mamba_n_heads": 8, "mamba_d_head": 32, "mamba_d_state": 8,
    }  # fmt: skip
    for key in ("layer_types", "layers_block_type"):
        kept = [layer.kind for layer in read_config(config | {key: kinds}).layers]
        assert kept == ["recurrent", "GQA", "recurrent", "GQA"]


def test_a_window_in_the_file_wins_over_one_that_the_class_derives() -> None:
    # ModernBertDecoderConfig sets sliding_window from local_attention, then takes the file's own
    config = {
        "model_type": "modernbert-decoder", "hidden_size": 128, "num_hidden_layers": 3, "num_attention_heads": 8,
        "local_attention": 128, "vocab_size": 128,
    }  # fmt: skip
    windows = [layer.window for layer in read_config(config).layers if isinstance(layer, GroupedAttention)]
    assert windows == [None, 64, 64]
    stated = read_config(config | {"sliding_window": 11}).layers
    assert [layer.window for layer in stated if isinstance(layer, GroupedAttention)] == [None, 11, 11]


def test_zamba2_takes_its_attention_width_from_the_file() -> None:
    config = {
        "model_type": "zamba2", "hidden_size": 128, "num_hidden_layers": 2, "num_attention_heads": 8, "vocab_size": 128,
        "layers_block_type": ["mamba", "hybrid"], "n_mamba_heads": 8,
    }  # fmt: skip
    # one attention layer of 8 heads: 2 x 128 / 8 = 32 wide, or as the file says
    assert read_config(config).kv_bytes_per_token() == 8 * 32 * 2 * 2
    assert read_config(config | {"attention_head_dim": 24}).kv_bytes_per_token() == 8 * 24 * 2 * 2


def test_hy_v4_in_a_picture_model_shares_its_index_like_hy_v4() -> None:
    config = LATENT | {"model_type": "hy_v4_vl_text", "num_hidden_layers": 3, "index_head_dim": 16, "index_topk": 8}
    assert [layer.index_key_dim for layer in read_config(config).layers if isinstance(layer, LatentAttention)] == [
        16, 16, None,
    ]  # fmt: skip
