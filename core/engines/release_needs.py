"""What a small config of some classes must say besides the usual for the class to build and run: by model type.

Mostly a rotary section that has to add up to half a head, experts in groups, an entry for every layer, or a tower as
wide as its language model. Only what the class itself asks for; nothing here is a rule of the reader.
"""

from typing import Any

_SECTIONS = {"rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [2, 3, 3]}}
_LONG_SECTIONS = {"rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [4, 4, 4]}}
_ONE_GROUP = {"n_group": 1, "topk_group": 1}
_MAMBA2 = {"mamba_n_heads": 8, "mamba_d_head": 32, "mamba_n_groups": 1, "mamba_d_state": 16, "mamba_chunk_size": 8}
_CONVOLUTIONS = ["conv", "conv", "full_attention", "conv", "full_attention", "conv"]
_NORMAL = {"rope_type": "default", "rope_theta": 10000.0}
NEEDS: dict[str, dict[str, Any]] = {
    "apertus1p5_text": {"vocab_size": 270_000},
    "axk1": _ONE_GROUP,
    "bailing_hybrid": _ONE_GROUP,
    "bamba": _MAMBA2 | {"attn_layer_indices": [2, 5]},
    "beam": _ONE_GROUP,
    "codegen": {"rotary_dim": 8},
    "cohere_compass_text": {"rope_parameters": {"full_attention": _NORMAL, "sliding_attention": _NORMAL}},
    "cosmos3_edge_text": _LONG_SECTIONS,
    "dbrx": {
        "attn_config": {"kv_n_heads": 2, "clip_qkv": 8, "rope_theta": 10000.0},
        "ffn_config": {"ffn_hidden_size": 64, "moe_num_experts": 4, "moe_top_k": 2},
    },
    "chameleon": {"vocabulary_map": {"<image>": 4}},
    "deepseek_ocr2_text": {"mlp_layer_types": ["dense"] + ["sparse"] * 5},
    "deepseek_v3": _ONE_GROUP,
    "deepseek_v32": _ONE_GROUP,
    "dory": {"n_input_layers": 1, "n_output_layers": 2},
    "dots1": _ONE_GROUP | {"n_shared_experts": 1},
    "ernie4_5_vl_moe_text": {
        "rope_parameters": _NORMAL | {"mrope_section": [3, 3, 2]},
        "moe_intermediate_size": [64, 64], "moe_num_experts": 4, "moe_k": 2,
    },
    "gemma3n_text": {
        "num_hidden_layers": 10, "intermediate_size": [64] * 10, "num_kv_shared_layers": 4,
        "hidden_size_per_layer_input": 16, "laurel_rank": 8, "vocab_size_per_layer_input": 128,
        "activation_sparsity_pattern": [0.0] * 10,
    },
    "glm4v_moe_text": {"rope_parameters": _NORMAL | {"mrope_section": [1, 1, 2]}},
    "glm4v_text": _SECTIONS,
    "glm5_next_text": {"index_kpool": 4, "qk_rope_head_dim": 0},
    "glm_ocr_text": _SECTIONS,
    "gpt_neo": {"attention_types": [[["global", "local"], 3]], "window_size": 16},
    "gptj": {"rotary_dim": 8},
    "granitemoehybrid": _MAMBA2 | {"layer_types": ["mamba", "mamba", "attention"] * 2},
    "helium": {"head_dim": 16},
    "hunyuan_vl_text": {"rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, "xdrope_section": [3] * 4}},
    "hy_v4_vl_text": {"rope_parameters": _NORMAL | {"mrope_section": [1, 1, 2]}},
    "lfm2_moe": {"layer_types": _CONVOLUTIONS},
    "longcat_flash": {"head_dim": 8},
    "mamba2": {"num_heads": 8, "head_dim": 32, "n_groups": 1, "state_size": 16, "chunk_size": 8},
    "paddleocr_vl_text": _LONG_SECTIONS,
    "qwen2_5_omni_text": _SECTIONS,
    "qwen2_5_vl_text": _SECTIONS,
    "qwen2_vl_text": _SECTIONS,
    "qwen4_exp_text": {
        "indexer_n_heads": 4, "indexer_kv_heads": 1, "indexer_head_dim": 32, "indexer_budget": 8,
        "indexer_compress_ratio": 1, "shared_expert_intermediate_size": 32, "linear_num_key_heads": 4,
        "linear_num_value_heads": 8, "linear_key_head_dim": 8, "linear_value_head_dim": 12,
    },
    "zamba": {
        "num_hidden_layers": 12, "num_key_value_heads": 8, "mamba_d_state": 16, "attn_layer_period": 3,
        "attn_layer_offset": 2, "n_mamba_heads": 2,
    },
    "zamba2": {
        "layers_block_type": ["linear_attention", "linear_attention", "hybrid"] * 2, "n_mamba_heads": 8,
        "mamba_ngroups": 1, "mamba_d_state": 16, "chunk_size": 8,
    },
    "zaya": {"num_experts_per_tok": 1, "router_hidden_size": 16},
}  # fmt: skip
# Beside the language model, in a composite file.
OUTER: dict[str, dict[str, Any]] = {
    "dots3_note": {"vision_config": {"adapter_out_dim": 128}, "audio_config": {"adapter_out_dim": 128}},
    "fun_asr_nano": {"adaptor_config": {"hidden_size": 128, "intermediate_size": 32}},
    "granite_docling": {"vision_config": {"out_hidden_size": 128}},
    "granite4_vision": {"deepstack_layer_map": [[0, 1]], "spatial_target_layers": [1], "downsample_rate": "1/2"},
    "inkling2": {"vision_config": {"text_hidden_size": 128}},
    "inkling2_loop": {"vision_config": {"text_hidden_size": 128}},
    "muse_spark": {"audio_config": {"out_hidden_size": 128}},
}
