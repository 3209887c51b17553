"""Which attention layers slide, chunk or keep everything: one rule per configuration class of transformers 5.24."""

from collections.abc import Callable
from dataclasses import dataclass

from core.models.rules.fields import ConfigPart, rule
from core.models.rules.kinds import (
    CHUNKED,
    FULL,
    INDEXED,
    NULL_SWITCHES,
    SLIDING,
    SPARSE,
    Kinds,
    sliding_window,
    spoken,
)
from core.models.rules.own_keys import pattern_kinds


@dataclass(frozen=True, kw_only=True)
class Every:
    """`rare` on every period-th layer, `common` on the others."""

    period: int
    key: str | None = None  # raw key that overrides the period
    offset: int = 1  # rare where (index + offset) % period == 0
    rare: str = FULL
    common: str = SLIDING
    last_is_rare: bool = False

    def __call__(self, part: ConfigPart, layers: int) -> Kinds:
        found = part.optional_integer(self.key) if self.key else None
        if self.key and found is None and self.key in part.raw and part.model_class.defaults.get(self.key) is not None:
            part.refuse(self.key, f"{part.model_class.name} counts by it", "Give a number, or leave it out.")
        period = found.value if found is not None else self.period
        kinds = [self.rare if (index + self.offset) % period == 0 else self.common for index in range(layers)]
        if self.last_is_rare and kinds:
            kinds[-1] = self.rare
        name, rare, common = part.model_class.name, spoken(self.rare), spoken(self.common)
        sentence = f"{name} makes one layer in {period} {rare}, the others {common}."
        return Kinds(kinds=tuple(kinds), origin=rule("", sentence, found))


def all_of(kind: str) -> Callable[[ConfigPart, int], Kinds]:
    """The same kind everywhere."""

    def kinds(part: ConfigPart, layers: int) -> Kinds:
        origin = rule("", f"Every layer of {part.model_class.name} is {spoken(kind)}.")
        return Kinds(kinds=(kind,) * layers, origin=origin)

    return kinds


def from_last(part: ConfigPart, layers: int) -> Kinds:
    """Every fourth layer full, counted from the last one."""
    kinds = tuple(FULL if (layers - 1 - index) % 4 == 0 else SLIDING for index in range(layers))
    return Kinds(kinds=kinds, origin=rule("", f"{part.model_class.name} makes every fourth layer from the last full."))


def window_from(part: ConfigPart, layers: int) -> Kinds:
    """Qwen2: sliding from layer max_window_layers on, if the window is switched on; of 0 where no layer slides."""
    limit = part.value("max_window_layers")
    window = sliding_window(part, minimum=0 if type(limit) is int and limit >= layers else 1)
    if window is None and part.model_type in NULL_SWITCHES and part.value("max_window_layers") is None:
        return Kinds(kinds=(FULL,) * layers, origin=rule("", "No window is in force: every layer is full attention."))
    first = part.integer("max_window_layers", minimum=0)
    kinds = tuple(SLIDING if window is not None and index >= first.value else FULL for index in range(layers))
    if window is None:
        return Kinds(
            kinds=kinds, origin=rule("", "No window is in force, so every layer keeps the whole context.", first)
        )
    sentence = f"Layers from {first.value} on slide (max_window_layers); a value beyond the last layer means none does."
    return Kinds(kinds=kinds, origin=rule("", sentence, first, window))


def window_if_set(part: ConfigPart, layers: int) -> Kinds:
    """All layers slide when there is a window, none when it is null; without one a chunk holds for all."""
    window = sliding_window(part)
    if window is None and part.raw.get("attention_chunk_size") is not None:
        chunk = part.optional_integer("attention_chunk_size")  # transformers' cache also takes a stray one
        return Kinds(kinds=(CHUNKED,) * layers, origin=rule("", "Every layer is chunked attention.", chunk))
    kind = FULL if window is None else SLIDING
    return Kinds(kinds=(kind,) * layers, origin=rule("", f"Every layer is {spoken(kind)}.", window))


def window_alone(part: ConfigPart, layers: int) -> Kinds:
    """Ministral: all layers slide when there is a window, none without; the list is derived, so no chunk counts."""
    window = sliding_window(part)
    kind = FULL if window is None else SLIDING
    return Kinds(kinds=(kind,) * layers, origin=rule("", f"Every layer is {spoken(kind)}.", window))


def qwen2_moe(part: ConfigPart, layers: int) -> Kinds:
    """Even layers below max_window_layers slide, if use_sliding_window."""
    used = part.boolean("use_sliding_window")
    first = part.integer("max_window_layers", minimum=0)
    kinds = tuple(SLIDING if used.value and index % 2 == 0 and index < first.value else FULL for index in range(layers))
    return Kinds(kinds=kinds, origin=rule("", "use_sliding_window and max_window_layers decide.", used, first))


def exaone4(part: ConfigPart, layers: int) -> Kinds:
    """One in sliding_window_pattern full; without a window the class needs the list, and fails where it is absent."""
    if sliding_window(part) is None:
        problem = f"{part.model_class.name} makes no list of layer kinds without a window"
        part.refuse("sliding_window", problem, "Give a window, or layer_types with one entry per layer.")
    pattern = part.value("sliding_window_pattern")
    if isinstance(pattern, str):
        return _letters(part, pattern, layers, {"L": SLIDING, "G": FULL})
    return Every(period=4, key="sliding_window_pattern")(part, layers)


def _letters(part: ConfigPart, pattern: str, layers: int, letters: dict[str, str]) -> Kinds:
    """'LLLG' repeated over the layers, the last one full."""
    if not pattern or set(pattern) - set(letters):
        part.refuse("sliding_window_pattern", f"letters {', '.join(letters)} are expected")
    kinds = [letters[pattern[index % len(pattern)]] for index in range(layers)]
    found = part.found("sliding_window_pattern")
    return Kinds(kinds=tuple(kinds), origin=rule("", "The letters repeat over the layers: L slides, G is full.", found))


def cohere2_moe(part: ConfigPart, layers: int) -> Kinds:
    """A dense prefix with its own period, then the rest with another."""
    prefix = part.optional_integer("first_k_dense_replace", minimum=0)
    count = min(prefix.value if prefix else 0, layers)
    head = Every(period=4, key="prefix_dense_sliding_window_pattern")(part, count)
    rest = Every(period=4, key="sliding_window_pattern")(part, layers - count)
    return Kinds(kinds=head.kinds + rest.kinds, origin=rest.origin)


def llama4(part: ConfigPart, layers: int) -> Kinds:
    """Chunked where rotary positions are used, full where they are not (NoPE)."""
    flags = part.integers("no_rope_layers")
    if flags:
        if len(flags) != layers:
            part.refuse("no_rope_layers", f"{layers} entries are expected, one per layer")
        origin = rule("", "Layers with 0 in no_rope_layers keep the whole context.", part.found("no_rope_layers"))
        return Kinds(kinds=tuple(CHUNKED if flag else FULL for flag in flags), origin=origin)
    return Every(period=4, key="no_rope_layer_interval", common=CHUNKED)(part, layers)


def smollm3(part: ConfigPart, layers: int) -> Kinds:
    """Layers without rotary positions slide, if use_sliding_window."""
    if not part.boolean("use_sliding_window").value or part.optional_integer("sliding_window") is None:
        return Kinds(kinds=(FULL,) * layers, origin=rule("", "No window is in force: every layer is full attention."))
    flags = part.integers("no_rope_layers")
    if flags is None:
        return Every(period=4, key="no_rope_layer_interval", rare=SLIDING, common=FULL)(part, layers)
    if len(flags) != layers:
        part.refuse("no_rope_layers", f"{layers} entries are expected, one per layer")
    origin = rule("", "Layers with 0 in no_rope_layers slide.", part.found("no_rope_layers"))
    return Kinds(kinds=tuple(FULL if flag else SLIDING for flag in flags), origin=origin)


def flint(part: ConfigPart, layers: int) -> Kinds:
    """Layers 0 and 1, every fourth from 1, and the last one full."""
    full = {0, 1, layers - 1} | set(range(1, layers, 4))
    kinds = tuple(FULL if index in full else SLIDING for index in range(layers))
    return Kinds(kinds=kinds, origin=rule("", f"{part.model_class.name} has this pattern fixed."))


def mimo(part: ConfigPart, layers: int) -> Kinds:
    """Layer 0 and every sixth full; the list of MiMo's own code, which the class does not look at, says it too."""
    patterned = pattern_kinds(part, layers)
    if patterned is not None:
        return patterned
    kinds = tuple(FULL if index == 0 or (index + 1) % 6 == 0 else SLIDING for index in range(layers))
    return Kinds(kinds=kinds, origin=rule("", f"{part.model_class.name} makes layer 0 and every sixth layer full."))


def gpt_neo(part: ConfigPart, layers: int) -> Kinds:
    """attention_types counts must add up to the layers; local layers still cache the whole context in transformers."""
    types = part.value("attention_types")
    if part.raw.get("sliding_window") is not None or part.raw.get("attention_chunk_size") is not None:
        return window_if_set(part, layers)  # transformers' cache slides in any class whose file has such a key
    if types is None:
        return Kinds(kinds=(FULL,) * layers, origin=rule("", "Global and local layers alike keep the whole context."))
    kinds = tuple(_expanded(part, types))
    if len(kinds) != layers:
        part.refuse("attention_types", f"it describes {len(kinds)} layers, num_layers says {layers}")
    sentence = "Local layers mask old tokens but keep them: transformers caches the whole context everywhere."
    return Kinds(kinds=(FULL,) * layers, origin=rule("", sentence, part.found("attention_types")))


def _expanded(part: ConfigPart, types: object) -> list[str]:
    kinds: list[str] = []
    for entry in types if isinstance(types, list | tuple) else (None,):
        plain = isinstance(entry, list | tuple) and len(entry) == 2 and isinstance(entry[0], list | tuple)
        if not plain or type(entry[1]) is not int or not 0 < entry[1] <= 10_000 or len(entry[0]) > 10_000:  # type: ignore[index]
            part.refuse("attention_types", 'entries such as [["global", "local"], 12] are expected')
        if len(kinds) + len(entry[0]) * entry[1] > 10_000:  # type: ignore[index]
            part.refuse("attention_types", "it describes more than 10,000 layers")
        kinds.extend(map(str, list(entry[0]) * entry[1]))  # type: ignore[index]
    return kinds


def minimax_m3(part: ConfigPart, layers: int) -> Kinds:
    """sparse_attention_config.sparse_attention_freq: sparse layers keep an index beside their keys and values."""
    nested = part.nested("sparse_attention_config", {})
    flags = nested.integers("sparse_attention_freq")
    if flags is None:
        return Kinds(kinds=(FULL,) * layers, origin=rule("", f"{part.model_class.name} makes every layer full."))
    if len(flags) != layers:
        nested.refuse("sparse_attention_freq", f"{layers} entries are expected, one per layer")
    kinds = tuple(SPARSE if flag else FULL for flag in flags)
    return Kinds(kinds=kinds, origin=rule("", "1 marks a sparse layer.", nested.found("sparse_attention_freq")))


def dots3_listed(part: ConfigPart, kinds: tuple[str, ...]) -> tuple[str, ...]:
    """use_dsa turns listed full layers into indexed ones, or back; absent it is true, beside per_layer_config null."""
    dsa = part.raw.get("use_dsa", None if "per_layer_config" in part.raw else True)
    if dsa is None:
        return kinds
    if not isinstance(dsa, bool):
        part.refuse("use_dsa", "true or false is expected")
    old, new = (FULL, INDEXED) if dsa else (INDEXED, FULL)
    return tuple(new if kind == old else kind for kind in kinds)


def dots3(part: ConfigPart, layers: int) -> Kinds:
    """Layers 0, 1 and every fourth from 1 full (or indexed), the others sliding."""
    dsa = part.raw.get("use_dsa", True)
    slides = part.raw.get("use_sliding_window", True)
    slides = False if slides is None else slides  # null switches it off, as it does in the class
    if not isinstance(dsa, bool) or not isinstance(slides, bool):
        part.refuse("use_dsa" if not isinstance(dsa, bool) else "use_sliding_window", "true or false is expected")
    whole = INDEXED if dsa else FULL
    kinds = tuple(whole if not slides or index < 2 or index % 4 == 1 else SLIDING for index in range(layers))
    return Kinds(kinds=kinds, origin=rule("", f"{part.model_class.name} has this pattern fixed."))
