"""Which kind each layer is: full, sliding, chunked, latent-with-indexer, linear, none.

A file may list them (`layer_types`); otherwise the class of that model_type derives them from a period, a list of
indices or a fixed pattern. Those rules are written down here once per class, as `__post_init__` of transformers 5.23
has them; tests compare every one with the installed class.
"""

from collections.abc import Callable
from dataclasses import dataclass

from core.config_rules.facts import UnsupportedConfig, shown
from core.config_rules.fields import ConfigPart, Found, rule

FULL, SLIDING, CHUNKED, LINEAR, CONV = (
    "full_attention",
    "sliding_attention",
    "chunked_attention",
    "linear_attention",
    "conv",
)
INDEXED, HYBRID, HYBRID_SLIDING = "indexed_attention", "hybrid", "hybrid_sliding"
NONE = ("moe", "mlp")
KNOWN = {FULL, SLIDING, CHUNKED, LINEAR, CONV, INDEXED, HYBRID, HYBRID_SLIDING, "minimax_m3_sparse", *NONE}
OLDER_NAMES = {
    "attention": FULL,
    "mamba": LINEAR,
    "mamba2": LINEAR,
    "deepseek_sparse_attention": INDEXED,
    "qwen_sparse_attention": INDEXED,
}


@dataclass(frozen=True, kw_only=True)
class Kinds:
    """One kind per layer, and why."""

    kinds: tuple[str, ...]
    origin: Found


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
        period = found.value if found is not None else self.period
        kinds = [self.rare if (index + self.offset) % period == 0 else self.common for index in range(layers)]
        if self.last_is_rare and kinds:
            kinds[-1] = self.rare
        sentence = f"{part.model_class.name} makes one layer in {period} {spoken(self.rare)}, the others {spoken(self.common)}."
        return Kinds(kinds=tuple(kinds), origin=rule("", sentence, found))


def spoken(kind: str) -> str:
    """'full_attention' -> 'full attention'."""
    return kind.replace("_", " ")


def from_last(part: ConfigPart, layers: int) -> Kinds:
    """Every fourth layer full, counted from the last one."""
    kinds = tuple(FULL if (layers - 1 - index) % 4 == 0 else SLIDING for index in range(layers))
    return Kinds(kinds=kinds, origin=rule("", f"{part.model_class.name} makes every fourth layer from the last full."))


def window_from(part: ConfigPart, layers: int) -> Kinds:
    """Qwen2: sliding from layer max_window_layers on, if the window is switched on."""
    window = sliding_window(part)
    first = part.integer("max_window_layers", minimum=0)
    kinds = tuple(SLIDING if window is not None and index >= first.value else FULL for index in range(layers))
    if window is None:
        return Kinds(
            kinds=kinds, origin=rule("", "No window is in force, so every layer keeps the whole context.", first)
        )
    sentence = f"Layers from {first.value} on slide (max_window_layers); a value beyond the last layer means none does."
    return Kinds(kinds=kinds, origin=rule("", sentence, first, window))


def window_if_set(part: ConfigPart, layers: int) -> Kinds:
    """All layers slide when there is a window, none when it is null."""
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
    """One in sliding_window_pattern full; no window means no sliding layer."""
    if part.optional_integer("sliding_window") is None:
        return Kinds(kinds=(FULL,) * layers, origin=rule("", "sliding_window is null: every layer is full attention."))
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
    if sliding_window(part) is None:
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
    """Layer 0 and every sixth full."""
    pattern = part.integers("hybrid_layer_pattern")
    if pattern is not None and part.raw.get("layer_types") is None:
        part.refuse("hybrid_layer_pattern", "this older spelling is not read", "Add layer_types, one entry per layer.")
    kinds = tuple(FULL if index == 0 or (index + 1) % 6 == 0 else SLIDING for index in range(layers))
    return Kinds(kinds=kinds, origin=rule("", f"{part.model_class.name} makes layer 0 and every sixth layer full."))


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
    sentence = f"Attention on every {period.value}th layer from layer {offset.value}, Mamba on the others."
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
    if part.raw.get("layers_block_type") is None:
        return None
    return listed_kinds(part, "layers_block_type", layers, {**OLDER_NAMES, "hybrid": HYBRID})


def recurrent_gemma(part: ConfigPart, layers: int) -> Kinds:
    """block_types repeats over the layers; its attention layers slide."""
    types = part.value("block_types")
    if not isinstance(types, list | tuple) or not types or set(map(str, types)) - {"recurrent", "attention"}:
        part.refuse("block_types", 'a list of "recurrent" and "attention" is expected')
    kinds = tuple(LINEAR if types[index % len(types)] == "recurrent" else SLIDING for index in range(layers))
    return Kinds(kinds=kinds, origin=rule("", "block_types repeats over the layers.", part.found("block_types")))


def gpt_neo(part: ConfigPart, layers: int) -> Kinds:
    """attention_types counts must add up to the layers; local layers still cache the whole context in transformers."""
    types = part.value("attention_types")
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


def minimax_m3(part: ConfigPart, layers: int) -> Kinds:
    """sparse_attention_config.sparse_attention_freq: sparse layers keep an index beside their keys and values."""
    nested = part.nested("sparse_attention_config", {})
    flags = nested.integers("sparse_attention_freq")
    if flags is None:
        return Kinds(kinds=(FULL,) * layers, origin=rule("", f"{part.model_class.name} makes every layer full."))
    if len(flags) != layers:
        nested.refuse("sparse_attention_freq", f"{layers} entries are expected, one per layer")
    kinds = tuple("minimax_m3_sparse" if flag else FULL for flag in flags)
    return Kinds(kinds=kinds, origin=rule("", "1 marks a sparse layer.", nested.found("sparse_attention_freq")))


def dots3(part: ConfigPart, layers: int) -> Kinds:
    """Layers 0, 1 and every fourth from 1 full (or indexed), the others sliding."""
    dsa = part.raw.get("use_dsa", True)
    slides = part.raw.get("use_sliding_window", True)
    if not isinstance(dsa, bool) or not isinstance(slides, bool):
        part.refuse("use_dsa" if not isinstance(dsa, bool) else "use_sliding_window", "true or false is expected")
    whole = INDEXED if dsa else FULL
    kinds = tuple(whole if not slides or index < 2 or index % 4 == 1 else SLIDING for index in range(layers))
    return Kinds(kinds=kinds, origin=rule("", f"{part.model_class.name} has this pattern fixed."))


def lfm3(part: ConfigPart, layers: int) -> Kinds:
    """Full on 2, 6, 10, …; sliding on 4, 8, …; short convolution elsewhere."""
    kinds = tuple(FULL if index % 4 == 2 else SLIDING if index % 4 == 0 and index else CONV for index in range(layers))
    return Kinds(kinds=kinds, origin=rule("", f"{part.model_class.name} has this pattern fixed."))


def all_of(kind: str) -> Callable[[ConfigPart, int], Kinds]:
    """The same kind everywhere."""

    def kinds(part: ConfigPart, layers: int) -> Kinds:
        origin = rule("", f"Every layer of {part.model_class.name} is {spoken(kind)}.")
        return Kinds(kinds=(kind,) * layers, origin=origin)

    return kinds


PATTERNS: dict[str, Callable[[ConfigPart, int], Kinds]] = {
    "afmoe": Every(period=4, key="global_attn_every_n_layers"),
    "axk2": all_of(INDEXED),
    "bailing_hybrid": Every(period=8, key="layer_group_size", common=LINEAR),
    "bamba": by_indices("attn_layer_indices", FULL, LINEAR),
    "beam": Every(period=6, last_is_rare=True),
    "cohere2": Every(period=4, key="sliding_window_pattern"),
    "cohere2_moe": cohere2_moe,
    "cohere_compass_text": all_of(FULL),
    "cwm": Every(period=4, offset=0),
    "deepseek_v32": all_of(INDEXED),
    "dots1": window_from,
    "dots3_note_text": dots3,
    "exaone4": exaone4,
    "exaone_moe": exaone4,
    "falcon_h1": all_of(HYBRID),
    "falcon_mamba": all_of(LINEAR),
    "flint": flint,
    "gemma2": Every(period=2),
    "gemma3_text": Every(period=6, key="sliding_window_pattern"),
    "gemma3n_text": Every(period=5),
    "gemma4_text": Every(period=6, last_is_rare=True),
    "gemma4_unified_text": Every(period=6, last_is_rare=True),
    "diffusion_gemma_text": Every(period=6, last_is_rare=True),
    "glm_moe_dsa": all_of(INDEXED),
    "glm5_next_text": Every(period=4, rare=INDEXED, common=LINEAR),
    "gpt_neo": gpt_neo,
    "gpt_oss": Every(period=2),
    "granite_swa": Every(period=4, offset=0),
    "granitemoe_swa": Every(period=4, offset=0),
    "granitemoehybrid": all_of(LINEAR),
    "hy_v4": all_of(INDEXED),
    "inkling2_text": Every(period=6, rare=HYBRID, common=HYBRID_SLIDING),
    "inkling_text": Every(period=6, rare=HYBRID, common=HYBRID_SLIDING),
    "jamba": jamba,
    "kimi_linear": kimi_linear,
    "kolibri1": Every(period=5),
    "laguna": all_of(FULL),
    "lfm2": by_indices("full_attn_idxs", FULL, CONV),
    "lfm2_moe": by_indices("full_attn_idxs", FULL, CONV),
    "lfm3": lfm3,
    "llama4_text": llama4,
    "mamba": all_of(LINEAR),
    "mamba2": all_of(LINEAR),
    "mellum": all_of(FULL),
    "mimo_v2_flash": mimo,
    "minimax": Every(period=2, rare=LINEAR, common=FULL),
    "minimax_m3_vl_text": minimax_m3,
    "ministral": window_if_set,
    "mistral_large4_text": all_of(INDEXED),
    "modernbert-decoder": Every(period=3, key="global_attn_every_n_layers", offset=0),
    "muse_glimmer_text": from_last,
    "muse_spark_text": from_last,
    "olmo3": Every(period=4),
    "olmo_hybrid": Every(period=4, common=LINEAR),
    "qwen2": window_from,
    "qwen2_5_omni_text": window_from,
    "qwen2_5_vl_text": window_from,
    "qwen2_moe": qwen2_moe,
    "qwen2_vl_text": window_from,
    "qwen3": window_from,
    "qwen3_5_moe_text": Every(period=4, key="full_attention_interval", common=LINEAR),
    "qwen3_5_text": Every(period=4, key="full_attention_interval", common=LINEAR),
    "qwen3_next": Every(period=4, key="full_attention_interval", common=LINEAR),
    "qwen4_exp_text": Every(period=4, key="full_attention_interval", rare=INDEXED, common=LINEAR),
    "recurrent_gemma": recurrent_gemma,
    "smollm3": smollm3,
    "vaultgemma": Every(period=2),
    "zamba": zamba,
    "zamba2": zamba2,
    "zaya": all_of(HYBRID),
}

SWITCHED = {  # model types whose window is dead while use_sliding_window is false
    "qwen2", "qwen2_5_omni_text", "qwen2_5_vl_text", "qwen2_vl_text", "qwen3", "qwen3_moe", "qwen2_moe", "smollm3",
}  # fmt: skip


def sliding_window(part: ConfigPart) -> Found | None:
    """The window in force, None where it is null, absent or switched off."""
    if part.model_type in SWITCHED:
        switch = part.boolean("use_sliding_window")
        if not switch.value:
            return None
    return part.optional_integer("sliding_window")


def layer_kinds(part: ConfigPart, layers: int) -> Kinds:
    """The kind of each layer: the file's own list, else the rule of the class, else the window alone."""
    if part.raw.get("layer_types") is not None:
        return listed_kinds(part, "layer_types", layers, OLDER_NAMES)
    pattern = PATTERNS.get(part.model_type)
    if pattern is not None:
        return pattern(part, layers)
    return window_if_set(part, layers)


def listed_kinds(part: ConfigPart, key: str, layers: int, names: dict[str, str]) -> Kinds:
    """A list of kind names from the file, checked for its length and for names that we know."""
    listed = part.raw[key]
    if not isinstance(listed, list | tuple):
        part.refuse(key, "a list of layer kinds is expected")
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
