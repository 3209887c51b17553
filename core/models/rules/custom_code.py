"""Model types that transformers 5.24 does not know: files of repositories that ship their own code.

Nobody's code is run here. The layouts below are the published ones, each with its spelling of the same few figures.
An unknown type may still be read by its own keys (own_keys.py), if it states every figure in the plain spelling and
has no key that could change what a layer keeps; otherwise it is refused.
"""

from collections.abc import Mapping
from typing import Any

from core.models.rules.class_defaults import ModelClass, model_classes
from core.models.rules.facts import UnsupportedConfig
from core.models.rules.fields import ConfigPart
from core.models.rules.own_keys import KV, PLAIN, own_layout, require

GPT2_NAMES = {"hidden_size": "n_embd", "num_hidden_layers": "n_layer", "num_attention_heads": "n_head"}
META_NAMES = {"hidden_size": "dim", "num_hidden_layers": "n_layers", "num_attention_heads": "n_heads"}
# KV: the layout knows num_key_value_heads; absent or null means as many as query heads


def _layout(name: str, aliases: dict[str, str] | None = None, **fields: Any) -> ModelClass:
    return ModelClass(name=name, aliases=aliases or {}, **fields)


FALCON_NAMES = {"num_hidden_layers": "n_layer", "num_attention_heads": "n_head", "num_kv_heads": "n_head_kv"}
LAYOUTS: dict[str, ModelClass] = {
    "RefinedWeb": _layout("the first Falcon code", FALCON_NAMES),
    "RefinedWebModel": _layout("the first Falcon code", FALCON_NAMES),
    "baichuan": _layout("Baichuan's code", {"max_position_embeddings": "model_max_length"}),
    "chatglm": _layout(
        "ChatGLM's code",
        {"num_hidden_layers": "num_layers", "head_dim": "kv_channels", "vocab_size": "padded_vocab_size"},
        head_dim="declared",
    ),
    "codeshell": _layout("CodeShell's code", GPT2_NAMES | {"num_key_value_heads": "num_query_groups"}, defaults=KV),
    "deci": _layout("DeciLM's code", defaults=KV),
    "gpt_refact": _layout("Refact's code", GPT2_NAMES),
    "hf_olmo": _layout("the first OLMo code", META_NAMES | {"hidden_size": "d_model"}, head_dim="absent"),
    "internlm": _layout("InternLM's code"),
    "jais": _layout("Jais's code", GPT2_NAMES),
    "k2_horizon": _layout("K2-Horizon's code", defaults=KV, head_dim="declared"),
    "minimax_m1": _layout("MiniMax's code", defaults=KV, head_dim="declared"),
    "minimax_text_01": _layout("MiniMax's code", defaults=KV, head_dim="declared"),
    "mixformer-sequential": _layout("the first Phi code", GPT2_NAMES),
    "nemotron-nas": _layout("DeciLM's code", defaults=KV),
    "openelm": _layout(
        "OpenELM's code",
        {"hidden_size": "model_dim", "num_hidden_layers": "num_transformer_layers"},
        head_dim="declared",
        defaults=KV,
    ),
    "phi-msft": _layout("the first Phi code", GPT2_NAMES | {"num_kv_heads": "n_head_kv"}),
    "qwen": _layout("the first Qwen code", {"head_dim": "kv_channels"}, head_dim="declared"),
    "step3_text": _layout(
        "StepFun's code", {"num_key_value_heads": "num_attention_groups"}, head_dim="declared", defaults=KV
    ),
    "params.json": _layout(
        "Meta's and Mistral's params.json",
        META_NAMES | {"num_key_value_heads": "n_kv_heads", "intermediate_size": "hidden_dim"},
        defaults=KV,
        head_dim="declared",
        kv_null_is_heads=True,
    ),
}  # fmt: skip
# Repository code that reads its file as a class of transformers does
SAME_AS = {
    "kimi_k2": "deepseek_v3",
    "llava_llama": "llama",
    "llava_mistral": "mistral",
    "llava_qwen": "qwen2",
    "llava_qwen2": "qwen2",
    "phi3_v": "phi3",
    "phi4mm": "phi3",
}


def layout_of(raw: Mapping[str, Any], path: str, model_type: str) -> tuple[str, ModelClass]:
    """(model_type that the rules go by, its layout) for a type that transformers does not know."""
    if model_type in LAYOUTS:
        return model_type, LAYOUTS[model_type]
    if model_type in SAME_AS:
        same = SAME_AS[model_type]
        require(raw, path, model_type, PLAIN)
        return same, model_classes()[same]
    if not model_type and {"dim", "n_layers", "n_heads"} <= raw.keys():
        return "params.json", LAYOUTS["params.json"]
    if not model_type:
        raise UnsupportedConfig(
            f"{path}model_type is absent, so nothing says how the other keys are meant. Add model_type as the model's "
            "own repository has it, or give its config.json."
        )
    return model_type, own_layout(raw, path, model_type)


def list_of_heads(part: ConfigPart, name: str, layers: int) -> list[int]:
    """A per-layer list of head counts, one entry per layer."""
    heads = part.integers(name, minimum=1)
    if heads is None or len(heads) != layers:
        part.refuse(name, f"a list of {layers} head counts is expected, one per layer")
    return heads
