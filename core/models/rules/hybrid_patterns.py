"""Which layers of a hybrid are attention and which are recurrent or empty: one rule per configuration class."""

from collections.abc import Callable
from dataclasses import replace

from core.models.rules.class_defaults import ModelClass
from core.models.rules.facts import UnsupportedConfig
from core.models.rules.fields import ConfigPart, Found, rule
from core.models.rules.kinds import (
    CONV,
    FULL,
    HYBRID,
    HYBRID_SLIDING,
    LINEAR,
    OLDER_NAMES,
    SLIDING,
    Kinds,
    listed_kinds,
    spoken,
)

NEMOTRON_LETTERS = {"M": LINEAR, "E": "moe", "*": FULL, "-": "mlp"}


def by_indices(key: str, rare: str, common: str) -> Callable[[ConfigPart, int], Kinds]:
    """The file lists the layer indices of the rare kind; an absent list means `rare` everywhere or nowhere."""

    def kinds(part: ConfigPart, layers: int) -> Kinds:
        listed = part.integers(key)
        if listed is not None and any(index >= layers for index in listed):
            part.refuse(key, f"indices below {layers}, the number of layers, are expected")
        chosen = set(range(layers)) if listed is None and key == "full_attn_idxs" else set(listed or ())
        origin = rule("", f"{key} lists the layers with {spoken(rare)}.", part.found(key))
        return Kinds(kinds=tuple(rare if index in chosen else common for index in range(layers)), origin=origin)

    return kinds


def jamba(part: ConfigPart, layers: int) -> Kinds:
    """Attention where index % attn_layer_period == attn_layer_offset, Mamba elsewhere."""
    period, offset = part.integer("attn_layer_period"), part.integer("attn_layer_offset", minimum=0)
    kinds = tuple(FULL if index % period.value == offset.value else LINEAR for index in range(layers))
    sentence = f"One layer in {period.value}, from layer {offset.value}, attends; the others are Mamba."
    return Kinds(kinds=kinds, origin=rule("", sentence, period, offset))


def zamba(part: ConfigPart, layers: int) -> Kinds:
    """Shared attention beside Mamba on some layers."""
    listed = _block_types(part, layers)
    if listed is not None:
        return listed
    period, offset = part.integer("attn_layer_period"), part.integer("attn_layer_offset", minimum=0)
    tail = [HYBRID if index % period.value == offset.value else LINEAR for index in range(max(layers - 3, 0))]
    kinds = tuple(([LINEAR, LINEAR, HYBRID, *tail])[:layers])
    return Kinds(kinds=kinds, origin=rule("", f"{part.model_class.name}'s own pattern.", period, offset))


def zamba2(part: ConfigPart, layers: int) -> Kinds:
    """layers_block_type, else the 54-layer pattern of the class."""
    listed = _block_types(part, layers)
    if listed is not None:
        return listed
    six = [LINEAR] * 5 + [HYBRID]
    kinds = [LINEAR, *six * 7, *[LINEAR] * 4, HYBRID, *[LINEAR] * 3, HYBRID, LINEAR, LINEAR]
    if len(kinds) != layers:
        raise UnsupportedConfig(
            f"{part.path}layers_block_type is absent and {part.path}num_hidden_layers is {layers}: the class pattern "
            f"has {len(kinds)} layers. Add layers_block_type, one entry per layer."
        )
    return Kinds(kinds=tuple(kinds), origin=rule("", f"{part.model_class.name}'s own pattern."))


def _block_types(part: ConfigPart, layers: int) -> Kinds | None:
    key = part.key("layers_block_type")  # the class also takes the list as layer_types
    if key is None or part.raw[key] is None:
        return None
    return listed_kinds(part, key, layers, {**OLDER_NAMES, "hybrid": HYBRID})


def recurrent_gemma(part: ConfigPart, layers: int) -> Kinds:
    """block_types repeats over the layers; its attention layers slide."""
    types = part.value("block_types")
    if not isinstance(types, list | tuple) or not types or set(map(str, types)) - {"recurrent", "attention"}:
        part.refuse("block_types", 'a list of "recurrent" and "attention" is expected')
    kinds = tuple(LINEAR if types[index % len(types)] == "recurrent" else SLIDING for index in range(layers))
    return Kinds(kinds=kinds, origin=rule("", "block_types repeats over the layers.", part.found("block_types")))


def kimi_linear(part: ConfigPart, layers: int) -> Kinds:
    """linear_attn_config lists 1-based layers of both kinds; without it every fourth layer but the first is full."""
    nested = part.nested("linear_attn_config", {})
    full, linear = nested.integers("full_attn_layers", minimum=1), nested.integers("kda_layers", minimum=1)
    if full is None or linear is None:
        kinds = tuple(FULL if index and index % 4 == 0 else LINEAR for index in range(layers))
        return Kinds(kinds=kinds, origin=rule("", f"{part.model_class.name} makes layers 4, 8, 12, … full attention."))
    if sorted([*full, *linear]) != list(range(1, layers + 1)):
        nested.refuse("full_attn_layers", f"with kda_layers it has to name each of the {layers} layers once, from 1")
    chosen = set(full)
    origins = nested.found("full_attn_layers"), nested.found("kda_layers")
    kinds = tuple(FULL if index + 1 in chosen else LINEAR for index in range(layers))
    return Kinds(kinds=kinds, origin=rule("", "full_attn_layers counts from 1.", *origins))


def inkling(part: ConfigPart, layers: int) -> Kinds:
    """Inkling: local_layer_ids lists the layers that slide, which published files do; else all but every sixth."""
    listed = part.integers("local_layer_ids")
    if listed is None:
        kinds = tuple(HYBRID if index % 6 == 5 else HYBRID_SLIDING for index in range(layers))
        return Kinds(kinds=kinds, origin=rule("", f"{part.model_class.name} makes every sixth layer full."))
    local = set(listed)
    kinds = tuple(HYBRID_SLIDING if index in local else HYBRID for index in range(layers))
    return Kinds(
        kinds=kinds, origin=rule("", "local_layer_ids lists the layers that slide.", part.found("local_layer_ids"))
    )


def lara_mini(part: ConfigPart, layers: int) -> Kinds:
    """Five layers in turn: linear, sliding, linear, full, sliding."""
    turn = (LINEAR, SLIDING, LINEAR, FULL, SLIDING)
    kinds = tuple(turn[index % len(turn)] for index in range(layers))
    return Kinds(kinds=kinds, origin=rule("", f"{part.model_class.name} has this pattern fixed."))


def listed_only(part: ConfigPart, layers: int) -> Kinds:
    """The class derives nothing: the file has to list the kinds."""
    part.refuse("layer_types", f"{part.model_class.name} needs a list of {layers} layer kinds")


def olmo_hybrid(part: ConfigPart, layers: int) -> Kinds:
    """Every fourth layer attends, and the last one where there is no fourth."""
    kinds = [FULL if index % 4 == 3 else LINEAR for index in range(layers)]
    if FULL not in kinds:
        kinds[-1] = FULL
    return Kinds(
        kinds=tuple(kinds), origin=rule("", f"{part.model_class.name} makes every fourth layer full attention.")
    )


def minimax_list(part: ConfigPart, layers: int) -> Kinds:
    """attn_type_list of MiniMax's own code: 1 is softmax attention, 0 lightning attention."""
    flags = part.integers("attn_type_list")
    if flags is None or len(flags) != layers or set(flags) - {0, 1}:
        part.refuse("attn_type_list", f"{layers} entries of 0 or 1 are expected, one per layer")
    origin = rule("", "1 is softmax attention, 0 lightning attention.", part.found("attn_type_list"))
    return Kinds(kinds=tuple(FULL if flag else LINEAR for flag in flags), origin=origin)


def lfm3(part: ConfigPart, layers: int) -> Kinds:
    """Full on 2, 6, 10, …; sliding on 4, 8, …; short convolution elsewhere."""
    kinds = tuple(FULL if index % 4 == 2 else SLIDING if index % 4 == 0 and index else CONV for index in range(layers))
    return Kinds(kinds=kinds, origin=rule("", f"{part.model_class.name} has this pattern fixed."))


def nemotron_h(part: ConfigPart, layers: int) -> Kinds:
    """layers_block_type or hybrid_override_pattern: M is Mamba-2, * attention, - and E feed-forward."""
    if part.raw.get("layers_block_type") is not None:
        return listed_kinds(part, "layers_block_type", layers, OLDER_NAMES)
    pattern = part.value("hybrid_override_pattern")
    if pattern is None:
        kinds = (LINEAR, "moe", FULL, "mlp")
        return Kinds(kinds=kinds, origin=rule("", "NemotronHConfig takes these four where the file lists none."))
    found = part.found("hybrid_override_pattern")
    origin = rule("", "M is Mamba-2, * is attention, - and E are feed-forward.", found)
    return Kinds(kinds=tuple(NEMOTRON_LETTERS[letter] for letter in pattern), origin=origin)


def deci(part: ConfigPart, layers: int) -> Kinds:
    """block_configs: attention blocks with no_op, or replaced by a linear map, keep nothing."""
    if "block_configs" not in part.raw:
        return Kinds(kinds=(FULL,) * layers, origin=rule("", "Every layer is full attention."))
    kinds = []
    for block in attention_blocks(part, layers):
        for key in ("sparsify", "window_length", "num_sink_tokens", "mamba", "llama4"):
            if block.raw.get(key):
                block.refuse(key, "this kind of attention block is not read")
        empty = block.boolean("no_op").value or block.boolean("replace_with_linear").value
        kinds.append("mlp" if empty else FULL)
    found = Found(value="", source="config", keys=(part.path + "block_configs",))
    return Kinds(kinds=tuple(kinds), origin=rule("", "block_configs removes the attention of some layers.", found))


def attention_blocks(part: ConfigPart, layers: int) -> list[ConfigPart]:
    """The attention object of each entry of block_configs."""
    listed = part.raw.get("block_configs")
    if not isinstance(listed, list) or len(listed) != layers:
        part.refuse("block_configs", f"a list of {layers} entries is expected, one per layer")
    blocks = []
    for index, entry in enumerate(listed):
        attention = entry.get("attention") if isinstance(entry, dict) else None
        if not isinstance(attention, dict):
            part.refuse("block_configs", f"entry {index} has no attention object")
        path = f"{part.path}block_configs.{index}.attention."
        blocks.append(replace(part, raw=attention, path=path, model_class=ModelClass(name=part.model_class.name)))
    return blocks
