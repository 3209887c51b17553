"""Model types that transformers 5.24 does not know: files of repositories that ship their own code.

Nobody's code is run here. The layouts below are the published ones, each with its spelling of the same few figures.
An unknown type may still be read by the generic rule, if it states every figure in the plain spelling and has no key
that hints at another attention; otherwise it is refused.
"""

import re
from collections.abc import Mapping
from typing import Any

from core.models.rules.class_defaults import ModelClass, model_classes
from core.models.rules.facts import UnsupportedConfig, shown
from core.models.rules.fields import ConfigPart

GPT2_NAMES = {"hidden_size": "n_embd", "num_hidden_layers": "n_layer", "num_attention_heads": "n_head"}
META_NAMES = {"hidden_size": "dim", "num_hidden_layers": "n_layers", "num_attention_heads": "n_heads"}
KV = {"num_key_value_heads": None}  # the layout knows the key; absent or null means as many as query heads


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
PLAIN = ("hidden_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads")
HINTS = re.compile(
    r"window|sliding|kv|lora_rank|mamba|ssm|linear|conv|state|latent|layer_types|pattern|interval|cross|block_config"
    r"|chunk|shar|cla_|recurren|attn_type|attention_type|sparse|compress|multi_query|group|n_head|per_layer|hybrid"
    r"|global|local|index|attention_layer|attn_layer|full_att|skip|head|yoco|nope|cache",
    re.IGNORECASE,
)
HARMLESS = re.compile(
    r"^(.*qkv.*|num_attention_heads|num_key_value_heads|head_dim|use_cache|lm_head.*|num_local_experts|local_rank|n_group"
    r"|topk_group|tie_word_embeddings|hidden_act|.*_shared_expert.*|.*shared_experts?.*|moe_.*|keep_.*|head_type)$"
)


def layout_of(raw: Mapping[str, Any], path: str, model_type: str) -> tuple[str, ModelClass]:
    """(model_type that the rules go by, its layout) for a type that transformers does not know."""
    if model_type in LAYOUTS:
        return model_type, LAYOUTS[model_type]
    if model_type in SAME_AS:
        same = SAME_AS[model_type]
        _require(raw, path, model_type, PLAIN)
        return same, model_classes()[same]
    if not model_type and {"dim", "n_layers", "n_heads"} <= raw.keys():
        return "params.json", LAYOUTS["params.json"]
    if not model_type:
        raise UnsupportedConfig(
            f"{path}model_type is absent, so nothing says how the other keys are meant. Add model_type as the model's "
            "own repository has it, or give its config.json."
        )
    return model_type, _generic(raw, path, model_type)


def _generic(raw: Mapping[str, Any], path: str, model_type: str) -> ModelClass:
    """Every figure stated in the plain spelling, and no key that hints at another attention."""
    _require(raw, path, model_type, PLAIN)
    switched_off = ("sliding_window", "max_window_layers") if raw.get("use_sliding_window") is False else ()
    for key, value in raw.items():
        if key in switched_off:
            continue
        hint = isinstance(key, str) and HINTS.search(key) and not HARMLESS.match(key)
        if hint and value not in (None, False, {}, []):
            raise UnsupportedConfig(
                f"{path}{shown(key)[1:-1]} is {shown(value)} and {path}model_type {shown(model_type)} is not known to "
                "transformers 5.24: the key may change what the cache holds. Ask for this model to be added."
            )
    return ModelClass(name=f"the plain layout of {shown(model_type)[1:-1]}", defaults=dict(KV), head_dim="declared")


def _require(raw: Mapping[str, Any], path: str, model_type: str, keys: tuple[str, ...]) -> None:
    for key in keys:
        if raw.get(key) is None:
            raise UnsupportedConfig(
                f"{path}{key} is {'null' if key in raw else 'absent'} and {path}model_type {shown(model_type)} is not "
                "known to transformers 5.24: nothing says what stands in for it. Ask for this model to be added."
            )


def list_of_heads(part: ConfigPart, name: str, layers: int) -> list[int]:
    """A per-layer list of head counts, one entry per layer."""
    heads = part.integers(name, minimum=1)
    if heads is None or len(heads) != layers:
        part.refuse(name, f"a list of {layers} head counts is expected, one per layer")
    return heads
