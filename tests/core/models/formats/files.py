"""One small file of each format, after the keys that its own tool writes; the source of each is named beside it."""

import json
from typing import Any

LLAMA = {"num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 8, "hidden_size": 4096}


def genai(**decoder: Any) -> dict[str, Any]:
    """onnxruntime-genai 0.18, models/builders/base.py, make_genai_config (gpt-oss 20B)."""
    figures = {
        "session_options": {"log_id": "onnxruntime-genai", "provider_options": []},
        "filename": "model.onnx",
        "head_size": 64,
        "hidden_size": 2880,
        "inputs": {"input_ids": "input_ids", "past_key_names": "past_key_values.%d.key"},
        "num_attention_heads": 64,
        "num_hidden_layers": 24,
        "num_key_value_heads": 8,
    }
    model = {"type": "gptoss", "context_length": 131072, "vocab_size": 201088, "decoder": figures | decoder}
    return {"model": model, "search": {"max_length": 131072, "past_present_share_buffer": True}}


def mlc(model_type: str, **figures: Any) -> dict[str, Any]:
    """mlc-llm, interface/gen_config.py: MLCChatConfig with the class's own fields under model_config."""
    return {"version": "0.1.0", "model_type": model_type, "quantization": "q4f16_1", "model_config": figures}


def trt(architecture: str, **figures: Any) -> dict[str, Any]:
    """TensorRT-LLM, models/modeling_utils.py, PretrainedConfig.to_dict."""
    shape = {"num_hidden_layers": 32, "num_attention_heads": 32, "hidden_size": 4096}
    quantization = {"quant_algo": None, "kv_cache_quant_algo": None, "exclude_modules": None}
    mapping = {"world_size": 1, "tp_size": 1}
    return {"architecture": architecture, "dtype": "bfloat16", "mapping": mapping, "quantization": quantization} | (
        shape | figures
    )


def litgpt(**figures: Any) -> dict[str, Any]:
    """litgpt 0.5.13, utils.py, save_config: asdict of its Config."""
    shape = {"name": "Llama-3-8B", "n_layer": 32, "n_head": 32, "n_embd": 4096, "padded_vocab_size": 128256}
    return shape | {"hf_config": {"org": "meta-llama", "name": "Meta-Llama-3-8B"}, "n_query_groups": 8} | figures


def nanochat(**figures: Any) -> dict[str, Any]:
    """nanochat, checkpoint_manager.py: meta_NNNNNN.json."""
    shape = {"sequence_len": 2048, "vocab_size": 65536, "n_layer": 20, "n_head": 10, "n_kv_head": 10, "n_embd": 1280}
    return {"step": 21400, "val_bpb": 0.8, "model_config": shape | figures, "user_config": {"depth": 20}}


def nemo(**figures: Any) -> dict[str, Any]:
    """NeMo 1, megatron_llama_config.yaml."""
    shape = {"num_layers": 32, "hidden_size": 4096, "num_attention_heads": 32, "kv_channels": None}
    names = {"encoder_seq_length": 4096, "max_position_embeddings": "${.encoder_seq_length}"}
    return {"name": "megatron_llama", "trainer": {"precision": "bf16"}, "model": shape | names | figures}


def keras(class_name: str, **figures: Any) -> dict[str, Any]:
    """keras-hub 0.32, a backbone's get_config, serialised by Keras."""
    shape = {"vocabulary_size": 256000, "num_layers": 12, "hidden_dim": 2048, "num_query_heads": 16}
    config = {"name": "backbone", "trainable": True, "num_key_value_heads": 4} | shape | figures
    return {"module": "keras_hub.src.models", "class_name": class_name, "config": config, "registered_name": class_name}


def torchtune(component: str, **figures: Any) -> dict[str, Any]:
    """torchtune 0.6.1, recipes/configs."""
    return {"model": {"_component_": component, **figures}, "batch_size": 2, "seed": None}


def speculator(kind: str, **layer: Any) -> dict[str, Any]:
    """speculators 0.9, SpeculatorModelConfig.to_dict: the decoder as to_diff_dict leaves it."""
    verifier = {"name_or_path": "org/model", "architectures": ["LlamaForCausalLM"]}
    config = {"algorithm": kind, "verifier": verifier, "proposal_methods": [], "default_proposal_method": "greedy"}
    return {
        "speculators_model_type": kind,
        "architectures": ["Speculator"],
        "speculators_config": config,
        "transformer_layer_config": layer,
    }


def as_bytes(document: dict[str, Any]) -> bytes:
    """As JSON, which is YAML too."""
    return json.dumps(document).encode()


SAMPLES = {
    "genai": genai(sliding_window={"window_size": 128, "layers": [0, 2, 4]}),
    "genai lfm2": genai(layer_types=["conv", "full_attention"] * 12, conv_cache_size=2),
    "mlc": mlc("llama", **LLAMA, head_dim=128, vocab_size=128256),
    "mlc unknown": mlc("minicpm", **LLAMA, head_dim=128, sliding_window_size=4096),
    "trt": trt("LlamaForCausalLM", num_key_value_heads=8, head_size=128),
    "trt latent": trt(
        "DeepseekV2ForCausalLM", num_key_value_heads=1, head_size=576, kv_lora_rank=512, qk_rope_head_dim=64,
        qk_nope_head_dim=128, v_head_dim=128,
    ),
    "trt deci": trt("DeciLMForCausalLM", num_hidden_layers=2, num_key_value_heads=8, layer_configs=[
        {"attention": {"impl": "attention", "num_key_value_heads": 4}}, {"attention": {"impl": "no_op"}},
    ]),
    "litgpt": litgpt(sliding_window_size=4096, sliding_window_indices=[1, 0] * 16),
    "litgpt latent": litgpt(latent_attention={"kv_lora_rank": 512, "qk_rope_head_dim": 64}, n_query_groups=32),
    "nanochat": nanochat(window_pattern="SSSL"),
    "nanogpt": {"model_args": {"n_layer": 12, "n_head": 12, "n_embd": 768, "block_size": 1024, "vocab_size": 50304}},
    "nemo": nemo(num_query_groups=8, window_size=[127, 0], window_attn_skip_freq=2),
    "nemo mamba": nemo(num_layers=4, num_query_groups=8, hybrid_override_pattern="M*-M"),
    "nemo linear": nemo(num_query_groups=2, linear_attention_freq=4),
    "nemo latent": nemo(multi_latent_attention=True, kv_lora_rank=512),
    "keras": keras("Gemma3Backbone", head_dim=256, use_sliding_window_attention=True, sliding_window_size=1024),
    "keras gemma4": keras("Gemma4Backbone", head_dim=256, global_head_dim=512, num_kv_shared_layers=2),
    "keras qwen3.5": keras("Qwen3_5Backbone", head_dim=256, sliding_window_size=None),
    "torchtune": torchtune("torchtune.models.llama3_1.llama3_1_8b"),
    "torchtune figures": torchtune(
        "torchtune.models.gemma2.gemma2", num_layers=26, num_heads=8, num_kv_heads=4, embed_dim=2304, head_dim=256
    ),
    "speculator": speculator("eagle3", model_type="llama", **LLAMA | {"num_hidden_layers": 1}),
    "mtp": speculator("mtp", model_type="qwen3_next", num_attention_heads=16, num_key_value_heads=2, head_dim=256),
    "eagle": {"model_type": "eagle", "model": {"model_type": "llama", **LLAMA, "num_hidden_layers": 1}},
    "params": {"dim": 4096, "n_layers": 32, "n_heads": 32, "n_kv_heads": 8, "sliding_window": [None, 1024]},
    "params llama 4": {"dim": 5120, "n_layers": 48, "n_heads": 40, "n_kv_heads": 8, "head_dim": 128,
                       "attention_chunk_size": 8192, "nope_layer_interval": 4},
    "config": {"model_type": "llama", **LLAMA, "quantization_config": {
        "quant_method": "compressed-tensors", "kv_cache_scheme": {"num_bits": 8, "type": "float", "group_size": None}}},
    "quark": {"model_type": "llama", **LLAMA, "quantization_config": {
        "quant_method": "quark", "export": {"kv_cache_group": ["*k_proj", "*v_proj"]},
        "layer_quant_config": {"*k_proj": {"output_tensors": {"dtype": "fp8_e4m3"}}}}},
}  # fmt: skip
