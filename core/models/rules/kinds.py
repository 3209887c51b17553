"""The words for kinds of layers, lists of them in a file, and the window of the layers that slide."""

from dataclasses import dataclass
from typing import Any

from core.models.rules.facts import UnsupportedConfig, shown
from core.models.rules.fields import ConfigPart, Found, rule

FULL, SLIDING, CHUNKED, LINEAR, CONV = (
    "full_attention",
    "sliding_attention",
    "chunked_attention",
    "linear_attention",
    "conv",
)
INDEXED, HYBRID, HYBRID_SLIDING = "indexed_attention", "hybrid", "hybrid_sliding"
NONE = ("moe", "mlp")
SPARSE = "minimax_m3_sparse"
COMPRESSED, HEAVILY_COMPRESSED = "compressed_sparse_attention", "heavily_compressed_attention"
KNOWN = {FULL, SLIDING, CHUNKED, LINEAR, CONV, INDEXED, HYBRID, HYBRID_SLIDING, SPARSE, *NONE}
OLDER_NAMES = {
    "attention": FULL,
    "mamba": LINEAR,
    "mamba2": LINEAR,
    "deepseek_sparse_attention": INDEXED,
    "qwen_sparse_attention": INDEXED,
}
SWITCHED = {  # model types whose window is dead while use_sliding_window is false
    "qwen2", "qwen2_5_omni_text", "qwen2_5_vl_text", "qwen2_vl_text", "qwen3", "qwen3_moe", "qwen2_moe",
}  # fmt: skip

NULL_SWITCHES = {"qwen2_vl_text", "qwen2_5_vl_text"}  # of those the ones that take null, which is false


@dataclass(frozen=True, kw_only=True)
class Kinds:
    """One kind per layer, and why."""

    kinds: tuple[str, ...]
    origin: Found


def spoken(kind: str) -> str:
    """'full_attention' -> 'full attention'."""
    return kind.replace("_", " ")


def switched_off(part: ConfigPart) -> bool:
    """Whether use_sliding_window is false in a class that listens to it."""
    if part.model_type in NULL_SWITCHES and part.value("use_sliding_window") is None:
        return True
    return part.model_type in SWITCHED and not part.boolean("use_sliding_window").value


def sliding_window(part: ConfigPart, minimum: int = 1) -> Found | None:
    """The window in force, None where it is null, absent or switched off. Raises UnsupportedConfig."""
    if switched_off(part):
        return None
    return part.optional_integer("sliding_window", minimum=minimum)


def window_of_sliding_layers(part: ConfigPart) -> Found | None:
    """The window in force, as the class computes it from what the file says."""
    if part.model_type == "mimo_v2_flash" and part.raw.get("sliding_window_size") is not None:
        size = part.integer("sliding_window_size")
        return rule(size.value + 1, "sliding_window_size leaves out the token itself: one more is kept.", size)
    stated = "sliding_window" in part.raw or "sliding_window" in part.overrides
    if part.model_type == "modernbert-decoder" and not stated:
        size = part.integer("local_attention", minimum=2)
        return rule(size.value // 2, "local_attention counts both sides: half of it is kept.", size)
    if part.model_type == "dots3_note_text" and part.value("sliding_window") is None:
        if part.raw.get("sliding_window_size") is not None:
            return part.integer("sliding_window_size")
        return rule(512, "Dots3NoteTextConfig takes a window of 512 where the file gives none.")
    return sliding_window(part)


def listed_kinds(part: ConfigPart, key: str, layers: int, names: dict[str, str]) -> Kinds:
    """A list of kind names from the file, checked for its length and for names that we know."""
    listed = part.raw[key]
    if not isinstance(listed, list | tuple):
        part.refuse(key, "a list of layer kinds is expected")
    if part.model_type == "step3p5":
        listed = _without_extra(part, listed, layers)
    if part.model_type == "dory" and "mlp" in listed:
        listed = listed[::2]  # attention and MLP blocks in turn: two make a layer
    if len(listed) != layers:
        raise UnsupportedConfig(
            f"{part.path}{key} has {len(listed)} entries and the model {layers} layers: they have to agree. "
            "Correct the file, or pick another model."
        )
    kinds = tuple(names.get(kind, kind) if isinstance(kind, str) else "" for kind in listed)
    for kind, raw in zip(kinds, listed, strict=True):
        if kind not in KNOWN:
            raise UnsupportedConfig(
                f"{part.path}{key} holds {shown(raw)}: a kind of layer that this reader does not know, so it cannot "
                "say what such a layer keeps. Check it against transformers instead, or pick another model."
            )
    found = Found(value=listed, source="config", keys=(part.path + key,))
    return Kinds(kinds=kinds, origin=rule("", f"{key} in the file names the kind of each layer.", found))


def _without_extra(part: ConfigPart, listed: list[Any] | tuple[Any, ...], layers: int) -> list[Any]:
    """Step-3.7 files append one entry per layer that predicts further tokens; those are not part of the model."""
    extra = part.optional_integer("num_nextn_predict_layers", minimum=0)
    padded = extra is not None and len(listed) == layers + extra.value
    return list(listed[:layers] if padded else listed)
