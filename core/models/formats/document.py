"""Any file that says how a model attends: found by its keys, never its name, and read as the config.json it means.

One small module a format beside this one. The order of the table matters where one format's keys are also another's: a
draft nests a config.json, an adapter may carry its model's type.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from core.models.formats import (
    attachments,
    drafts,
    keras_hub,
    litgpt,
    megatron,
    mlc,
    nano,
    onnx_genai,
    params,
    tensorrt_llm,
    torchtune,
)
from core.models.formats.cache_width import CacheWidth, cache_width_of
from core.models.formats.meaning import Translation, meaning, with_cache_width
from core.models.formats.nearly import refuse_nearly
from core.models.formats.parsed import parse
from core.models.gguf.dump import LOOKED_AT, looks_like_dump, read_dump
from core.models.rules.facts import UnsupportedConfig
from core.models.spec import ModelSpec, read_config

GGUF = b"GGUF"
CHAT_KEYS = {"conv_template", "context_window_size", "model_config"}  # MLC's, beside a model_type that is a class's too


@dataclass(frozen=True, kw_only=True)
class Format:
    """A format: its name, the keys that give it away, and its meaning."""

    name: str
    recognises: Callable[[Mapping[str, Any]], bool]
    translate: Callable[[Mapping[str, Any]], Translation]


FORMATS = (
    Format(name="PEFT adapter", recognises=attachments.recognises_peft, translate=attachments.refuse_peft),
    Format(name="drafting heads", recognises=attachments.recognises_heads, translate=attachments.refuse_heads),
    Format(name="speculators draft", recognises=drafts.recognises, translate=drafts.translate),
    Format(name="EAGLE draft", recognises=drafts.recognises_eagle, translate=drafts.translate_eagle),
    Format(name="ONNX Runtime GenAI", recognises=onnx_genai.recognises, translate=onnx_genai.translate),
    Format(name="MLC", recognises=mlc.recognises, translate=mlc.translate),
    Format(name="TensorRT-LLM", recognises=tensorrt_llm.recognises, translate=tensorrt_llm.translate),
    Format(name="Keras-Hub", recognises=keras_hub.recognises, translate=keras_hub.translate),
    Format(name="torchtune", recognises=torchtune.recognises, translate=torchtune.translate),
    Format(name="params.json", recognises=params.recognises, translate=params.translate),
    Format(name="nanochat", recognises=nano.recognises_nanochat, translate=nano.translate_nanochat),
    Format(name="LitGPT", recognises=litgpt.recognises, translate=litgpt.translate),
    Format(name="nanoGPT", recognises=nano.recognises_nanogpt, translate=nano.translate_nanogpt),
    Format(name="Megatron-core", recognises=megatron.recognises, translate=megatron.translate),
    Format(
        name="ModelOpt quantisation",
        recognises=attachments.recognises_quantisation,
        translate=attachments.refuse_quantisation,
    ),
    Format(name="settings", recognises=attachments.recognises_base, translate=attachments.refuse_base),
)
# What pages name; the others of the table are refused, or nest a config.json
READ_FORMATS = (
    "config.json", "params.json", "ONNX Runtime GenAI", "MLC", "TensorRT-LLM", "LitGPT", "nanoGPT and nanochat",
    "Megatron-core and NeMo", "Keras-Hub", "torchtune", "speculators and EAGLE drafts",
)  # fmt: skip


def read_document(data: bytes, beside: bytes | None = None) -> ModelSpec:
    """The model of a JSON or YAML file, whatever tool wrote it; `beside` is its hf_quant_config.json, if there is one.

    spec.config is the config.json that the file means, and every figure names the file's own keys. spec.cache_bits is
    what the file (or the one beside it) says of the cache's width, None where both are silent.
    Raises UnsupportedConfig, and nothing else, for whatever is not understood.
    """
    if data.startswith(GGUF):
        from core.models.gguf.header import metadata_of  # noqa: PLC0415  a config.json needs none of it

        return _of_header(metadata_of(lambda count: data[:count]))
    if looks_like_dump(data[:LOOKED_AT].decode("utf-8", "replace")):
        return _of_header(read_dump(data.decode("utf-8", "replace")))
    spec = spec_of(parse(data))
    return spec if beside is None else with_width_beside(spec, beside)


def _of_header(metadata: Any) -> ModelSpec:
    from core.models.gguf.metadata import read_metadata  # noqa: PLC0415  a config.json needs none of it

    return read_metadata(metadata)


def spec_of(raw: Mapping[str, Any]) -> ModelSpec:
    """The model of a parsed file. Raises UnsupportedConfig."""
    found = format_of(raw)
    if found is None:
        if "model_type" not in raw or CHAT_KEYS & raw.keys():
            refuse_nearly(raw)
        return read_config(raw)
    spec, width = meaning(found.translate(raw)), cache_width_of(raw)
    return spec if width is None or spec.cache_width is not None else with_cache_width(spec, width)


def format_of(raw: Mapping[str, Any]) -> Format | None:
    """The format that a file's keys give away; None for a plain config.json, which read_config judges."""
    return next((entry for entry in FORMATS if entry.recognises(raw)), None)


def with_width_beside(spec: ModelSpec, beside: bytes) -> ModelSpec:
    """The model with the cache's width of its hf_quant_config.json. Raises UnsupportedConfig where the two disagree."""
    width = cache_bits_of(parse(beside))
    if width is None:
        return spec
    if spec.cache_width is not None and spec.cache_width.bits != width.bits:
        raise UnsupportedConfig(
            f"{width.note.keys[0]} says {width.bits:g} bits and {spec.cache_width.note.keys[0]} of the config says "
            f"{spec.cache_width.bits:g}: give the one that holds."
        )
    return with_cache_width(spec, width)


def cache_bits_of(document: Mapping[str, Any]) -> CacheWidth | None:
    """What a parsed file says of the cache's width, such as hf_quant_config.json; None where it says nothing."""
    return cache_width_of(document)
