"""Fields that differ from layer to layer: heads of sliding layers, per_layer_config, shared caches.

`overrides` answers, per layer, which fields that layer sees instead of the global ones. `shared_from` answers which
earlier layer's keys and values a layer reads instead of keeping its own.
"""

from collections.abc import Callable

from core.models.rules import kinds as kinds_of
from core.models.rules.custom_code import list_of_heads
from core.models.rules.facts import UnsupportedConfig, shown
from core.models.rules.fields import ConfigPart, Found, rule
from core.models.rules.hybrid_patterns import attention_blocks
from core.models.rules.kinds import Kinds
from core.models.rules.own_keys import PATTERN, second_heads
from core.models.rules.states import NGRAMS

Overrides = dict[str, Found]
WHERE_CHANGED = {  # the fields of per_layer_config that change what a layer keeps
    "num_attention_heads", "num_key_value_heads", "head_dim", "v_head_dim", "sliding_window", "attention_chunk_size",
    "kv_lora_rank", "qk_rope_head_dim", "qk_nope_head_dim", "hidden_size", "index_head_dim", "index_topk",
}  # fmt: skip


# The classes that write their own differences as per_layer_config, and leave them out where the file has that key
WRITTEN_AS_LISTED = {
    "diffusion_gemma_text", "dots3_note_text", "gemma4_text", "gemma4_unified_text", "step3p5",
}  # fmt: skip


# Classes whose layers look at the model's own fields: Bailing's does not build then, JetMoE's keeps something else
ONE_WIDTH = {"bailing_hybrid", "jetmoe"}


def overrides(part: ConfigPart, kinds: Kinds) -> list[Overrides]:
    """One mapping per layer, empty where the layer is like the others; what per_layer_config says of it wins."""
    if "per_layer_config" not in part.raw:
        return _by_class(part, kinds)
    listed = _listed(part, len(kinds.kinds))
    if part.model_type in WRITTEN_AS_LISTED:
        return listed
    return [{**own, **changed} for own, changed in zip(_by_class(part, kinds), listed, strict=True)]


def _by_class(part: ConfigPart, kinds: Kinds) -> list[Overrides]:
    """What the class makes of its own keys for some of the layers."""
    by_kind = (kinds_of.SLIDING, second_heads) if part.model_class.own_keys else BY_KIND.get(part.model_type)
    if by_kind is not None:
        kind, rule_of = by_kind
        changed = rule_of(part) if kind in kinds.kinds else {}
        return [changed if layer == kind else {} for layer in kinds.kinds]
    if part.model_type == "openelm":
        return _openelm(part, len(kinds.kinds))
    if part.model_type in ("nemotron-nas", "deci"):
        return _deci(part, kinds)
    if part.model_type == "laguna":
        return _laguna(part, len(kinds.kinds))
    if part.model_type == "mistral_large4_text":
        return _without_rotary(part, len(kinds.kinds))
    if part.model_type == "qwen4_exp_text" and part.value(NGRAMS):
        return _with_ngrams(part, len(kinds.kinds))
    return [{} for _ in kinds.kinds]


def _listed(part: ConfigPart, layers: int) -> list[Overrides]:
    """per_layer_config: {"5": {"head_dim": 512}}, indices as text or numbers."""
    listed = part.mapping("per_layer_config") or {}
    result: list[Overrides] = [{} for _ in range(layers)]
    for index, changed in listed.items():
        number = int(index) if str(index).isascii() and str(index).isdigit() and len(str(index)) < 6 else -1
        if not 0 <= number < layers or not isinstance(changed, dict):
            part.refuse(
                "per_layer_config", f"its entry {shown(index)} is no layer from 0 to {layers - 1} with an object"
            )
        if changed.get("skip"):
            part.refuse("per_layer_config", f"layer {number} skips sub-layers, which this reader does not follow")
        if part.model_type in ONE_WIDTH and (named := sorted(changed.keys() & WHERE_CHANGED)):
            part.refuse(
                "per_layer_config",
                f"{part.model_class.name} reads {named[0]} once for all layers, and layer {number} has its own",
                "Delete it there, or pick another model.",
            )
        keys = {name: (f"{part.path}per_layer_config.{index}.{name}",) for name in changed}  # saved files write "02"
        result[number] = {
            name: Found(value=value, source="config", keys=keys[name])
            for name, value in changed.items()
            if name in WHERE_CHANGED
        }
    return result


def _openelm(part: ConfigPart, layers: int) -> list[Overrides]:
    """OpenELM: query and KV heads as lists, one entry per layer."""
    names = {"num_attention_heads": "num_query_heads", "num_key_value_heads": "num_kv_heads"}
    lists = {name: list_of_heads(part, key, layers) for name, key in names.items()}
    return [
        {
            name: Found(value=heads[index], source="config", keys=(part.path + names[name],))
            for name, heads in lists.items()
        }
        for index in range(layers)
    ]


def _deci(part: ConfigPart, kinds: Kinds) -> list[Overrides]:
    """DeciLM and Nemotron-NAS: KV heads of a layer are heads / n_heads_in_group, or a plain list."""
    layers = len(kinds.kinds)
    if "block_configs" not in part.raw:
        heads = list_of_heads(part, "num_key_value_heads_per_layer", layers)
        keys = (part.path + "num_key_value_heads_per_layer",)
        return [{"num_key_value_heads": Found(value=count, source="config", keys=keys)} for count in heads]
    query = part.integer("num_attention_heads")
    blocks = attention_blocks(part, layers)
    return [
        {} if kind in kinds_of.NONE else {"num_key_value_heads": _grouped_by(part, index, block, query)}
        for index, (kind, block) in enumerate(zip(kinds.kinds, blocks, strict=True))
    ]


def _grouped_by(part: ConfigPart, index: int, block: ConfigPart, query: Found) -> Found:
    size = block.integer("n_heads_in_group")
    if query.value % size.value:
        block.refuse("n_heads_in_group", f"it does not divide the {query.value} query heads")
    value = query.value // size.value
    return rule(value, f"Layer {index}: {query.value} query heads / {size.value} in a group = {value}.", size, query)


def _gemma4(part: ConfigPart) -> Overrides:
    """Gemma 4: full layers have wider heads, and their own number of KV heads where keys serve as values."""
    width = part.optional_integer("global_head_dim") if "global_head_dim" in part.raw else None
    changed = {"head_dim": width or rule(512, f"{part.model_class.name} makes the heads of full layers 512 wide.")}
    same = part.boolean("attention_k_eq_v")
    heads = part.raw.get("num_global_key_value_heads")
    if heads is not None and same.value:
        changed["num_key_value_heads"] = part.integer("num_global_key_value_heads")
    return changed


def _swa(part: ConfigPart) -> Overrides:
    """Inkling: sliding layers read the swa_ keys."""
    names = ("num_attention_heads", "num_key_value_heads", "head_dim")
    return {name: part.integer(f"swa_{name}") for name in names}


def _step3(part: ConfigPart) -> Overrides:
    """Step-3.7: sliding layers may have query heads of their own; published files say so in attention_other_setting."""
    other = part.mapping("attention_other_setting") or {}
    if part.value("num_sliding_attention_heads") is not None:
        return {"num_attention_heads": part.integer("num_sliding_attention_heads")}
    if "num_attention_heads" in other:
        return {"num_attention_heads": part.nested("attention_other_setting", {}).integer("num_attention_heads")}
    return {}


def _mimo(part: ConfigPart) -> Overrides:
    """MiMo-V2-Flash: sliding layers have twice the KV heads; its own code reads them under swa_ keys."""
    if part.raw.get(PATTERN) is not None and part.raw.get("layer_types") is None and second_heads(part):
        return second_heads(part)
    heads = part.integer("num_key_value_heads")
    return {"num_key_value_heads": rule(2 * heads.value, "Sliding layers have twice the KV heads.", heads)}


def _dots3(part: ConfigPart) -> Overrides:
    """dots3: sliding layers have a latent of their own, under swa_ keys, with numbers of the class where absent."""
    usual = {"num_attention_heads": 64, "num_key_value_heads": 64, "kv_lora_rank": 1024, "qk_nope_head_dim": 192}
    changed = {name: _or(part, f"swa_{name}", default) for name, default in usual.items()}
    head_dim = _or(part, "swa_head_dim", 256)
    rope = head_dim.value - changed["qk_nope_head_dim"].value
    changed["qk_rope_head_dim"] = _or(part, "swa_qk_rope_head_dim", rope)
    return changed


def _with_ngrams(part: ConfigPart, layers: int) -> list[Overrides]:
    """Qwen4-Exp: ple_layer_ids names the layers, from 1, that keep states of n-grams beside their own."""
    listed = set(part.integers(NGRAMS, minimum=1) or ())
    if max(listed) > layers:
        part.refuse(NGRAMS, f"layers from 1 to {layers} are expected")
    found = Found(value=True, source="config", keys=(part.dotted(NGRAMS),))
    return [{NGRAMS: found} if index + 1 in listed else {} for index in range(layers)]


def _or(part: ConfigPart, name: str, default: int) -> Found:
    if name in part.raw:
        return part.integer(name)
    return rule(default, f"{part.model_class.name} takes {default} where {name} is absent.")


def _laguna(part: ConfigPart, layers: int) -> list[Overrides]:
    """Laguna: num_attention_heads_per_layer."""
    listed = part.integers("num_attention_heads_per_layer", minimum=1)
    if listed is None:
        return [{} for _ in range(layers)]
    if len(listed) != layers:
        part.refuse("num_attention_heads_per_layer", f"{layers} entries are expected, one per layer")
    keys = (part.dotted("num_attention_heads_per_layer"),)
    return [{"num_attention_heads": Found(value=heads, source="config", keys=keys)} for heads in listed]


def _without_rotary(part: ConfigPart, layers: int) -> list[Overrides]:
    """Mistral Large 4: layers without rotary positions keep no rotary key."""
    flags = part.integers("no_rope_layers")
    if flags is None:
        found = part.optional_integer("no_rope_layer_interval") if "no_rope_layer_interval" in part.raw else None
        interval = found.value if found else 4
        flags = [int((index + 1) % interval != 0) for index in range(layers)]
    if len(flags) != layers:
        part.refuse("no_rope_layers", f"{layers} entries are expected, one per layer")
    none = rule(0, "A layer without rotary positions keeps no rotary key.", part.found("no_rope_layers"))
    return [{} if flag else {"qk_rope_head_dim": none} for flag in flags]


BY_KIND: dict[str, tuple[str, Callable[[ConfigPart], Overrides]]] = {
    "diffusion_gemma_text": (kinds_of.FULL, _gemma4),
    "dots3_note_text": (kinds_of.SLIDING, _dots3),
    "gemma4_text": (kinds_of.FULL, _gemma4),
    "gemma4_unified_text": (kinds_of.FULL, _gemma4),
    "inkling2_loop_text": (kinds_of.HYBRID_SLIDING, _swa),
    "inkling2_text": (kinds_of.HYBRID_SLIDING, _swa),
    "inkling_text": (kinds_of.HYBRID_SLIDING, _swa),
    "mimo_v2_flash": (kinds_of.SLIDING, _mimo),
    "step3p5": (kinds_of.SLIDING, _step3),
}


def shared_from(part: ConfigPart, kinds: Kinds) -> list[int | None]:
    """For each layer the earlier layer whose cache it reads, None where it keeps its own."""
    layers = len(kinds.kinds)
    if part.model_type == "mistral_large4_text":
        return _sources(part, layers)
    if "num_kv_shared_layers" not in part.model_class.defaults:
        return [None] * layers  # a class that has no such field keeps a cache for every layer, whatever the file says
    shared = part.optional_integer("num_kv_shared_layers", minimum=0)
    if shared is None or not shared.value:
        return [None] * layers
    first = layers - shared.value
    if first <= 0:
        part.refuse("num_kv_shared_layers", f"at least one of the {layers} layers has to keep a cache of its own")
    last = {kind: index for index, kind in enumerate(kinds.kinds[:first])}
    for kind in kinds.kinds[first:]:
        if kind not in last:
            raise UnsupportedConfig(
                f"{part.path}num_kv_shared_layers is {shared.value}: the {kinds_of.spoken(kind)} layers that share "
                "find no earlier layer of their kind. Correct the file, or pick another model."
            )
    sentence = f"The last {shared.value} layers read the keys and values of an earlier layer and keep none."
    part.note("shared_layers", rule(shared.value, sentence, shared))
    return [None] * first + [last[kind] for kind in kinds.kinds[first:]]


def _sources(part: ConfigPart, layers: int) -> list[int | None]:
    listed = part.integers("kv_source_layers")
    if listed is None:
        return [None] * layers
    if len(listed) != layers or any(source > index for index, source in enumerate(listed)):
        part.refuse("kv_source_layers", f"{layers} earlier layers (or the layer itself) are expected")
    return [None if source == index else source for index, source in enumerate(listed)]
