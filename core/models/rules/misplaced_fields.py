"""Never a silent class default: figures that a file holds where its class does not look.

A class of transformers fills in whatever its own object leaves out. A file of another tool keeps its figures under an
object that the class ignores (MLC's model_config), so that reading it gives the shape of another model. Such a file is
refused, the object named. Where nothing in the file holds figures, the class's own are what transformers builds too.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from core.models.rules.class_defaults import model_classes
from core.models.rules.facts import Provenance, UnsupportedConfig, shown
from core.models.rules.fields import ConfigPart

NAMES = {  # what tools call the figures of a shape -> which figure it is
    "hidden_size": "width", "d_model": "width", "n_embd": "width", "n_embed": "width", "dim": "width",
    "model_dim": "width", "emb_dim": "width", "embed_dim": "width", "embedding_dim": "width",
    "num_hidden_layers": "layers", "n_layer": "layers", "n_layers": "layers", "num_layers": "layers",
    "num_transformer_layers": "layers",
    "num_attention_heads": "heads", "n_head": "heads", "n_heads": "heads", "num_heads": "heads",
    "num_query_heads": "heads",
    "num_key_value_heads": "KV heads", "num_kv_heads": "KV heads", "n_kv_heads": "KV heads", "n_head_kv": "KV heads",
    "kv_n_heads": "KV heads", "num_query_groups": "KV heads", "n_query_groups": "KV heads",
    "multi_query_group_num": "KV heads",
    "head_dim": "head width", "head_size": "head width", "kv_channels": "head width", "kv_lora_rank": "head width",
}  # fmt: skip
READ_BY_RULES = {  # objects that the rules themselves look into, or that say nothing of a language model's shape
    "attn_config", "block_configs", "ffn_config", "linear_attn_config", "per_layer_config", "quantization_config",
    "sparse_attention_config",
}  # fmt: skip
OTHER_PARTS = re.compile(
    r"vision|visual|vit|image|video|audio|speech|sound|encoder|tower|projector|connector|perceiver|resampler|qformer"
    r"|talker|token2wav|code|vq|diffusion|action|mtp|draft|eagle|depth|decoder_config",
    re.IGNORECASE,
)
SHAPE_FIGURES = {
    "layers", "num_query_heads", "num_kv_heads", "head_dim", "value_dim", "latent_dim", "rope_dim", "state",
}  # fmt: skip
COUNTS = {"layers": "layers", "num_query_heads": "heads", "num_kv_heads": "KV heads"}  # figure -> what NAMES calls it
FIELDS = {
    "layers": "num_hidden_layers",
    "num_query_heads": "num_attention_heads",
    "num_kv_heads": "num_key_value_heads",
}
MAX_DEPTH = 8


def all_defaulted(notes: list[Provenance]) -> bool:
    """Whether no key of the file decided the number of layers, of heads, or a width."""
    return not any(note.keys for note in notes if note.figure in SHAPE_FIGURES)


def refuse_figures_elsewhere(config: Mapping[str, Any], part: ConfigPart) -> None:
    """Raise UnsupportedConfig where an object beside the part states a shape, and the part leaves some of it out."""
    stated = _stated(part.raw)
    for path, found in _objects(config, part):
        own = "" if not path else f"{path}."
        if len(found) < 2 or found.keys() <= stated or (not path and stated):
            continue
        key = next(key for figure, key in found.items() if figure not in stated)
        at, to = (f"under {part.path[:-1]}",) * 2 if part.path else ("at the top level", "to the top level")
        raise UnsupportedConfig(
            f"{shown(own + key)[1:-1]} stands where {part.model_class.name} does not look, and nothing {at} says its "
            f"{NAMES[key]}: the class's own number would be read instead. Move the numbers {to}, under the names that "
            f"{shown(part.model_type)[1:-1]} uses, or give the model's config.json."
        )


def refuse_other_names(part: ConfigPart) -> None:
    """Raise UnsupportedConfig where the class filled in a count that the same object states by another tool's name."""
    for note in part.notes:
        if note.source == "class default" and note.figure in COUNTS:
            key = next((key for key in part.raw if NAMES.get(key) == COUNTS[note.figure]), None)
            own = part.model_class.aliases.get(FIELDS[note.figure], FIELDS[note.figure])
            # key == own: of the usual name the class makes nothing (DBRX keeps its own in attn_config); where the part
            # has own, the class's number is that of some layers only
            if key is not None and key != own and part.key(own) is None:
                raise UnsupportedConfig(
                    f"{part.path}{key} is {shown(part.raw[key])}, a name that {part.model_class.name} does not read, "
                    f"and {own} is absent. Write {own} instead, or give the model's config.json."
                )


def _stated(raw: Mapping[str, Any]) -> set[str]:
    return {NAMES[key] for key in raw if key in NAMES and raw[key] is not None}


Place = tuple[str, dict[str, str]]


def _objects(config: Mapping[str, Any], part: ConfigPart) -> Iterator[Place]:
    """(dotted path, {figure: key}) of each object outside the part that could describe a language model."""
    steps = part.path.split(".")[:-1]
    value: Mapping[str, Any] = config
    path = ""
    for step in steps:  # the objects that the part is nested in, each with what else it holds
        yield path, _figures(value)
        yield from _beside(value, path, step)
        inner = value.get(step)
        path = f"{path}.{step}" if path else step
        value = inner if isinstance(inner, Mapping) else {}
    yield from _beside(value, path, None)


def _beside(value: Mapping[str, Any], path: str, own: str | None) -> Iterator[Place]:
    for key, inner in value.items():
        if isinstance(inner, (dict, list)) and inner and key != own and isinstance(key, str):
            if key in READ_BY_RULES or OTHER_PARTS.search(key) or _is_known_part(value, key):
                continue
            yield from _within(inner, f"{path}.{key}" if path else key, MAX_DEPTH)


def _is_known_part(value: Mapping[str, Any], key: str) -> bool:
    model_type = value.get("model_type")
    known = model_classes().get(model_type) if isinstance(model_type, str) else None
    return known is not None and key in known.parts


def _within(value: Any, path: str, depth: int) -> Iterator[Place]:
    if isinstance(value, list):
        value = value[0] if value and isinstance(value[0], Mapping) else {}
    if not isinstance(value, Mapping) or not depth:
        return
    yield path, _figures(value)
    for key, inner in value.items():
        if isinstance(inner, (dict, list)) and isinstance(key, str) and not OTHER_PARTS.search(key):
            yield from _within(inner, f"{path}.{key}", depth - 1)


def _figures(value: Mapping[str, Any]) -> dict[str, str]:
    found: dict[str, str] = {}
    for key, inner in value.items():
        if key in NAMES and type(inner) is int:
            found.setdefault(NAMES[key], key)
    return found
