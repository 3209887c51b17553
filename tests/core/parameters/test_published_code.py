"""Types of published code, and models whose files hold more than transformers builds: totals from public figures.

Kimi-K3: shapes of its files and total_size of its index, as a public report and a converter's tests hold them.
"""

from typing import Any

import pytest

from core.models.registry import load_registry
from core.parameters import NotByRule, count_by_rule

REGISTRY = {model.name: model.config for model in load_registry()}


@pytest.mark.parametrize(
    ("name", "total", "routed"),
    [
        ("Kimi-K3", 2_779_931_752_544, 92 * 896 * 3 * 3_584 * 3_072),
        ("Qwen3.8-Flash-Next", 176_943_899_520, 48 * 512 * 3 * 2_560 * 640),  # as transformers 5.24.0 builds it
        ("Step-3.5-Flash", 196_956_118_272, 42 * 288 * 3 * 4_096 * 1_280),
        ("GLM-5.3-Flash", 313_890_426_878, 42 * 288 * 3 * 4_096 * 2_048),  # as transformers 5.24.0 builds it
        ("Gemma-4 26B-A4B", 25_805_933_872, 30 * 128 * 3 * 2_816 * 704),  # total_parameters of its index
        ("Nemotron Super 49B v1", 49_867_145_216, 0),  # the model page's count
        # the model page's 7,849,978,192 less K, V and their norm of the 15 layers that use earlier ones
        ("Gemma-3n E4B", 7_849_978_192 - 15 * (2 * 2_048 * 512 + 256), 0),
    ],
)
def test_a_total_of_the_registry(name: str, total: int, routed: int) -> None:
    count = count_by_rule(REGISTRY[name])
    assert (count.total, count.routed_experts) == (total, routed)
    assert sum(count.parts.values()) == total


def test_step_3_5_within_the_rounding_of_its_card() -> None:
    """The card's 196.81B is "196B Backbone + 0.81B Head" (its table of specifications): a backbone in whole billions,
    so that the sum is good to half a billion. Without embedding and head the rule counts 195.90."""
    count = count_by_rule(REGISTRY["Step-3.5-Flash"])
    backbone = count.total - 2 * 128_896 * 4_096
    assert backbone == 195_900_202_240
    assert round(backbone / 10**9) == 196


def test_every_model_of_the_registry_is_counted_by_rule() -> None:
    assert [name for name, config in REGISTRY.items() if count_by_rule(config).source != "rule"] == []


def test_kimi_k3_in_the_bytes_of_its_files() -> None:
    """4 bits and a scale byte for 32 in the experts, float32 for what the KDA layers need so, bfloat16 elsewhere; A_log
    is stored 128 long for 96 heads, and the router's correction bias is no parameter."""
    count = count_by_rule(REGISTRY["Kimi-K3"])
    routed = count.routed_experts
    assert routed is not None
    kept_wide = 69 * (3 * 12_288 * 4 + 12_288 + 128 + 128)  # convolutions, dt_bias, A_log as stored, o_norm
    narrow = count.total - routed + 69 * (128 - 96) - kept_wide
    stored = 2 * narrow + 4 * kept_wide + routed // 2 + routed // 32 + 92 * 896 * 4
    assert stored == 1_560_860_324_864  # metadata.total_size of model.safetensors.index.json


def test_what_a_token_goes_through() -> None:
    """Published: 104 billion of Kimi-K3; 6 of Qwen3.8-Flash-Next without its two tables and its head."""
    kimi, qwen = count_by_rule(REGISTRY["Kimi-K3"]), count_by_rule(REGISTRY["Qwen3.8-Flash-Next"])
    assert kimi.active == 2_779_931_752_544 - 92 * 880 * 3 * 3_584 * 3_072 == 105_811_294_304
    assert qwen.parts["per_layer_embeddings"] == 320_001_536 * 160  # 16 primes from 20,000,000 on, padded to 128
    assert qwen.active is not None
    assert qwen.active - 2 * 248_320 * 2_560 == 6_035_596_160


def _with(name: str, part: str, **changes: Any) -> dict[str, Any]:
    config = REGISTRY[name]
    return {**config, part: {**config[part], **changes}}


@pytest.mark.parametrize(
    "config",
    [
        _with("Kimi-K3", "vision_config", norm_type="layernorm"),
        _with("Kimi-K3", "vision_config", attn_bias=True),
        _with("Kimi-K3", "vision_config", mm_projector_type="patchmerger"),
        _with("Qwen3.8-Flash-Next", "text_config", ngram_vocab_size_base=10**11),
        _with("Qwen3.8-Flash-Next", "text_config", ple_layer_ids=[49]),
        _with("GLM-5.3-Flash", "text_config", index_topk_freq=2),
        _with("Gemma-3n E4B", "vision_config", architecture="mobilenetv5_base"),
        _with("Gemma-3n E4B", "audio_config", sscp_conv_kernel_size=[[5, 5], [3, 3]]),
        {**REGISTRY["Step-3.5-Flash"], "use_head_wise_attn_gate": False},
        {**REGISTRY["Step-3.5-Flash"], "moe_layers_enum": "3,four"},
        {**REGISTRY["Step-3.5-Flash"], "attention_other_setting": {"num_attention_groups": 4}},
    ],
)
def test_what_the_rules_do_not_follow_is_not_guessed(config: dict[str, Any]) -> None:
    with pytest.raises(NotByRule):
        count_by_rule(config)
