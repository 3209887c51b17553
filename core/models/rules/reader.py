"""Puts the rules together: a config.json in, layers with provenance out."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from core.models.attention import (
    CompressedAttention,
    GroupedAttention,
    LatentAttention,
    Layer,
    NoAttention,
    ParallelLayer,
    RecurrentState,
    SharedCache,
)
from core.models.rules import kinds as kinds_of
from core.models.rules.compressed import deepseek_v4_layer
from core.models.rules.facts import DeclaredHeads, UnsupportedConfig
from core.models.rules.fields import ConfigPart, Found
from core.models.rules.heads import Heads, declared_by, heads_of
from core.models.rules.indexes import NO, index_of, index_uses
from core.models.rules.kinds import Kinds
from core.models.rules.layer_count import layer_count
from core.models.rules.layer_kinds import kinds_follow_the_window, layer_kinds
from core.models.rules.loops import with_loops
from core.models.rules.misplaced_fields import refuse_figures_elsewhere, refuse_other_names
from core.models.rules.own_keys import own_window
from core.models.rules.per_layer import Overrides, overrides, shared_from
from core.models.rules.states import state_of
from core.models.rules.text_part import text_part

WITH_STATE = (kinds_of.LINEAR, kinds_of.CONV, kinds_of.HYBRID, kinds_of.HYBRID_SLIDING)
ATTENTION_FREE = ("mamba", "mamba2", "falcon_mamba", "xlstm")


@dataclass(frozen=True, kw_only=True)
class Reading:
    """Layers of one model and the KV-head line of its file."""

    layers: tuple[Layer, ...]
    declared: DeclaredHeads


def read(config: Mapping[str, Any]) -> tuple[ConfigPart, Reading]:
    """The language model's part and its layers. Raises UnsupportedConfig."""
    if not isinstance(config, Mapping):
        raise UnsupportedConfig("The file is not a JSON object. Give the config.json of a decoder language model.")
    part = text_part(config)
    refuse_figures_elsewhere(config, part)
    count = layer_count(part)
    kinds = layer_kinds(part, count.value)
    part.note("layers", count)
    _note_kinds(part, kinds)
    reading = _read_layers(part, kinds)
    refuse_other_names(part)
    return part, reading


def _note_kinds(part: ConfigPart, kinds: Kinds) -> None:
    counts = {kind: kinds.kinds.count(kind) for kind in dict.fromkeys(kinds.kinds)}
    if len(counts) > 1 or kinds.origin.keys:
        text = ", ".join(f"{number} {kinds_of.spoken(kind)}" for kind, number in counts.items())
        part.note("layer_kinds", kinds.origin, text)


def _read_layers(part: ConfigPart, kinds: Kinds) -> Reading:
    """Each layer once per distinct kind and overrides; equal layers are one object, whatever their number."""
    changed = overrides(part, kinds)
    sources = shared_from(part, kinds)
    uses = index_uses(part, kinds)
    keys = [
        (kind, use, *((name, found.value) for name, found in sorted(override.items())))
        for kind, use, override in zip(kinds.kinds, uses, changed, strict=True)
    ]
    number = Counter(keys)
    made: dict[tuple[Any, ...], Layer] = {}
    for key, kind, use, override in zip(keys, kinds.kinds, uses, changed, strict=True):
        if key not in made:
            made[key] = _layer(part, kind, use, override, f"on {number[key]} of {len(keys)} layers")
            _note_window(part, kind, kinds, made[key])
    layers = [made[key] for key in keys]
    for index, source in enumerate(sources):
        if source is not None:
            layers[index] = _shared(layers[source], source, layers[index])
    if part.model_type == "xlstm" and isinstance(layers[0], RecurrentState):
        layers[0] = replace(layers[0], position_counters=1)  # one int64 for the whole batch, kept beside the states
    if part.model_type == "mllama_text_model":
        layers = _without_cross_attention(part, layers)
    layers = with_loops(part, layers)
    return Reading(layers=tuple(layers), declared=_declared(part, changed))


def _layer(part: ConfigPart, kind: str, use: str, override: Overrides, where: str) -> Layer:
    """One layer of this kind, noting the origin of its figures (of the first such layer only)."""
    if kind in kinds_of.NONE:
        return NoAttention(reason="feed-forward only")
    seen = part.with_overrides(override)
    state = state_of(seen) if kind in WITH_STATE else None
    if kind in (kinds_of.LINEAR, kinds_of.CONV):
        assert state is not None
        part.notes += seen.notes
        return state
    attention: GroupedAttention | LatentAttention | CompressedAttention
    if part.model_type == "deepseek_v4":
        attention = deepseek_v4_layer(seen, kind)
    else:
        attention = _latent(seen, kind) if is_latent(part) else _grouped(seen, kind)
        attention = attention if use == NO else _with_index(seen, attention, use)
    _take_notes(part, seen, where)
    if state is None or isinstance(attention, CompressedAttention):
        return attention
    return ParallelLayer(attention=attention, recurrent=state)


def _with_index(
    part: ConfigPart, attention: GroupedAttention | LatentAttention, use: str
) -> GroupedAttention | LatentAttention:
    index = index_of(part, use)
    key_dim, topk = (None if found is None else found.value for found in (index.key_dim, index.topk))
    return replace(attention, index_key_dim=key_dim, index_topk=topk, index_key_in_float32=index.in_float32)


def _take_notes(part: ConfigPart, seen: ConfigPart, where: str) -> None:
    """Keep a figure's note if it is the first of its name; one that says another value says on how many layers."""
    known = {note.figure for note in part.notes}
    same = {(note.figure, note.value) for note in part.notes}
    for note in seen.notes:
        if note.figure not in known:
            part.notes.append(note)
        elif (note.figure, note.value) not in same:
            part.notes.append(replace(note, value=f"{note.value} {where}"))


def is_latent(part: ConfigPart) -> bool:
    """MLA by its fields: a latent rank and a rotary width that the class declares, and the file does not null."""
    fields = ("kv_lora_rank", "qk_rope_head_dim")
    if not all(name in part.model_class.defaults for name in fields):
        return False
    for name in fields:
        if part.value(name) is None:
            part.refuse(name, f"{part.model_class.name} needs it, and what the layers keep without it is not known")
    return True


def _latent(part: ConfigPart, kind: str) -> LatentAttention:
    """DeepSeek-V2 and kin: one latent and one rotary key per token and layer, shared by all heads."""
    query = part.integer("num_attention_heads")
    latent, rope = part.integer("kv_lora_rank"), part.integer("qk_rope_head_dim", minimum=0)
    for figure, found in (("num_query_heads", query), ("latent_dim", latent), ("rope_dim", rope)):
        part.note(figure, found)
    window = _window(part, kind)
    key, value = (part.optional_integer(name) for name in ("qk_nope_head_dim", "v_head_dim"))
    # a layer without rotary positions widens the other part of its keys by as much
    others = rope if rope.value else replace(part, overrides={}).integer("qk_rope_head_dim", minimum=0)
    return LatentAttention(
        num_query_heads=query.value,
        latent_dim=latent.value,
        rope_dim=rope.value,
        window=None if window is None else window.value,
        expanded_key_dim=None if key is None else key.value + others.value,
        expanded_value_dim=None if value is None else value.value,
    )


def _grouped(part: ConfigPart, kind: str) -> GroupedAttention:
    """Ordinary attention."""
    heads: Heads = heads_of(part)
    figures = ("num_query_heads", "num_kv_heads", "head_dim", "value_dim")
    for figure, found in zip(figures, (heads.query, heads.kv, heads.key_width, heads.value_width), strict=True):
        part.note(figure, found)
    window = _window(part, kind)
    return GroupedAttention(
        num_query_heads=heads.query.value,
        num_kv_heads=heads.kv.value,
        head_dim=heads.key_width.value,
        value_dim=heads.value_width.value,
        broadcast_when_stored=heads.broadcast and heads.kv.value != heads.query.value,
        window=None if window is None else window.value,
    )


def _window(part: ConfigPart, kind: str) -> Found | None:
    """Tokens that a layer of this kind keeps; None for all."""
    if kind == kinds_of.CHUNKED:
        name, found = "attention_chunk_size", part.optional_integer("attention_chunk_size")
    elif kind in (kinds_of.SLIDING, kinds_of.HYBRID_SLIDING):
        name = "sliding_window"
        found = own_window(part) if part.model_class.own_keys else kinds_of.window_of_sliding_layers(part)
    elif kind == kinds_of.FULL and kinds_follow_the_window(part):
        return part.optional_integer("sliding_window") if "sliding_window" in part.overrides else None
    else:
        return None
    if found is None and kinds_of.switched_off(part):
        problem = f"it switches the window off, and some layers are {kinds_of.spoken(kind)}"
        part.refuse("use_sliding_window", problem, "Set it to true, or list no such layers.")
    if found is None:
        part.refuse(name, f"some layers are {kinds_of.spoken(kind)} and need it")
    return found


def _note_window(part: ConfigPart, kind: str, kinds: Kinds, layer: Layer) -> None:
    inner = layer.attention if isinstance(layer, ParallelLayer) else layer
    if not isinstance(inner, GroupedAttention | LatentAttention | CompressedAttention) or inner.window is None:
        return
    found = part.integer("sliding_window") if isinstance(inner, CompressedAttention) else _window(part, kind)
    if found is None:
        return  # a window of one layer alone, under per_layer_config
    number = kinds.kinds.count(kind)
    part.note("window", found, f"{inner.window:,} on {number} of {len(kinds.kinds)} layers")


def _shared(source: Layer, index: int, own: Layer) -> Layer:
    """The layer that reads source's cache; an index of its own it keeps."""
    if not isinstance(source, GroupedAttention | LatentAttention):
        return source
    return SharedCache(
        source_layer=index,
        num_query_heads=source.num_query_heads,
        num_kv_heads=source.num_kv_heads if isinstance(source, GroupedAttention) else 1,
        index_key_dim=own.index_key_dim if isinstance(own, GroupedAttention | LatentAttention) else None,
    )


def _without_cross_attention(part: ConfigPart, layers: list[Layer]) -> list[Layer]:
    """Llama 3.2 Vision: cross-attention layers keep the picture's keys and values, none of the text's."""
    given = part.integers("cross_attention_layers")
    listed = set(range(3, 39, 5) if given is None else given)
    none = NoAttention(reason="cross-attention to the picture: nothing is kept per text token")
    return [none if index in listed else layer for index, layer in enumerate(layers)]


def _declared(part: ConfigPart, changed: list[Overrides]) -> DeclaredHeads:
    """The line that declared G: of the first layer that states its own, else of the whole model."""
    if part.model_type in ATTENTION_FREE:
        return DeclaredHeads(key=None)
    own = next((item["num_key_value_heads"] for item in changed if "num_key_value_heads" in item), None)
    if own is not None and own.keys:
        return DeclaredHeads(key=own.keys[0], value=_raw_at(part, own.keys[0].removeprefix(part.path)))
    if part.model_type == "deepseek_v4":
        part.integer("num_key_value_heads", minimum=0)  # the class takes no null, and no notice of the number
    elif not is_latent(part):
        return heads_of(replace(part, notes=[])).declared
    return declared_by(part, "num_key_value_heads")


def _raw_at(part: ConfigPart, dotted: str) -> Any:
    """The raw value under a dotted key, indices of lists included."""
    value: Any = part.raw
    for step in dotted.split("."):
        value = value[int(step)] if isinstance(value, list) else value[step]
    return value
