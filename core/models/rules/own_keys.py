"""A model type that nobody knows, read from its own file: the kind of each layer, and a width for each kind.

Where a file lists one kind per layer (`layer_types`, or MiMo's `hybrid_layer_pattern`) and gives heads, widths and
window of each kind, its cache follows whatever the class is called. Every other key is sorted: one that could change
what a layer keeps refuses the file and is named; one that could not is listed as not used. The reading is labelled, so
that nobody takes it for a class that was checked.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from core.models.rules.class_defaults import ModelClass
from core.models.rules.facts import Provenance, UnsupportedConfig, shown
from core.models.rules.fields import ConfigPart, Found, rule
from core.models.rules.kinds import CHUNKED, FULL, LINEAR, SLIDING, Kinds

KV = {"num_key_value_heads": None}
PLAIN = ("hidden_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads")
LATENT = ("kv_lora_rank", "qk_rope_head_dim", "qk_nope_head_dim", "v_head_dim")
PATTERN = "hybrid_layer_pattern"  # MiMo-V2: 0 keeps the whole context, 1 slides
SECOND = {  # fields of sliding layers -> the keys of their own that a file may give them
    name: f"swa_{name}" for name in ("num_attention_heads", "num_key_value_heads", "head_dim", "v_head_dim")
}  # fmt: skip
READ = {*PLAIN, "head_dim", "v_head_dim", "layer_types", PATTERN}
SETTLED_BY_THE_LIST = {  # read beside a list of kinds, or saying by a period or a switch what the list says by layer
    "_sliding_window_pattern", "attention_chunk_size", "full_attention_interval", "global_attn_every_n_layers",
    "hybrid_block_size", "max_window_layers", "sliding_window", "sliding_window_pattern", "sliding_window_size",
    "use_sliding_window", *SECOND.values(),
}  # fmt: skip
COULD_CHANGE = re.compile(
    r"window|sliding|swa_|kv|lora_rank|mamba|ssm|linear|conv|state|latent|layer_types|pattern|interval|cross"
    r"|block_config|chunk|shar|cla_|recurren|attn_type|attention_type|sparse|compress|multi_query|group|n_head"
    r"|per_layer|hybrid|global|local|index|attention_layer|attn_layer|full_att|skip|head|yoco|nope|cache|loop|cycles"
    r"|memory|meta_token|prefix|retention|delta|ngram|sink_tokens|attention_sinks?$|block_type|prune",
    re.IGNORECASE,
)
# Of these the ones that cannot: rotary positions, feed-forward and experts, output heads, scores, switches of code
HARMLESS = re.compile(
    r"^(.*qkv.*|use_.*cache|cache_implementation|(quantization|compression)_config|.*token_(id|index).*|lm_head.*"
    r"|num_local_experts|local_rank|n_group|topk_group|num_expert_groups?|.*shared_experts?.*|moe_.*|.*_moe"
    r"|shared_(mlp|expert|intermediate).*|tie_word_embeddings|hidden_act|hidden_activation|keep_.*|head_type"
    r"|.*rope.*theta.*|(no_)?rope_.*|.*rotary.*|.*(head|attn|attention)_?wise.*gate.*|.*output_gate.*|.*gate.*head.*"
    r"|.*sink_bias|.*layernorm.*|.*_norm(_.*)?|norm_.*|.*(bias|dropout|softcap.*|_std)|(initializer|init)_.*"
    r"|mlp_layer_types|q_lora_rank|pretraining_tp|.*linear_bias.*|num_nextn_predict_layers|prefix_lm|gradient_.*"
    r"|.*parallel.*)$"
)
NOTHING: tuple[Any, ...] = (None, False, "", {}, [])  # 0 equals False


@dataclass(frozen=True, kw_only=True)
class OwnKeys:
    """What a reading of an unknown class rests on: dotted keys that decided a figure, and those that did not."""

    model_type: str
    used: tuple[str, ...]
    unused: tuple[str, ...]

    @property
    def label(self) -> str:
        """For every page, above the figures."""
        return (
            f"Read from the file's own keys; class not known: transformers 5.24 has no model_type "
            f"{shown(self.model_type)}, so nothing was checked against a class."
        )

    @property
    def sentence(self) -> str:
        """The keys behind it, every one."""
        return f"Used: {', '.join(self.used)}. Not used: {', '.join(self.unused) or 'none'}."


def own_layout(raw: Mapping[str, Any], path: str, model_type: str) -> ModelClass:
    """The layout of a file that says everything itself. Raises UnsupportedConfig by the key that leaves it open."""
    require(raw, path, model_type, PLAIN)
    listed = [key for key in ("layer_types", PATTERN) if raw.get(key) is not None]
    latent = raw.get("kv_lora_rank") is not None
    if latent:
        require(raw, path, model_type, LATENT)
    read = READ | (SETTLED_BY_THE_LIST if listed else set()) | (set(LATENT) if latent else set())
    read |= {"sliding_window", "max_window_layers"} if raw.get("use_sliding_window") is False else set()
    for key, value in raw.items():
        if key not in read and _could_change(key, value):
            raise UnsupportedConfig(
                f"{path}{shown(key)[1:-1]} is {shown(value)} and {path}model_type {shown(model_type)} is not known to "
                f"transformers 5.24: the key may change what the cache holds. {_advice(key)}"
            )
    defaults: dict[str, Any] = dict(KV) | (dict.fromkeys(LATENT) if latent else {})
    return ModelClass(
        name=f"the plain layout of {shown(model_type)[1:-1]}", defaults=defaults, head_dim="declared", own_keys=True
    )


def _could_change(key: object, value: Any) -> bool:
    named = isinstance(key, str) and COULD_CHANGE.search(key) and not HARMLESS.match(key)
    return bool(named) and value not in NOTHING


def _advice(key: str) -> str:
    if "window" in key:
        return (
            "Add layer_types, one entry per layer, which says the layers that it holds for; or ask for it to be added."
        )
    return "Take it out if the model's own code makes nothing of it, or ask for this model to be added."


def require(raw: Mapping[str, Any], path: str, model_type: str, keys: tuple[str, ...]) -> None:
    """Raise UnsupportedConfig for the first of the keys that the file leaves out or null."""
    for key in keys:
        if raw.get(key) is None:
            raise UnsupportedConfig(
                f"{path}{key} is {'null' if key in raw else 'absent'} and {path}model_type {shown(model_type)} is not "
                f"known to transformers 5.24: nothing says what stands in for it. Add {key} to the file, or ask for "
                "this model to be added."
            )


def pattern_kinds(part: ConfigPart, layers: int) -> Kinds | None:
    """The kinds that hybrid_layer_pattern names, None where the file has no such list."""
    flags = part.integers(PATTERN)
    if flags is None:
        return None
    if len(flags) != layers or set(flags) - {0, 1}:
        part.refuse(PATTERN, f"{layers} entries of 0 or 1 are expected, one per layer")
    origin = rule("", "1 slides, 0 keeps the whole context.", part.found(PATTERN))
    return Kinds(kinds=tuple(SLIDING if flag else FULL for flag in flags), origin=origin)


def own_kinds(part: ConfigPart, kinds: Kinds | None, layers: int) -> Kinds:
    """The kinds of an unknown class: the listed ones, which have to be kinds whose cache the file itself says."""
    patterned = pattern_kinds(part, layers)
    if kinds is not None and patterned is not None and kinds.kinds != patterned.kinds:
        part.refuse(PATTERN, "layer_types says other kinds", "Take out the list that the model's own code ignores.")
    found = (
        kinds or patterned or Kinds(kinds=(FULL,) * layers, origin=rule("", "No key says otherwise: full attention."))
    )
    known = {FULL, SLIDING, CHUNKED, "moe", "mlp"}
    other = next((kind for kind in found.kinds if kind not in known), None)
    if other is not None:
        what = "what its state keeps" if other == LINEAR else "what such a layer keeps"
        part.refuse(
            "layer_types", f"it lists {other}, and {what} is a class's own to say", "Ask for this model to be added."
        )
    if SLIDING in found.kinds and part.value("use_sliding_window") is False:
        part.refuse("use_sliding_window", "it switches the window off, and some layers slide", "Set it to true.")
    return found


def own_window(part: ConfigPart) -> Found | None:
    """sliding_window, or sliding_window_size where the file has that name; both have to agree."""
    window, other = part.optional_integer("sliding_window"), part.optional_integer("sliding_window_size")
    if window is not None and other is not None and window.value != other.value:
        part.refuse("sliding_window_size", f"sliding_window says {window.value}", "Make both the same.")
    return window or other


def second_heads(part: ConfigPart) -> dict[str, Found]:
    """Heads and widths of sliding layers where the file gives them keys of their own."""
    found = {name: part.integer(key) for name, key in SECOND.items() if part.raw.get(key) is not None}
    if found:
        values = rule("", "Sliding layers have heads and widths of their own.", *found.values())
        part.note("sliding_heads", values, ", ".join(f"{SECOND[name]} {item.value}" for name, item in found.items()))
    return found


def own_keys_of(part: ConfigPart, notes: list[Provenance]) -> OwnKeys | None:
    """The keys used and not used, for a part that was read so; None for a known class."""
    if not part.model_class.own_keys:
        return None
    decided = {key for note in notes for key in note.keys}
    keys = [key for key in part.raw if isinstance(key, str) and key != "model_type"]
    used = tuple(part.path + key for key in keys if part.path + key in decided)
    unused = tuple(shown(part.path + key)[1:-1] for key in keys if part.path + key not in decided)
    return OwnKeys(model_type=part.model_type, used=used, unused=unused)
