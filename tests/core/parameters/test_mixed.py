"""DeepSeek-V4 and MiMo-V2-Flash by rule: totals of the classes that transformers 5.24.0 built on the meta device."""

from typing import Any

import pytest

from core.errors import SizingError
from core.models.registry import load_registry
from core.parameters import NotByRule, count_by_rule
from core.parameters.quantization import published_storage

REGISTRY = {model.name: model.config for model in load_registry()}
V4: dict[str, Any] = {
    "model_type": "deepseek_v4", "num_hidden_layers": 5, "hidden_size": 64, "num_attention_heads": 4, "head_dim": 32,
    "q_lora_rank": 16, "o_groups": 2, "o_lora_rank": 8, "vocab_size": 100, "moe_intermediate_size": 24,
    "n_routed_experts": 6, "num_experts_per_tok": 2, "index_n_heads": 3, "index_head_dim": 16, "hc_mult": 3,
}  # fmt: skip
MIMO: dict[str, Any] = {
    "model_type": "mimo_v2_flash", "num_hidden_layers": 7, "hidden_size": 64, "num_attention_heads": 4,
    "num_key_value_heads": 2, "head_dim": 24, "v_head_dim": 16, "vocab_size": 100, "intermediate_size": 96,
    "moe_intermediate_size": 24, "n_routed_experts": 6, "num_experts_per_tok": 2,
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "total", "routed"),
    [
        ("DeepSeek-V4-Flash", 284_332_230_231, 277_025_390_592),  # 43 x 256 x 3 x 4,096 x 2,048
        ("DeepSeek-V4-Pro", 1_572_997_179_491, 1_547_396_186_112),  # 61 x 384 x 3 x 7,168 x 3,072
    ],
)
def test_the_published_models(name, total, routed):
    count = count_by_rule(REGISTRY[name])
    assert (count.total, count.routed_experts, count.tied) == (total, routed, False)
    assert sum(count.parts.values()) == total


def test_what_a_token_of_v4_goes_through():
    """6 of 256 experts a layer: published as 284 billion with 13 active."""
    count = count_by_rule(REGISTRY["DeepSeek-V4-Flash"])
    assert count.active == 284_332_230_231 - 43 * 250 * 3 * 4_096 * 2_048


def test_mimo_in_full():
    """q 4,096 x 12,288, o 8,192 x 4,096; k and v 4,096 x 4 (or 8) x (192 + 128); sinks on the 39 with a window."""
    attention = 48 * (4_096 * 12_288 + 8_192 * 4_096) + 39 * 64
    kv = (9 * 4 + 39 * 8) * 4_096 * 320
    experts, dense = 47 * 256 * 3 * 4_096 * 2_048, 3 * 4_096 * 16_384
    small = 47 * 4_096 * 256 + 97 * 4_096
    count = count_by_rule(REGISTRY["MiMo-V2-Flash"])
    assert count.total == 2 * 152_576 * 4_096 + attention + kv + experts + dense + small
    assert count.parts["kv_projections"] == kv


@pytest.mark.parametrize(
    ("config", "changed"),
    [
        (V4, {"compress_rate_csa": 8}), (V4, {"compress_rates": {}}), (V4, {"compress_ratios": [0, 2, 4, 4, 4]}),
        (V4, {"layer_types": ["full_attention"] * 5}), (V4, {"head_dim": None}), (MIMO, {"v_head_dim": None}),
        (MIMO, {"layer_types": ["sliding_attention"] * 6}),
    ],
)  # fmt: skip
def test_what_the_rules_do_not_follow_is_built(config, changed):
    with pytest.raises(NotByRule):
        count_by_rule({**config, **changed})


def test_the_older_ratios_are_the_kinds_of_layers():
    kinds = ["sliding_attention", "compressed_sparse_attention", "heavily_compressed_attention"]
    older = count_by_rule({**V4, "compress_ratios": [0, 4, 128, 4, 4, 0]})  # the last is of the layer behind
    newer = count_by_rule({**V4, "layer_types": [*kinds, kinds[1], kinds[1]]})
    assert older.total == newer.total


MLX = {"group_size": 64, "bits": 4}


@pytest.mark.parametrize("config", [{"quantization": MLX}, {"quantization": MLX, "quantization_config": MLX}])
def test_mlx_stores_a_scale_and_a_bias_a_group(config):
    """mlx-lm writes one name or both; embedding and head are narrowed too."""
    stored = published_storage(config, 2)
    parts = {
        part: float(stored.bits_of(part)) for part in ("attention", "routed_experts", "embedding", "head", "norms")
    }
    assert parts == {"attention": 4.5, "routed_experts": 4.5, "embedding": 4.5, "head": 4.5, "norms": 16}


@pytest.mark.parametrize("other", [{"mode": "mxfp4"}, {"model.layers.0.mlp": {"bits": 8, "group_size": 64}}])
def test_mlx_of_several_widths_is_refused(other):
    with pytest.raises(SizingError, match="not of one width for all"):
        published_storage({"quantization": MLX | other}, 2)


def test_a_files_expert_dtype_stands_beside_its_quantization():
    """DeepSeek-V4-Flash: FP8 in blocks of 128 x 128, its experts in MXFP4."""
    fp8 = {"quant_method": "fp8", "weight_block_size": [128, 128]}
    stored = published_storage({"quantization_config": fp8, "expert_dtype": "fp4"}, 2)
    assert float(stored.bits_of("routed_experts")) == 4.25
    assert 8 < float(stored.bits_of("attention")) < 8.01
