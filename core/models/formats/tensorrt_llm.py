"""TensorRT-LLM's checkpoint config.json, also as an engine keeps it under pretrained_config.

After PretrainedConfig of TensorRT-LLM (tensorrt_llm/models/modeling_utils.py): num_key_value_heads null or absent
means MHA, head_size null or absent hidden_size / heads. DeepSeek-V2 writes one KV head whose head_size is latent +
rotary width; kv_lora_rank beside it says that it is a latent, kept once and not as key and value.
"""

from collections.abc import Mapping
from typing import Any

from core.models.formats.cache_width import TRT_TYPES, CacheWidth, is_silent, named_width
from core.models.formats.meaning import Shape, Translation, latent, translated
from core.models.formats.section import Figure, Section

TOOL = "TensorRT-LLM"
ADVICE = "Give the config.json of the model that was converted."
REFUSED = {
    "EncoderModel": "an encoder, whose cache belongs to the decoder beside it",
    "DecoderModel": "the decoder of an encoder-decoder model, whose cache also depends on the encoder's input",
    "WhisperEncoder": "an encoder, which keeps no KV cache",
    "MambaForCausalLM": "it keeps recurrent states, whose keys are not read here",
    "RecurrentGemmaForCausalLM": "it keeps recurrent states, whose keys are not read here",
    "EagleForCausalLM": "its drafting layers keep a cache beside the model's",
    "DiT": "a diffusion model",
    "STDiT3": "a diffusion model",
    "SD3Transformer2DModel": "a diffusion model",
}


def recognises(raw: Mapping[str, Any]) -> bool:
    """architecture (one name, where config.json lists architectures) beside the number of layers."""
    inner = raw.get("pretrained_config")
    raw = inner if isinstance(inner, Mapping) else raw
    return isinstance(raw.get("architecture"), str) and "num_hidden_layers" in raw


def translate(raw: Mapping[str, Any]) -> Translation:
    """The checkpoint as a config.json. Raises UnsupportedConfig."""
    top = Section(raw=raw, tool=TOOL)
    part = top.section("pretrained_config") if isinstance(raw.get("pretrained_config"), Mapping) else top
    _refuse(part)
    layers, query = part.layers("num_hidden_layers"), part.integer("num_attention_heads")
    hidden = part.integer("hidden_size")
    shape = Shape(
        name=f"{part.text('architecture')} of {TOOL}",
        layers=layers,
        query_heads=query,
        kv_heads=part.kv_heads("num_key_value_heads", query),
        head_dim=part.head_dim("head_size", hidden, query),
        hidden=hidden,
        vocabulary=part.optional("vocab_size"),
        feed_forward=part.optional("intermediate_size"),
        context=part.optional("max_position_embeddings"),
        cache=_cache(part),
        **_layers_that_differ(part, layers, query),
    )
    if part.has("kv_lora_rank"):
        return latent(
            shape,
            rank=part.integer("kv_lora_rank"),
            rotary=part.integer("qk_rope_head_dim", minimum=0),
            key=part.optional("qk_nope_head_dim"),
            value=part.optional("v_head_dim"),
        )
    return translated(shape)


def _refuse(part: Section) -> None:
    if part.text("architecture") in REFUSED:
        part.refuse("architecture", REFUSED[str(part.text("architecture"))], ADVICE)
    types = part.raw.get("layer_types")
    if isinstance(types, list) and set(map(str, types)) - {"attention"}:
        part.refuse("layer_types", "some layers are recurrent, and their states are not read here", ADVICE)
    defaults = part.raw.get("runtime_defaults")
    cache = defaults.get("kv_cache_config") if isinstance(defaults, Mapping) else None
    if not isinstance(cache, Mapping):
        return
    windows = [key for key in cache if "window" in str(key) and cache[key]]
    if windows:
        key = f"{part.path}runtime_defaults.kv_cache_config."
        Section(raw=cache, tool=TOOL, path=key).refuse(windows[0], "windows of each layer are not read here", ADVICE)


def _layers_that_differ(part: Section, layers: Figure, query: Figure) -> dict[str, Any]:
    """Gemma 3's windows, the removed and the narrower layers of DeciLM, Llama 3.2 Vision's cross-attention."""
    if part.has("layer_configs"):
        return _deci(part, layers, query)
    if part.has("cross_attention_layers"):
        listed = part.indices("cross_attention_layers", layers.value)
        return {
            "carrier": "mllama_text_model",
            "others": {"cross_attention_layers": part.figure(listed, "cross_attention_layers", sentence="")},
        }
    window, pattern = part.optional("sliding_window"), part.optional("sliding_window_pattern")
    if window is None or pattern is None:
        return {"window": window}
    kinds = ["sliding_attention" if (n + 1) % pattern.value else "full_attention" for n in range(layers.value)]
    sentence = f"One layer in {pattern.value} keeps the whole context ({part.path}sliding_window_pattern)."
    return {"window": window, "kinds": part.figure(kinds, "sliding_window_pattern", sentence=sentence)}


def _deci(part: Section, layers: Figure, query: Figure) -> dict[str, Any]:
    """layer_configs of DeciLM: attention.impl is 'attention', 'linear' or 'no_op', with KV heads of its own."""
    listed = part.raw["layer_configs"]
    if not isinstance(listed, list) or len(listed) != layers.value:
        part.refuse("layer_configs", f"a list of {layers.value} entries is expected, one per layer")
    kinds, changed = [], {}
    for index, entry in enumerate(listed):
        attention = entry.get("attention") if isinstance(entry, Mapping) else None
        if not isinstance(attention, Mapping):
            part.refuse("layer_configs", f"entry {index} has no attention object")
        own = Section(raw=attention, tool=TOOL, path=f"{part.path}layer_configs.{index}.attention.")
        implementation = own.raw.get("impl", "attention")
        if implementation not in ("attention", "linear", "no_op"):
            own.refuse("impl", "'attention', 'linear' or 'no_op' is expected")
        kinds.append("full_attention" if implementation == "attention" else "mlp")
        if own.has("num_key_value_heads"):
            changed[str(index)] = {"num_key_value_heads": own.kv_heads("num_key_value_heads", query).value}
    sentence = f"{part.path}layer_configs removes the attention of some layers and gives others their own KV heads."
    return {
        "kinds": part.figure(kinds, "layer_configs", sentence=sentence),
        "others": {"per_layer_config": part.figure(changed, "layer_configs", sentence=sentence)},
    }


def _cache(part: Section) -> CacheWidth | None:
    """quantization.kv_cache_quant_algo; kv_dtype, which older releases wrote beside it."""
    if isinstance(part.raw.get("quantization"), Mapping):
        quantization = part.section("quantization")
        algorithm = quantization.raw.get("kv_cache_quant_algo")
        if not is_silent(algorithm):
            return named_width(algorithm, f"{quantization.path}kv_cache_quant_algo")
    dtype = part.raw.get("kv_dtype")
    return None if dtype is None else named_width(dtype, f"{part.path}kv_dtype", TRT_TYPES)
