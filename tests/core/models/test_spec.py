"""The reader on the shapes of published models, against hand arithmetic, and where each figure came from."""

import json
import pickle
import subprocess
import sys
from typing import Any

import pytest

from core.models.attention import GroupedAttention, NoAttention, ParallelLayer, RecurrentState, SharedCache
from core.models.spec import ModelSpec, Provenance, UnsupportedConfig, deciding_lines, read_config


def llama(**changes: Any) -> dict[str, Any]:
    """Llama-3 8B's figures."""
    config = {
        "model_type": "llama", "hidden_size": 4_096, "num_hidden_layers": 32, "num_attention_heads": 32,
        "num_key_value_heads": 8, "intermediate_size": 14_336, "vocab_size": 128_256,
        "max_position_embeddings": 8_192,
    }  # fmt: skip
    return {**config, **changes}


def test_a_model_is_a_key_by_its_shape_reckoned_once() -> None:
    spec, again = read_config(llama()), read_config(llama())
    assert {spec: "kept"}[again] == "kept"
    assert spec.shape is spec.shape
    assert spec.shape.kv_bytes_per_token() == 131_072
    assert "_hash" in vars(spec)
    assert "_hash" not in vars(pickle.loads(pickle.dumps(spec)))  # strings hash otherwise in another process
    assert pickle.loads(pickle.dumps(spec)) == spec


def test_llama_3_8b() -> None:
    # 2 (K and V) x 32 layers x 8 KV heads x 128 x 2 bytes = 131,072
    spec = read_config(llama())
    assert spec.kv_bytes_per_token() == 131_072
    assert spec.kv_cache_bytes(context_length=8_192, batch_size=2) == 2_147_483_648
    assert spec.kind == "GQA"
    assert str(spec.declared_kv_heads) == "num_key_value_heads: 8"
    assert (spec.dimensions.hidden_size, spec.dimensions.vocab_size, spec.dimensions.gated_ffn) == (
        4_096,
        128_256,
        True,
    )


def test_absent_and_null_kv_heads_of_llama_mean_one_per_query_head() -> None:
    # 2 x 32 x 32 x 128 x 2 = 524,288
    absent = llama()
    del absent["num_key_value_heads"]
    for config in (absent, llama(num_key_value_heads=None)):
        spec = read_config(config)
        assert (spec.kv_bytes_per_token(), spec.kind) == (524_288, "MHA")
    assert str(read_config(absent).declared_kv_heads) == "absent"
    assert str(read_config(llama(num_key_value_heads=None)).declared_kv_heads) == "num_key_value_heads: null"


FALCON_7B = {
    "model_type": "falcon", "hidden_size": 4_544, "num_hidden_layers": 32, "num_attention_heads": 71,
    "multi_query": True, "new_decoder_architecture": False, "vocab_size": 65_024,
}  # fmt: skip


@pytest.mark.parametrize("extra", [{}, {"num_kv_heads": 71}], ids=["published", "as FalconConfig saves it"])
def test_falcon_7b_keeps_one_kv_head(extra: dict[str, Any]) -> None:
    # 2 x 32 layers x 1 head x 64 x 2 bytes = 8,192; with 71 heads it would be 581,632
    spec = read_config({**FALCON_7B, **extra})
    assert (spec.kv_bytes_per_token(), spec.kind) == (8_192, "MQA")
    assert str(spec.declared_kv_heads) == "multi_query: true"


def test_falcon_40b_new_architecture() -> None:
    # 60 layers x 8 KV heads x 64: 2 x 60 x 8 x 64 x 2 = 122,880
    spec = read_config(
        {
            "model_type": "falcon", "hidden_size": 8_192, "num_hidden_layers": 60, "num_attention_heads": 128,
            "num_kv_heads": 8, "new_decoder_architecture": True,
        }
    )  # fmt: skip
    assert spec.layers[0] == GroupedAttention(
        num_query_heads=128, num_kv_heads=8, head_dim=64, value_dim=64, broadcast_when_stored=True
    )
    assert (len(spec.layers), spec.kv_bytes_per_token()) == (60, 122_880)
    assert str(spec.declared_kv_heads) == "num_kv_heads: 8"


@pytest.mark.parametrize(
    ("config", "per_token", "kind", "declared"),
    [
        # first Falcon code: 2 x 60 x 8 x 64 x 2 and 2 x 32 x 1 x 64 x 2
        ({"model_type": "RefinedWeb", "n_layer": 60, "n_head": 128, "n_head_kv": 8, "hidden_size": 8_192}, 122_880,
         "GQA", "n_head_kv: 8"),
        ({"model_type": "RefinedWebModel", "n_layer": 32, "n_head": 71, "hidden_size": 4_544, "multi_query": True},
         8_192, "MQA", "multi_query: true"),
        # StarCoder: 2 x 40 x 1 x 128 x 2
        ({"model_type": "gpt_bigcode", "n_embd": 6_144, "n_head": 48, "n_layer": 40, "multi_query": True}, 20_480,
         "MQA", "multi_query: true"),
        # the same with multi_query false: 2 x 40 x 48 x 128 x 2
        ({"model_type": "gpt_bigcode", "n_embd": 6_144, "n_head": 48, "n_layer": 40, "multi_query": False}, 983_040,
         "MHA", "multi_query: false"),
        # ChatGLM3-6B: 2 x 28 x 2 x 128 x 2
        ({"model_type": "chatglm", "num_layers": 28, "num_attention_heads": 32, "hidden_size": 4_096,
          "kv_channels": 128, "multi_query_attention": True, "multi_query_group_num": 2}, 28_672, "GQA",
         "multi_query_group_num: 2"),
        # Qwen-7B, first generation: 2 x 32 x 32 x 128 x 2
        ({"model_type": "qwen", "num_hidden_layers": 32, "num_attention_heads": 32, "hidden_size": 4_096,
          "kv_channels": 128}, 524_288, "MHA", "absent"),
        # DBRX: 2 x 40 x 8 x 128 x 2
        ({"model_type": "dbrx", "d_model": 6_144, "n_heads": 48, "n_layers": 40, "attn_config": {"kv_n_heads": 8}},
         163_840, "GQA", "attn_config.kv_n_heads: 8"),
        # DBRX without attn_config: the class default is one KV head: 2 x 40 x 1 x 128 x 2
        ({"model_type": "dbrx", "d_model": 6_144, "n_heads": 48, "n_layers": 40}, 20_480, "MQA", "absent"),
        # MPT-7B: 2 x 32 x 32 x 128 x 2
        ({"model_type": "mpt", "d_model": 4_096, "n_heads": 32, "n_layers": 32,
          "attn_config": {"attn_type": "multihead_attention"}}, 524_288, "MHA",
         'attn_config.attn_type: "multihead_attention"'),
        # Krutrim-1's way: grouped_query_attention with kv_n_heads 8: 2 x 32 x 8 x 128 x 2
        ({"model_type": "mpt", "d_model": 6_144, "n_heads": 48, "n_layers": 32,
          "attn_config": {"attn_type": "grouped_query_attention", "kv_n_heads": 8}}, 131_072, "GQA",
         "attn_config.kv_n_heads: 8"),
        # llm-foundry's multiquery: 2 x 32 x 1 x 128 x 2
        ({"model_type": "mpt", "d_model": 4_096, "n_heads": 32, "n_layers": 32, "architectures": ["MPTForCausalLM"],
          "attn_config": {"attn_type": "multiquery_attention"}}, 16_384, "MQA",
         'attn_config.attn_type: "multiquery_attention"'),
        # phi-2 in its first spelling, n_head_kv null: 2 x 32 x 32 x 80 x 2
        ({"model_type": "phi-msft", "n_embd": 2_560, "n_head": 32, "n_layer": 32, "n_head_kv": None}, 327_680, "MHA",
         "n_head_kv: null"),
        # Meta's params.json of Llama-2 70B and 7B: 2 x 80 x 8 x 128 x 2 and 2 x 32 x 32 x 128 x 2
        ({"dim": 8_192, "n_layers": 80, "n_heads": 64, "n_kv_heads": 8, "vocab_size": -1}, 327_680, "GQA",
         "n_kv_heads: 8"),
        ({"dim": 4_096, "n_layers": 32, "n_heads": 32, "multiple_of": 256}, 524_288, "MHA", "absent"),
        # Mistral's params.json of Nemo 12B: head_dim 128, not 5120 / 32: 2 x 40 x 8 x 128 x 2
        ({"dim": 5_120, "n_layers": 40, "n_heads": 32, "n_kv_heads": 8, "head_dim": 128, "hidden_dim": 14_336}, 163_840,
         "GQA", "n_kv_heads: 8"),
        # BLOOM: n_layer with num_attention_heads and n_embed: 2 x 70 x 112 x 128 x 2
        ({"model_type": "bloom", "n_layer": 70, "num_attention_heads": 112, "n_embed": 14_336}, 4_014_080, "MHA",
         "absent"),
        # Baichuan2-13B: no key for KV heads: 2 x 40 x 40 x 128 x 2
        ({"model_type": "baichuan", "hidden_size": 5_120, "num_attention_heads": 40, "num_hidden_layers": 40}, 819_200,
         "MHA", "absent"),
        # Qwen2-VL-7B's file is flat; its text fields stand at the top level: 2 x 28 x 4 x 128 x 2
        ({"model_type": "qwen2_vl", "hidden_size": 3_584, "num_hidden_layers": 28, "num_attention_heads": 28,
          "num_key_value_heads": 4, "sliding_window": 32_768, "use_sliding_window": False, "vision_config": {}}, 57_344,
         "GQA", "num_key_value_heads: 4"),
        # InternVL: an unknown outer type around llm_config, whose type is unknown too but plain: 2 x 32 x 8 x 128 x 2
        ({"model_type": "internvl_chat", "vision_config": {"num_attention_heads": 16}, "llm_config":
          {"model_type": "internlm2", "hidden_size": 4_096, "num_hidden_layers": 32, "num_attention_heads": 32,
           "num_key_value_heads": 8, "bias": False}}, 131_072, "GQA", "llm_config.num_key_value_heads: 8"),
        # MiniMax-M1: one softmax layer in eight: 2 x 1 x 8 x 128 x 2
        ({"model_type": "minimax_m1", "hidden_size": 6_144, "num_hidden_layers": 8, "num_attention_heads": 64,
          "num_key_value_heads": 8, "head_dim": 128, "attn_type_list": [0, 0, 0, 0, 0, 0, 0, 1]}, 4_096, "GQA",
         "num_key_value_heads: 8"),
        # MiMo-7B: a window that is switched off does not count: 2 x 36 x 8 x 128 x 2
        ({"model_type": "mimo", "hidden_size": 4_096, "num_hidden_layers": 36, "num_attention_heads": 32,
          "num_key_value_heads": 8, "sliding_window": 32_768, "use_sliding_window": False}, 147_456, "GQA",
         "num_key_value_heads: 8"),
        # Kimi-K2 says kimi_k2 and is read as DeepSeek-V3: 61 x 576 x 2
        ({"model_type": "kimi_k2", "hidden_size": 7_168, "num_hidden_layers": 61, "num_attention_heads": 64,
          "num_key_value_heads": 64, "kv_lora_rank": 512, "qk_rope_head_dim": 64}, 70_272, "MLA",
         "num_key_value_heads: 64"),
    ],
)  # fmt: skip
def test_spellings(config: dict[str, Any], per_token: int, kind: str, declared: str) -> None:
    spec = read_config(config)
    assert (spec.kv_bytes_per_token(), spec.kind, str(spec.declared_kv_heads)) == (per_token, kind, declared)


def windows(spec: ModelSpec) -> list[int | None]:
    return [layer.window for layer in spec.layers if isinstance(layer, GroupedAttention)]


MISTRAL = {
    "model_type": "mistral", "hidden_size": 4_096, "num_hidden_layers": 32, "num_attention_heads": 32,
    "num_key_value_heads": 8,
}  # fmt: skip


def test_mistral_7b_window_absent_null_and_stated() -> None:
    assert windows(read_config({**MISTRAL, "sliding_window": 4_096})) == [4_096] * 32
    assert windows(read_config({**MISTRAL, "sliding_window": None})) == [None] * 32
    # absent: MistralConfig's own default is 4,096
    spec = read_config(MISTRAL)
    assert windows(spec) == [4_096] * 32
    assert next(item for item in spec.provenance if item.figure == "window").source == "class default"
    # 131,072 bytes a token, capped at 4,096 tokens: 536,870,912
    assert spec.kv_cache_bytes(context_length=32_768) == 536_870_912


def test_qwen2_window_is_dead_unless_switched_on() -> None:
    config = {
        "model_type": "qwen2", "hidden_size": 3_584, "num_hidden_layers": 28, "num_attention_heads": 28,
        "num_key_value_heads": 4, "sliding_window": 4_096, "max_window_layers": 20,
    }  # fmt: skip
    assert windows(read_config({**config, "use_sliding_window": False})) == [None] * 28
    assert windows(read_config({**config, "use_sliding_window": True})) == [None] * 20 + [4_096] * 8
    # a first sliding layer beyond the last one: none slides
    assert windows(read_config({**config, "use_sliding_window": True, "max_window_layers": 70})) == [None] * 28


def test_a_window_of_0_is_read_where_no_layer_slides() -> None:
    """Dots1Config and Qwen2Config list every layer below max_window_layers as full, whatever the window; from there on
    a window of 0 would keep nothing, and is refused."""
    for model_type, switch in (("dots1", {}), ("qwen2", {"use_sliding_window": True})):
        config = {"model_type": model_type, "num_hidden_layers": 4, "sliding_window": 0, **switch}
        assert windows(read_config({**config, "max_window_layers": 4})) == [None] * 4
        with pytest.raises(UnsupportedConfig, match="sliding_window is 0: the number has to lie between 1"):
            read_config({**config, "max_window_layers": 3})


def test_gemma_3_4b_as_shipped_leaves_almost_everything_to_the_class() -> None:
    # text_config of the shipped file: no head counts, no head_dim, no layer_types. Gemma3TextConfig: 8 query heads,
    # 4 KV heads, head_dim 256, every sixth layer full. 34 layers: 5 full, 29 sliding at 1,024.
    text = {"model_type": "gemma3_text", "hidden_size": 2_560, "num_hidden_layers": 34, "sliding_window": 1_024}
    vision = {"num_attention_heads": 16, "num_hidden_layers": 27, "hidden_size": 1_152}
    spec = read_config({"model_type": "gemma3", "text_config": text, "vision_config": vision})
    assert spec.kv_bytes_per_token() == 2 * 34 * 4 * 256 * 2
    assert windows(spec).count(None) == 5
    assert windows(spec)[5] is None
    # 4 KV heads x 512 x 2 bytes = 4,096 a layer: 5 x 32,768 tokens + 29 x 1,024 tokens
    assert spec.kv_cache_bytes(context_length=32_768) == 4_096 * (5 * 32_768 + 29 * 1_024)
    sources = {item.figure: item.source for item in spec.provenance}
    assert (sources["num_kv_heads"], sources["head_dim"], sources["layers"]) == (
        "class default",
        "class default",
        "config",
    )
    assert str(spec.declared_kv_heads) == "absent"


def test_gemma_2_and_cohere2_patterns() -> None:
    gemma = {"model_type": "gemma2", "hidden_size": 2_304, "num_hidden_layers": 4, "num_attention_heads": 8,
             "num_key_value_heads": 4, "head_dim": 256, "sliding_window": 4_096}  # fmt: skip
    assert windows(read_config(gemma)) == [4_096, None, 4_096, None]
    cohere = {"model_type": "cohere2", "hidden_size": 4_096, "num_hidden_layers": 8, "num_attention_heads": 32,
              "num_key_value_heads": 8, "sliding_window": 4_096}  # fmt: skip
    assert windows(read_config(cohere)) == [4_096, 4_096, 4_096, None] * 2
    assert windows(read_config({**cohere, "sliding_window_pattern": 2})) == [4_096, None] * 4


def test_gpt_oss_and_llama_4() -> None:
    # gpt-oss-20b: 24 layers, 8 KV heads of 64 (not 2880 / 64 = 45), 128 on every other layer
    oss = {"model_type": "gpt_oss", "hidden_size": 2_880, "num_hidden_layers": 24, "num_attention_heads": 64,
           "num_key_value_heads": 8, "head_dim": 64, "sliding_window": 128}  # fmt: skip
    assert read_config(oss).kv_cache_bytes(context_length=1_000) == 2 * 8 * 64 * 2 * (12 * 1_000 + 12 * 128)
    # Llama-4: chunks of 8,192 on three of four layers
    text = {"model_type": "llama4_text", "hidden_size": 5_120, "num_hidden_layers": 48, "num_attention_heads": 40,
            "num_key_value_heads": 8, "head_dim": 128, "attention_chunk_size": 8_192}  # fmt: skip
    spec = read_config({"model_type": "llama4", "text_config": text})
    assert windows(spec) == [8_192, 8_192, 8_192, None] * 12


def test_deepseek_v3_keeps_576_values_a_layer() -> None:
    # 61 x (512 + 64) x 2 bytes = 70,272
    spec = read_config(
        {"model_type": "deepseek_v3", "num_hidden_layers": 61, "num_attention_heads": 128, "num_key_value_heads": 128,
         "hidden_size": 7_168, "kv_lora_rank": 512, "qk_rope_head_dim": 64}
    )  # fmt: skip
    assert (spec.kv_bytes_per_token(), spec.kind) == (70_272, "MLA")
    assert {layer.cached_elements(1) for layer in spec.layers} == {576}


def test_qwen3_next_attends_in_12_of_48_layers() -> None:
    # 12 x 2 x 2 KV heads x 256 x 2 bytes = 24,576; 36 gated-delta layers:
    # convolution (2 x 16 x 128 + 32 x 128) x 4 = 32,768 elements, recurrence 32 x 128 x 128 = 524,288 in float32
    spec = read_config(
        {"model_type": "qwen3_next", "hidden_size": 2_048, "num_hidden_layers": 48, "num_attention_heads": 16,
         "num_key_value_heads": 2, "head_dim": 256, "full_attention_interval": 4, "linear_num_key_heads": 16,
         "linear_num_value_heads": 32, "linear_key_head_dim": 128, "linear_value_head_dim": 128,
         "linear_conv_kernel_dim": 4}
    )  # fmt: skip
    assert sum(isinstance(layer, GroupedAttention) for layer in spec.layers) == 12
    assert spec.kv_bytes_per_token() == 24_576
    assert spec.state_bytes() == 36 * (32_768 * 2 + 524_288 * 4)
    assert spec.kv_cache_bytes(context_length=0) == 0


def test_jamba_attends_in_4_of_32_layers() -> None:
    # 4 x 2 x 8 x 128 x 2 = 16,384
    spec = read_config(
        {"model_type": "jamba", "hidden_size": 4_096, "num_hidden_layers": 32, "num_attention_heads": 32,
         "num_key_value_heads": 8, "attn_layer_period": 8, "attn_layer_offset": 4}
    )  # fmt: skip
    attending = [index for index, layer in enumerate(spec.layers) if isinstance(layer, GroupedAttention)]
    assert (attending, spec.kv_bytes_per_token()) == ([4, 12, 20, 28], 16_384)
    assert isinstance(spec.layers[0], RecurrentState)


def test_falcon_h1_attends_and_recurs_in_every_layer() -> None:
    # Falcon-H1 0.5B: 36 layers, 2 KV heads of 64: 36 x 2 x 2 x 64 x 2 = 18,432
    spec = read_config(
        {"model_type": "falcon_h1", "hidden_size": 1_024, "num_hidden_layers": 36, "num_attention_heads": 8,
         "num_key_value_heads": 2, "head_dim": 64, "mamba_d_ssm": 1_536, "mamba_n_heads": 24, "mamba_d_head": 64}
    )  # fmt: skip
    assert all(isinstance(layer, ParallelLayer) for layer in spec.layers)
    assert spec.kv_bytes_per_token() == 18_432


def test_nemotron_super_49b_attends_in_49_of_80_layers() -> None:
    # 49 layers of 64 / 8 = 8 KV heads x 128: 49 x 2 x 8 x 128 x 2 = 200,704; the top-level key is null
    attention = {"n_heads_in_group": 8, "no_op": False, "replace_with_linear": False}
    removed = {"n_heads_in_group": None, "no_op": True, "replace_with_linear": False}
    blocks = [{"attention": attention}] * 49 + [{"attention": removed}] * 31
    spec = read_config(
        {"model_type": "nemotron-nas", "hidden_size": 8_192, "num_hidden_layers": 80, "num_attention_heads": 64,
         "num_key_value_heads": None, "block_configs": blocks}
    )  # fmt: skip
    assert spec.kv_bytes_per_token() == 200_704
    assert sum(isinstance(layer, NoAttention) for layer in spec.layers) == 31
    assert str(spec.declared_kv_heads) == "block_configs.0.attention.n_heads_in_group: 8"


def test_openelm_heads_differ_layer_by_layer() -> None:
    # 2 x (3 + 5) heads x 64 x 2 bytes = 2,048
    spec = read_config(
        {"model_type": "openelm", "model_dim": 1_280, "head_dim": 64, "num_transformer_layers": 2,
         "num_query_heads": [12, 20], "num_kv_heads": [3, 5]}
    )  # fmt: skip
    assert spec.kv_bytes_per_token() == 2_048
    assert spec.kind == "GQA"


def test_gemma_4_has_two_kinds_of_heads() -> None:
    # 26B-A4B: sliding layers 8 heads of 256, full layers 2 of 512: 25 x 2 x 8 x 256 and 5 x 2 x 2 x 512 elements
    text = {"model_type": "gemma4_text", "hidden_size": 2_816, "num_hidden_layers": 30, "num_attention_heads": 16,
            "num_key_value_heads": 8, "num_global_key_value_heads": 2, "attention_k_eq_v": True, "head_dim": 256,
            "global_head_dim": 512, "sliding_window": 1_024, "num_kv_shared_layers": 0}  # fmt: skip
    spec = read_config({"model_type": "gemma4", "text_config": text})
    assert spec.kv_bytes_per_token() == 2 * (25 * 4_096 + 5 * 2_048)


def test_gemma_3n_layers_that_share_keep_nothing() -> None:
    text = {"model_type": "gemma3n_text", "hidden_size": 2_048, "num_hidden_layers": 35, "num_attention_heads": 8,
            "num_key_value_heads": 2, "head_dim": 256, "sliding_window": 512, "num_kv_shared_layers": 15,
            "intermediate_size": 8_192}  # fmt: skip
    spec = read_config({"model_type": "gemma3n", "text_config": text})
    assert sum(isinstance(layer, SharedCache) for layer in spec.layers) == 15
    # the last full layer that keeps its own is 19, the last sliding one 18
    assert spec.layers[24] == SharedCache(source_layer=19, num_query_heads=8, num_kv_heads=2)
    assert spec.layers[20] == SharedCache(source_layer=18, num_query_heads=8, num_kv_heads=2)
    assert spec.kv_bytes_per_token() == 20 * 2 * 2 * 256 * 2


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"model_type": "bert", "hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12}, "encoder"),
        ({"model_type": "clip", "text_config": {"hidden_size": 512}}, "no decoder language model"),
        ({"model_type": "t5", "d_model": 512}, "no decoder language model"),
        ({"model_type": "bart", "d_model": 1_024}, "encoder-decoder"),
        ({"_class_name": "UNet2DConditionModel", "_diffusers_version": "0.6.0"}, "a diffusers model"),
        ({"peft_type": "LORA", "r": 16}, "a PEFT adapter's settings"),
        ({"tokenizer_class": "LlamaTokenizer"}, "a tokenizer's settings"),
        ({"hidden_size": 4_096, "num_hidden_layers": 32}, "model_type is absent"),
        ({"model_type": "blip-2", "text_config": {"model_type": "t5", "num_layers": 24}}, "no decoder language model"),
        ({"model_type": "outer", "text_config": {"model_type": "clip_text_model"}}, "no decoder language model"),
        ({"model_type": "gemma3_text", "use_bidirectional_attention": True}, "attends both ways"),
        ({"model_type": "deepseek_v2", "kv_lora_rank": None}, "kv_lora_rank is null"),
        ({"model_type": "cpmant"}, "keeps learned prompt tokens"),
        (llama(model_type="brand_new"), None),  # plain and complete: the generic rule answers
        (llama(model_type="brand_new", num_key_value_heads=None), "nothing says what stands in for it"),
        (llama(model_type="brand_new", mamba_d_state=16), "mamba_d_state is 16"),
        (llama(model_type="brand_new", sliding_window=4_096), "sliding_window is 4096"),
        (llama(model_type="brand_new", kv_sharing_layers=[1]), "kv_sharing_layers is a list of 1"),
        (llama(num_key_value_heads=5), "does not divide the 32 query heads"),
        (llama(num_key_value_heads=True), "num_key_value_heads is true: a whole number is expected"),
        (llama(num_hidden_layers=10**9), "more than 10,000 layers"),
        (llama(hidden_size=4_100), "hidden_size is 4100: it does not divide"),
        ({**MISTRAL, "sliding_window": "4096"}, 'sliding_window is "4096": a whole number is expected'),
        ({**MISTRAL, "sliding_window": -1}, "sliding_window is -1"),
        ({"model_type": "llava", "hidden_size": 4_096}, "keeps its language model under text_config"),
        ({"model_type": "llava", "text_config": [1]}, "text_config is a list of 1: an object is expected"),
    ],
)  # fmt: skip
def test_refusals_name_the_field_its_value_and_what_to_do(config: dict[str, Any], message: str | None) -> None:
    if message is None:
        assert read_config(config).kv_bytes_per_token() == 131_072
        return
    with pytest.raises(UnsupportedConfig) as caught:
        read_config(config)
    assert message in str(caught.value)
    assert str(caught.value).count(". ") >= 1 or str(caught.value).endswith(".")


def test_every_figure_says_where_it_came_from() -> None:
    spec = read_config(FALCON_7B)
    by_figure = {item.figure: item for item in spec.provenance}
    assert by_figure["num_kv_heads"] == Provenance(
        figure="num_kv_heads",
        value="1",
        source="rule",
        keys=("multi_query", "new_decoder_architecture"),
        sentence="multi_query is true and new_decoder_architecture false: one KV head, whatever num_kv_heads says.",
    )
    assert by_figure["head_dim"].keys == ("hidden_size", "num_attention_heads")
    assert by_figure["head_dim"].sentence == "hidden_size / query heads = 4,544 / 71 = 64."
    assert {"layers", "num_query_heads", "value_dim"} <= by_figure.keys()


def test_every_figure_has_a_sentence() -> None:
    for config in (llama(), MISTRAL, FALCON_7B):
        for item in read_config(config).provenance:
            assert item.sentence.endswith("."), item
            assert item.source in ("config", "class default", "rule")


def test_deciding_lines_are_those_of_the_right_object() -> None:
    text = json.dumps(
        {
            "model_type": "llava",
            "vision_config": {"num_attention_heads": 16, "num_hidden_layers": 24},
            "text_config": llama(),
        },
        indent=2,
    )
    lines = deciding_lines(text, read_config(json.loads(text)).provenance)
    marked = {text.splitlines()[number - 1].strip().rstrip(",") for number in lines}
    assert marked == {
        '"hidden_size": 4096',
        '"num_hidden_layers": 32',
        '"num_attention_heads": 32',
        '"num_key_value_heads": 8',
    }
    assert text.splitlines().index('    "num_hidden_layers": 24') + 1 not in lines
    line = text.splitlines().index('    "num_key_value_heads": 8,') + 1
    assert [item.figure for item in lines[line]] == ["num_kv_heads"]


def test_deciding_lines_reach_into_lists_and_survive_broken_text() -> None:
    item = Provenance(figure="x", value="8", source="config", keys=("blocks.1.n",), sentence="s.")
    text = '{\n"blocks": [\n{"n": 1},\n{"n": 2}\n]}'
    assert deciding_lines(text, [item]) == {4: (item,)}
    assert deciding_lines('{]}{ not: json "', [item]) == {}
    assert deciding_lines('"' * 100_001, [item]) == {}


def test_reading_imports_neither_torch_nor_transformers() -> None:
    script = (
        "import sys, json; from core.models.spec import read_config; "
        f"print(read_config(json.loads({json.dumps(json.dumps(llama()))})).kv_bytes_per_token()); "
        "print([name for name in ('torch', 'transformers', 'streamlit', 'numpy') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.split("\n")[:2] == ["131072", "[]"]
