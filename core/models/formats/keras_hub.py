"""Keras-Hub's config.json: a serialised backbone, {module, class_name, config}; a task.json holds one inside.

After the backbones of keras-hub 0.32 (src/models/*/*_backbone.py): each class has its own names and its own rule of
which layers slide, so a class that is not listed here is refused. num_key_value_heads is a required argument of every
class that has it; where a class has no head_dim, a head is hidden_dim / query heads wide.
"""

from collections.abc import Callable, Mapping
from typing import Any

from core.models.formats.meaning import Shape, Translation, translated
from core.models.formats.section import Figure, Section

TOOL = "Keras-Hub"
SHARING_CARRIER = (
    "gemma3n_text"  # a class whose last layers share: any other keeps a cache for each, whatever its file says
)
Layers = dict[str, Any]  # what a class adds to a Shape: window, kinds, carrier, others
Rule = Callable[[Section, int], Layers]


def recognises(raw: Mapping[str, Any]) -> bool:
    """A serialised Keras object of Keras-Hub, at the top or as a task's backbone."""
    return _is_backbone(raw) or _is_backbone(_inner(raw))


def _inner(raw: Mapping[str, Any]) -> Any:
    config = raw.get("config")
    return config.get("backbone") if isinstance(config, Mapping) else None


def _is_backbone(raw: Any) -> bool:
    return (
        isinstance(raw, Mapping) and isinstance(raw.get("class_name"), str) and isinstance(raw.get("config"), Mapping)
    )


def translate(raw: Mapping[str, Any]) -> Translation:
    """The backbone as a config.json. Raises UnsupportedConfig."""
    top = Section(raw=raw, tool=TOOL)
    if _is_backbone(_inner(raw)):
        top = top.section("config").section("backbone")
    name = str(top.text("class_name"))
    if name not in BACKBONES:
        known = ", ".join(known.removesuffix("Backbone") for known in BACKBONES)
        top.refuse("class_name", f"this backbone is not read here; read are {known}", "Give the model's config.json.")
    heads, rule = BACKBONES[name]
    part = top.section("config")
    layers, query, hidden = part.layers("num_layers"), part.integer(heads), part.integer("hidden_dim")
    if name in MULTI_HEAD:
        kv = part.own_kv_heads("num_key_value_heads", query, f"{name} knows no key for KV heads")
    else:
        kv = part.integer("num_key_value_heads")
        if query.value % kv.value:
            part.refuse("num_key_value_heads", f"it does not divide the {query.value} query heads")
    return translated(
        Shape(
            name=f"{name} of {TOOL}",
            layers=layers,
            query_heads=query,
            kv_heads=kv,
            head_dim=part.head_dim("head_dim", hidden, query),
            hidden=hidden,
            vocabulary=part.optional("vocabulary_size"),
            feed_forward=part.optional("intermediate_dim"),
            **rule(part, layers.value),
        )
    )


def _whole(part: Section, layers: int) -> Layers:
    return {}


def _window(default: int | None) -> Rule:
    """Every layer slides; null switches it off, and an absent key takes the class's own number."""

    def rule(part: Section, layers: int) -> Layers:
        if "sliding_window" in part.raw or default is None:
            return {"window": part.optional("sliding_window")}
        return {"window": part.default("sliding_window", default)}

    return rule


def _qwen(part: Section, layers: int) -> Layers:
    """Qwen and Qwen-MoE: every layer slides where use_sliding_window_attention is on."""
    return {"window": _switched_window(part, 32_768)}


def _qwen3(part: Section, layers: int) -> Layers:
    """Qwen 3: every layer slides where sliding_window_size is a number."""
    if "sliding_window_size" in part.raw:
        return {"window": part.optional("sliding_window_size")}
    return {"window": part.default("sliding_window_size", 32_768)}


def _switched_window(part: Section, default: int, *, on: bool = False) -> Figure | None:
    used = part.boolean("use_sliding_window_attention", default=on)
    return part.or_default("sliding_window_size", default) if used else None


def _alternating(key: str, slides: Callable[[int], bool], window: Callable[[Section], Figure | None]) -> Rule:
    """Layers for which `slides` holds keep the window."""

    def rule(part: Section, layers: int) -> Layers:
        found = window(part)
        if found is None:
            return {}
        kinds = ["sliding_attention" if slides(index) else "full_attention" for index in range(layers)]
        number = sum(kind == "sliding_attention" for kind in kinds)
        sentence = f"The class lets {number} of {layers} layers slide."
        return {"window": found, "kinds": part.figure(kinds, key, sentence=sentence)}

    return rule


def _smollm3(part: Section, layers: int) -> Layers:
    """SmolLM3: layer_types is kept, and no window with it."""
    listed = part.raw.get("layer_types")
    if listed is not None and (not isinstance(listed, list) or set(map(str, listed)) - {"full_attention"}):
        part.refuse("layer_types", "'full_attention' is expected: the class has no window")
    return {}


def _gemma4(part: Section, layers: int) -> Layers:
    """Gemma 4: full layers have their own width and heads, and the last layers may share an earlier one's cache."""
    kinds = _gemma4_kinds(part, layers)
    window = _switched_window(part, 512, on=True)
    wide, heads = part.optional("global_head_dim"), part.optional("num_global_key_value_heads")
    changed = {"head_dim": wide, "num_key_value_heads": heads}
    override = {name: figure.value for name, figure in changed.items() if figure is not None}
    others: dict[str, Figure] = {}
    if override:
        listed = {str(index): override for index, kind in enumerate(kinds) if kind == "full_attention"}
        sentence = "Full layers have a width and a number of KV heads of their own."
        keys = ("global_head_dim", "num_global_key_value_heads")
        others["per_layer_config"] = part.figure(listed, *keys, sentence=sentence)
    shared = part.optional("num_kv_shared_layers", minimum=0)
    if shared is not None and shared.value:
        others["num_kv_shared_layers"] = shared
    found = _gemma4_figure(part, kinds)
    if window is None:
        if override or (shared is not None and shared.value):
            part.refuse("use_sliding_window_attention", "layers that differ without a window are not read here")
        return {}
    layers_of = {"window": window, "kinds": found, "others": others}
    return {**layers_of, "carrier": SHARING_CARRIER} if "num_kv_shared_layers" in others else layers_of


def _gemma4_kinds(part: Section, layers: int) -> list[str]:
    listed = part.raw.get("layer_types")
    if listed is None:
        period = part.or_default("sliding_window_pattern", 6).value
        return ["full_attention" if index % period == period - 1 else "sliding_attention" for index in range(layers)]
    kinds = ("full_attention", "sliding_attention")
    if not isinstance(listed, list) or len(listed) != layers or any(kind not in kinds for kind in map(str, listed)):
        part.refuse("layer_types", f"{layers} entries of 'full_attention' or 'sliding_attention' are expected")
    return list(listed)


def _gemma4_figure(part: Section, kinds: list[str]) -> Figure:
    """The kinds with what decided them: the list, the period, or the class's own period."""
    if part.has("layer_types"):
        return _listed(part, kinds)
    if part.has("sliding_window_pattern"):
        sentence = f"{part.key('sliding_window_pattern')} says after how many layers one keeps the whole context."
        return part.figure(kinds, "sliding_window_pattern", sentence=sentence)
    sentence = (
        f"The file has no {part.key('layer_types')}: {part.tool} then keeps the whole context on every sixth layer."
    )
    return Figure(value=kinds, sentence=sentence, source="class default")


def _listed(part: Section, kinds: list[str]) -> Figure:
    sentence = f"{part.key('layer_types')} in the file names the kind of each layer."
    return part.figure(kinds, "layer_types", sentence=sentence)


def _qwen3_5(part: Section, layers: int) -> Layers:
    """Qwen 3.5: linear attention on the layers that layer_types names, else on all but every fourth; the rest slides
    where sliding_window_size is a number."""
    listed = part.raw.get("layer_types")
    if listed is None:
        listed = ["full_attention" if (index + 1) % 4 == 0 else "linear_attention" for index in range(layers)]
    kinds = ("full_attention", "linear_attention")
    if not isinstance(listed, list) or len(listed) != layers or any(kind not in kinds for kind in map(str, listed)):
        part.refuse("layer_types", f"{layers} entries of 'full_attention' or 'linear_attention' are expected")
    widths = {"linear_num_key_heads": 16, "linear_num_value_heads": 32, "linear_key_head_dim": 128,
              "linear_value_head_dim": 128, "linear_conv_kernel_dim": 4}  # fmt: skip
    others = {name: part.or_default(name, value) for name, value in widths.items()}
    window = _qwen3(part, layers)["window"]
    whole = "full_attention" if window is None else "sliding_attention"
    named = [whole if kind == "full_attention" else kind for kind in listed]
    found = _listed(part, named)
    if not part.has("layer_types"):
        said = f"The file has no {part.key('layer_types')}: {part.tool} then attends on every fourth layer."
        found = Figure(value=named, sentence=said, source="class default")
    return {"kinds": found, "window": window, "others": others, "carrier": "qwen3_5_text"}


_even = _alternating("use_sliding_window_attention", lambda index: index % 2 == 0, lambda p: _switched_window(p, 4096))
_five_of_six = _alternating(
    "use_sliding_window_attention", lambda index: index % 6 < 5, lambda p: _switched_window(p, 1024)
)
_odd = _alternating("sliding_window", lambda index: index % 2 == 1, lambda p: p.or_default("sliding_window", 4096))
# class -> (its key for query heads, its rule)
BACKBONES: dict[str, tuple[str, Rule]] = {
    "LlamaBackbone": ("num_query_heads", _whole),
    "Llama3Backbone": ("num_query_heads", _whole),
    "MistralBackbone": ("num_query_heads", _window(512)),
    "MixtralBackbone": ("num_query_heads", _window(512)),
    "GemmaBackbone": ("num_query_heads", _even),
    "PaliGemmaBackbone": ("num_query_heads", _even),
    "Gemma3Backbone": ("num_query_heads", _five_of_six),
    "Gemma4Backbone": ("num_query_heads", _gemma4),
    "GptOssBackbone": ("num_query_heads", _odd),
    "Phi3Backbone": ("num_query_heads", _whole),
    "Qwen2Backbone": ("num_query_heads", _qwen),
    "QwenBackbone": ("num_query_heads", _qwen),
    "QwenMoeBackbone": ("num_query_heads", _qwen),
    "Qwen3Backbone": ("num_query_heads", _qwen3),
    "Qwen3MoeBackbone": ("num_query_heads", _qwen3),
    "Qwen3_5Backbone": ("num_query_heads", _qwen3_5),
    "Qwen3_5MoeBackbone": ("num_query_heads", _qwen3_5),
    "SmolLM3Backbone": ("num_attention_heads", _smollm3),
    "BloomBackbone": ("num_heads", _whole),
    "FalconBackbone": ("num_attention_heads", _whole),
    "GPT2Backbone": ("num_heads", _whole),
    "GPTNeoXBackbone": ("num_heads", _whole),
    "OPTBackbone": ("num_heads", _whole),
}
# Falcon too: its class gives every query head its own keys, whatever the Falcon of the paper shares
MULTI_HEAD = {"BloomBackbone", "FalconBackbone", "GPT2Backbone", "GPTNeoXBackbone", "OPTBackbone"}
