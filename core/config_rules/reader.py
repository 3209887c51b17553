"""Puts the rules together: a config.json in, layers with provenance out."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from core.attention import GroupedAttention, LatentAttention, Layer, NoAttention
from core.config_rules import layer_kinds as kinds_of
from core.config_rules.facts import DeclaredHeads, UnsupportedConfig
from core.config_rules.fields import MAX_LAYERS, ConfigPart, Found
from core.config_rules.heads import Heads, declared_by, heads_of
from core.config_rules.layer_kinds import Kinds, layer_kinds
from core.config_rules.text_part import text_part


@dataclass(frozen=True, kw_only=True)
class Reading:
    """Layers of one model and the KV-head line of its file."""

    layers: tuple[Layer, ...]
    declared: DeclaredHeads


def read_layers(part: ConfigPart) -> Reading:
    """The layers of the model that this part describes."""
    count = layer_count(part)
    kinds = layer_kinds(part, count.value)
    part.note("layers", count)
    note_kinds(part, kinds)
    if is_latent(part):
        return latent_layers(part, kinds)
    return grouped_layers(part, kinds)


def layer_count(part: ConfigPart) -> Found:
    """The number of layers, bounded: a file may claim a billion."""
    found = part.integer("num_hidden_layers")
    if found.value > MAX_LAYERS:
        part.refuse("num_hidden_layers", f"more than {MAX_LAYERS:,} layers")
    return found


def note_kinds(part: ConfigPart, kinds: Kinds) -> None:
    """Say which kinds of layers there are, if there is more than one."""
    counts = {kind: kinds.kinds.count(kind) for kind in dict.fromkeys(kinds.kinds)}
    if len(counts) > 1 or kinds.origin.keys:
        text = ", ".join(f"{number} {kinds_of.spoken(kind)}" for kind, number in counts.items())
        part.note("layer_kinds", kinds.origin, text)


def is_latent(part: ConfigPart) -> bool:
    """MLA by its fields: a latent rank and a rotary width that the class declares, and the file does not null."""
    fields = ("kv_lora_rank", "qk_rope_head_dim")
    return all(name in part.model_class.defaults and part.value(name) is not None for name in fields)


def latent_layers(part: ConfigPart, kinds: Kinds) -> Reading:
    """DeepSeek-V2 and kin: one latent and one rotary key per token and layer, shared by all heads."""
    query = part.integer("num_attention_heads")
    latent, rope = part.integer("kv_lora_rank"), part.integer("qk_rope_head_dim")
    part.note("num_query_heads", query)
    part.note("latent_dim", latent)
    part.note("rope_dim", rope)
    layer = LatentAttention(num_query_heads=query.value, latent_dim=latent.value, rope_dim=rope.value)
    layers = tuple(layer_of_kind(part, kind, lambda _: layer) for kind in kinds.kinds)
    return Reading(layers=layers, declared=declared_by(part, "num_key_value_heads"))


def grouped_layers(part: ConfigPart, kinds: Kinds) -> Reading:
    """Ordinary attention."""
    heads = heads_of(part)
    note_heads(part, heads)
    windows: dict[str, int | None] = {}

    def attention(kind: str) -> Layer:
        if kind not in windows:
            windows[kind] = window_of(part, kind, kinds)
        return GroupedAttention(
            num_query_heads=heads.query.value,
            num_kv_heads=heads.kv.value,
            head_dim=heads.key_width.value,
            value_dim=heads.value_width.value,
            window=windows[kind],
        )

    made: dict[str, Layer] = {}
    for kind in dict.fromkeys(kinds.kinds):
        made[kind] = layer_of_kind(part, kind, attention)
    return Reading(layers=tuple(made[kind] for kind in kinds.kinds), declared=heads.declared)


def note_heads(part: ConfigPart, heads: Heads) -> None:
    part.note("num_query_heads", heads.query)
    part.note("num_kv_heads", heads.kv)
    part.note("head_dim", heads.key_width)
    part.note("value_dim", heads.value_width)


def window_of(part: ConfigPart, kind: str, kinds: Kinds) -> int | None:
    """Tokens that a layer of this kind keeps; None for all."""
    if kind == kinds_of.CHUNKED:
        found = part.optional_integer("attention_chunk_size")
        name = "attention_chunk_size"
    elif kind in (kinds_of.SLIDING, kinds_of.HYBRID_SLIDING):
        found = kinds_of.sliding_window(part)
        name = "sliding_window"
    else:
        return None
    if found is None:
        part.refuse(name, f"some layers are {kinds_of.spoken(kind)} and need it")
    number = kinds.kinds.count(kind)
    part.note("window", found, f"{found.value:,} on {number} of {len(kinds.kinds)} layers")
    value: int = found.value
    return value


def layer_of_kind(part: ConfigPart, kind: str, attention: Callable[[str], Layer]) -> Layer:
    """One layer."""
    if kind in kinds_of.NONE:
        return NoAttention(reason="feed-forward only")
    if kind in (kinds_of.LINEAR, kinds_of.CONV):
        raise UnsupportedConfig(f"{part.path}model_type is {part.model_type}: its recurrent state is not read yet.")
    return attention(kind)


NOT_READ = {  # their rules need more than is written here
    "dots3_note_text", "gemma3n_text", "gemma4_text", "gemma4_unified_text",
    "hrm_text", "inkling2_text", "inkling_text",
    "jetmoe", "mllama_text_model", "nemotron_h",
}  # fmt: skip


def read(config: Mapping[str, Any]) -> tuple[ConfigPart, Reading]:
    """The language model's part and its layers. Raises UnsupportedConfig."""
    if not isinstance(config, Mapping):
        raise UnsupportedConfig("The file is not a JSON object. Give the config.json of a decoder language model.")
    part = text_part(config)
    if part.model_type in NOT_READ:
        raise UnsupportedConfig(f"{part.path}model_type is {part.model_type}: its layers are not read yet.")
    if not part.model_class.name:
        raise UnsupportedConfig(f"model_type is {part.model_type!r:.60}: unknown.")
    return part, read_layers(part)
