"""A file that lacks a key of its own format: the others give the tool away, so the refusal names tool and key."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from core.models.formats.litgpt import FIELDS
from core.models.rules.facts import UnsupportedConfig


@dataclass(frozen=True, kw_only=True)
class Telltale:
    """The keys that a tool's file needs at one place of it, and those that only this tool writes there."""

    file: str
    needed: tuple[str, ...]
    signs: frozenset[str]
    place: tuple[str, ...] = ()
    signs_wanted: int = 1


GPT2 = ("n_layer", "n_head", "n_embd")
MEGATRON = ("num_layers", "hidden_size", "num_attention_heads")
MEGATRON_ALONE = frozenset({"num_layers", "num_query_groups", "kv_channels", "ffn_hidden_size", "encoder_seq_length"})
TELLTALES = (
    Telltale(
        file="MLC's mlc-chat-config.json",
        needed=("model_type", "model_config"),
        signs=frozenset(
            {"conv_template", "context_window_size", "model_lib", "local_id", "mean_gen_len", "model_config"}
        ),
    ),
    Telltale(
        file="ONNX Runtime GenAI's genai_config.json",
        needed=("decoder",),
        signs=frozenset({"type", "context_length", "bos_token_id", "eos_token_id", "vocab_size"}),
        place=("model",),
        signs_wanted=2,
    ),
    Telltale(
        file="a Keras-Hub config.json",
        needed=("class_name", "config"),
        signs=frozenset({"registered_name", "class_name", "module"}),
    ),
    Telltale(
        file="a TensorRT-LLM checkpoint's config.json",
        needed=("architecture", "num_hidden_layers"),
        signs=frozenset({"architecture", "kv_dtype", "mapping", "position_embedding_type"}),
    ),
    Telltale(
        file="nanochat's metadata",
        needed=GPT2,
        signs=frozenset({"n_kv_head", "sequence_len", "window_pattern"}),
        place=("model_config",),
    ),
    Telltale(
        file="nanoGPT's metadata",
        needed=(*GPT2, "block_size"),
        signs=frozenset({*GPT2, "block_size"}),
        place=("model_args",),
    ),
    Telltale(file="LitGPT's model_config.yaml", needed=GPT2, signs=frozenset(FIELDS - {"head_size"})),
    Telltale(
        file="Meta's or Mistral's params.json",
        needed=("dim", "n_layers", "n_heads"),
        signs=frozenset({"dim", "n_layers", "n_heads", "n_kv_heads", "hidden_dim", "multiple_of"}),
        signs_wanted=2,
    ),
    *(
        Telltale(
            file="a YAML of Megatron-core or NeMo",
            needed=MEGATRON,
            signs=MEGATRON_ALONE | set(MEGATRON) if place else MEGATRON_ALONE,
            place=place,
            signs_wanted=2,
        )
        for place in (("language_model",), ("model",), ("config",), ("model", "config"), ())
    ),
)


def refuse_nearly(raw: Mapping[str, Any]) -> None:
    """Raise UnsupportedConfig for a file of a known format that lacks one of its keys; return for any other."""
    for entry in TELLTALES:
        part: Any = raw
        for step in entry.place:
            part = part.get(step) if isinstance(part, Mapping) else None
        if not isinstance(part, Mapping) or len(entry.signs & part.keys()) < entry.signs_wanted:
            continue
        key = next((key for key in entry.needed if part.get(key) is None), None)
        if key is not None:
            dotted = ".".join((*entry.place, key))
            raise UnsupportedConfig(
                f"{dotted} is {'null' if key in part else 'absent'}: by its other keys this is {entry.file}, which "
                f"needs it. Add {dotted}, or give the model's config.json."
            )
