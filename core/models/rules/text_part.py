"""Finds the object that describes the language model, and refuses files that describe something else, by name.

A multimodal file nests its language model (`text_config`, `thinker_config.text_config`, `llm_config`, …); its vision
and audio parts have heads and layers too, which must never be read.
"""

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any

from core.models.rules.class_defaults import ModelClass, model_classes
from core.models.rules.custom_code import layout_of
from core.models.rules.facts import UnsupportedConfig, shown
from core.models.rules.fields import ConfigPart
from core.models.rules.unbuilt import refuse_unbuilt

MAX_NESTING = 8
TEXT_KEYS = (
    "text_config",
    "thinker_config",
    "language_config",
    "llm_config",
    "lm_config",
    "vlm_config",
    "language_model",
)
# Classes that take the text fields from the top level when the nested object is absent (older files are flat)
FLAT_WHEN_ABSENT = {"qwen2_vl", "qwen2_5_vl", "hunyuan_vl", "paddleocr_vl", "fuyu", "glm5_next", "dots3_note"}
# Classes that put their own numbers under the nested object's, also where that object is there
MERGED = {"voxtral", "voxtral_realtime", "glmasr"}
# Classes that take the language model from under an older name where their own is absent or null
OLDER_KEYS = {"nemotron_h_omni": "llm_config"}
DECODER_ALL_THE_SAME = {"trocr", "gpt_neox", "gpt_neox_japanese"}  # decoders whose class says is_decoder: false
BIDIRECTIONAL = {"gemma3_text", "gemma4_text", "gemma4_unified_text"}  # the flag turns them into encoders
# Decoders whose cache is not a sum of keys and values per token of context
NOT_ANSWERED = {
    "cpmant": "it keeps learned prompt tokens beside the context, as many as a task needs",
    "unlimited_ocr_text": "it keeps the whole prompt but only a window of what it generates",
    "blip_text_model": "it also keeps keys and values of the picture",
    "blip": "its text decoder also keeps keys and values of the picture",
    "diffusion_gemma_text": "it denoises blocks of text, which is no decoding token by token",
    "gemma4_assistant": "it reads the cache of the model that it assists and keeps none",
    "gemma4_unified_assistant": "it reads the cache of the model that it assists and keeps none",
    "idefics": "its cross-attention layers are not followed here",
    "musicgen": "its decoder also keeps keys and values of the text that it is given",
    "musicgen_melody": "its decoder also keeps keys and values of the text that it is given",
    "openai-gpt": "transformers' code for it keeps no cache",
    "pi0": "it denoises actions, which is no decoding token by token",
    "pix2struct": "an encoder-decoder model, whose cache also depends on the encoder's input",
    "reformer": "it keeps hashed buckets and chunks rather than keys and values",
    "rwkv": "it keeps a recurrent state that this reader does not count",
    "xlm": "transformers' code for it keeps no cache of its usual kind",
    "xlnet": "it keeps hidden states rather than keys and values",
    "blt": "it works on bytes, in patches of a length that depends on the text",
}
MEASURED = "Its file cannot say how much: measure it, or give the config.json of a model that keeps keys and values."
INSTEAD = {  # where another file says it
    "gemma4_assistant": "Give the config.json of the model that it assists.",
    "gemma4_unified_assistant": "Give the config.json of the model that it assists.",
}
OTHER_FILES = {  # a key that gives the wrong file of a repository away, and what that file is
    "peft_type": "a PEFT adapter's settings (adapter_config.json)",
    "_diffusers_version": "a diffusers model",
    "tokenizer_class": "a tokenizer's settings (tokenizer_config.json)",
    "added_tokens_decoder": "a tokenizer's settings (tokenizer_config.json)",
    "image_processor_type": "an image processor's settings (preprocessor_config.json)",
    "feature_extractor_type": "an audio processor's settings (preprocessor_config.json)",
    "weight_map": "an index of weight files (model.safetensors.index.json)",
    "general.architecture": "GGUF metadata",
}
ADVICE = "Give the config.json of a decoder language model."


@lru_cache(maxsize=1)
def nested_text_types() -> frozenset[str]:
    """The types that a language model of transformers nests as its text part: also read when a file holds one alone."""
    classes = [entry for entry in model_classes().values() if entry.is_language_model]
    parts = {part.model_type for entry in classes for key, part in entry.parts.items() if key in TEXT_KEYS}
    outer = {name for name, entry in model_classes().items() if set(entry.parts) & {"thinker_config"}}
    return frozenset(parts | outer)


Inner = tuple[Mapping[str, Any], str, str | None, dict[str, Any]]


def text_part(config: Mapping[str, Any]) -> ConfigPart:
    """The language model's own object. Raises UnsupportedConfig for a file without one."""
    raw: Mapping[str, Any] = config
    path, fixed, defaults = "", None, {}  # type: str, str | None, dict[str, Any]
    for _ in range(MAX_NESTING):
        model_type = fixed or _model_type(raw, path)
        model_class = model_classes().get(model_type)
        if model_type in NOT_ANSWERED:
            raise UnsupportedConfig(
                f"{path}model_type is {shown(model_type)}: {NOT_ANSWERED[model_type]}. "
                f"{INSTEAD.get(model_type, MEASURED)}"
            )
        inner = _inner(raw, path, model_type, model_class)
        if inner is None:
            return _decoder(raw, path, model_type, model_class, defaults)
        raw, path, fixed, defaults = inner
    raise UnsupportedConfig(f"{path[:80]} is nested more than {MAX_NESTING} levels deep. {ADVICE}")


def _model_type(raw: Mapping[str, Any], path: str) -> str:
    value = raw.get("model_type")
    if value is None:
        for key, name in OTHER_FILES.items():
            if key in raw and not path:
                raise UnsupportedConfig(f"{key} is {shown(raw[key])}: this is {name}, not a model config. {ADVICE}")
        return ""
    if not isinstance(value, str) or not value:
        raise UnsupportedConfig(f"{path}model_type is {shown(value)}: a name in quotes is expected. {ADVICE}")
    return value


def _inner(raw: Mapping[str, Any], path: str, model_type: str, model_class: ModelClass | None) -> Inner | None:
    """The nested language model: its object, path, fixed model_type (None: its own decides) and class defaults."""
    if model_class is not None and not model_class.parts:
        return None
    known = model_class.parts if model_class is not None else {}
    key = next((key for key in TEXT_KEYS if key in known), None)
    if model_class is not None and key is None:
        return None  # composite, but the language model is the outer object itself
    if key is None:
        key = next((other for other in TEXT_KEYS if other in raw), None)
        if key is None:
            return None
    older = OLDER_KEYS.get(model_type)
    if older is not None and raw.get(key) is None and raw.get(older) is not None:
        key = older
    return _descend(raw, path, model_type, key, model_class)


def _descend(raw: Mapping[str, Any], path: str, model_type: str, key: str, model_class: ModelClass | None) -> Inner:
    part = model_class.parts.get(key) or model_class.parts.get("text_config") if model_class is not None else None
    value = raw.get(key)
    if value is None and part is not None:
        if model_type in FLAT_WHEN_ABSENT:
            return raw, path, part.model_type, {}
        dimensions = [name for name in ("num_hidden_layers", "hidden_size", "num_attention_heads") if name in raw]
        if dimensions:
            raise UnsupportedConfig(
                f"{path}{dimensions[0]} is {shown(raw[dimensions[0]])} at the top level, but {model_type} keeps its "
                f"language model under {key}, which is absent. Nest the numbers there."
            )
        return {}, f"{path}{key}.", part.model_type, part.defaults
    if not isinstance(value, Mapping):
        raise UnsupportedConfig(f"{path}{key} is {shown(value)}: an object is expected. {ADVICE}")
    if part is None:  # an unknown type: its nested object may leave the name to it
        return value, f"{path}{key}.", model_type if value.get("model_type") is None else None, {}
    own = value.get("model_type") if part.by_model_type else None
    if own is not None and not isinstance(own, str):
        raise UnsupportedConfig(f"{path}{key}.model_type is {shown(own)}: a name in quotes is expected. {ADVICE}")
    merged = part.defaults if model_type in MERGED else {}
    return value, f"{path}{key}.", own or part.model_type, merged


def _decoder(
    raw: Mapping[str, Any], path: str, model_type: str, model_class: ModelClass | None, defaults: dict[str, Any]
) -> ConfigPart:
    """The part as the rules read it, once it is sure that it describes a decoder."""
    if model_class is None:
        model_type, model_class = layout_of(raw, path, model_type)
    elif not (model_class.is_language_model or model_type in nested_text_types()):
        raise UnsupportedConfig(
            f"{path}model_type is {shown(model_type)}: transformers knows it as {model_class.name}, which is no "
            f"decoder language model. {ADVICE}"
        )
    if defaults:
        model_class = replace(model_class, defaults={**model_class.defaults, **defaults})
    part = ConfigPart(raw=raw, path=path, model_type=model_type, model_class=model_class)
    part.refuse_nulls()
    refuse_unbuilt(part)
    if part.value("is_encoder_decoder") is True:
        raise UnsupportedConfig(
            f"{path}model_type is {shown(model_type)}: an encoder-decoder model, whose cache also depends on the "
            f"encoder's input. {ADVICE}"
        )
    if part.raw.get("use_bidirectional_attention") in (True, "all") and model_type in BIDIRECTIONAL:
        part.refuse("use_bidirectional_attention", "the model attends both ways and decodes nothing", ADVICE)
    encoder = model_class.defaults.get("is_decoder") is False and model_type not in DECODER_ALL_THE_SAME
    if encoder and part.boolean("is_decoder").value is not True:
        part.refuse("is_decoder", f"{model_type} is then an encoder, which keeps no KV cache", ADVICE)
    return part
