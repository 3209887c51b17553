"""The formats beside config.json: how each is recognised by its keys, and what it means.

The order matters where one format's keys are also another's: a draft nests a config.json, an adapter may carry its
model's type.
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
from core.models.formats.meaning import Translation


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


def format_of(raw: Mapping[str, Any]) -> Format | None:
    """The format that a file's keys give away; None for a plain config.json, which read_config judges."""
    return next((entry for entry in FORMATS if entry.recognises(raw)), None)
