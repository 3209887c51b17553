"""A torchtune recipe's YAML: model names a component, with its figures beside it or built in.

A component is a builder with figures of its own (torchtune.models.llama3_1.llama3_1_8b) or one that takes them as
arguments (torchtune.models.llama3.llama3 with num_layers, num_heads, num_kv_heads, embed_dim); lora_ and qlora_ build
the same shape. A builder that is not known by name is refused: its name holds no figures.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from core.models.formats.meaning import Shape, Translation, translated
from core.models.formats.section import Figure, Section
from core.models.formats.torchtune_builders import BUILDERS, FUSED, WINDOWED

TOOL = "torchtune"
KEY = "_component_"
TAKING_FIGURES = {
    "llama2.llama2", "llama3.llama3", "llama3_1.llama3_1", "llama3_2.llama3_2", "mistral.mistral", "phi3.phi3",
    "qwen2.qwen2", "gemma.gemma", "gemma2.gemma2", "llama2.llama2_classifier", "mistral.mistral_classifier",
}  # fmt: skip


def recognises(raw: Mapping[str, Any]) -> bool:
    """model._component_, in a recipe or alone."""
    model = raw.get("model", raw)
    return isinstance(model, Mapping) and isinstance(model.get(KEY), str)


def translate(raw: Mapping[str, Any]) -> Translation:
    """The model component as a config.json. Raises UnsupportedConfig."""
    part = Section(raw=raw, tool=TOOL)
    if "model" in raw:
        part = part.section("model")
    component = str(part.text(KEY))
    package, _, name = component.removeprefix("torchtune.models.").rpartition(".")
    own = f"{package.split('.')[0]}.{name.removeprefix('qlora_').removeprefix('lora_')}"
    ours = component.startswith("torchtune.models.")
    if ours and own in BUILDERS:
        return _built(part, own)
    if not ours or own not in TAKING_FIGURES:
        advice = "Give the config.json of the model that it trains."
        part.refuse(KEY, "no builder of torchtune 0.6.1 for a decoder", advice)
    return _given(part, own)


def _built(part: Section, own: str) -> Translation:
    layers, query, kv, hidden, head_dim, vocabulary, feed_forward, context = BUILDERS[own]

    def figure(value: int, what: str) -> Figure:
        return part.figure(value, KEY, sentence=f"torchtune's {own} builds {what}.", source="class default")

    shape = Shape(
        name=f"{own.split('.')[1]} of {TOOL}",
        layers=figure(layers, f"{layers} layers"),
        query_heads=figure(query, f"{query} query heads"),
        kv_heads=figure(kv, f"{kv} KV heads"),
        head_dim=figure(head_dim or hidden // query, f"heads {head_dim or hidden // query} wide"),
        hidden=figure(hidden, f"a hidden width of {hidden:,}"),
        vocabulary=figure(vocabulary, f"a vocabulary of {vocabulary:,}"),
        feed_forward=None if feed_forward is None else figure(feed_forward, f"an FFN {feed_forward:,} wide"),
        context=figure(context, f"a context of {context:,} tokens"),
    )
    if own in WINDOWED:
        window = figure(WINDOWED[own], f"a window of {WINDOWED[own]:,} tokens on even layers")
        return translated(_windowed(part, shape, window))
    if own in FUSED:
        return translated(_fused(part, shape, own, FUSED[own]))
    return translated(shape)


def _windowed(part: Section, shape: Shape, window: Figure) -> Shape:
    kinds = ["full_attention" if index % 2 else "sliding_attention" for index in range(shape.layers.value)]
    return replace(shape, window=window, kinds=part.figure(kinds, KEY, sentence="torchtune lets even layers slide."))


def _fused(part: Section, shape: Shape, own: str, interval: int) -> Shape:
    """Layers that attend to the picture stand between those of the text, and keep nothing of it."""
    total = shape.layers.value + shape.layers.value // interval
    crossing = list(range(interval - 1, total, interval + 1))
    sentence = f"torchtune's {own} puts {len(crossing)} layers that attend to the picture between those of the text."
    layers = part.figure(total, KEY, sentence=sentence)
    others = {"cross_attention_layers": part.figure(crossing, KEY, sentence=sentence)}
    return replace(shape, layers=layers, carrier="mllama_text_model", others=others)


def _given(part: Section, own: str) -> Translation:
    query, hidden = part.integer("num_heads"), part.integer("embed_dim")
    head_dim = part.integer("head_dim") if own.startswith("gemma") else part.divided(hidden, query)
    kv = part.integer("num_kv_heads")
    if query.value % kv.value:
        part.refuse("num_kv_heads", f"it does not divide the {query.value} query heads")
    shape = Shape(
        name=f"{own.split('.')[1]} of {TOOL}",
        layers=part.layers("num_layers"),
        query_heads=query,
        kv_heads=kv,
        head_dim=head_dim,
        hidden=hidden,
        vocabulary=part.optional("vocab_size"),
        feed_forward=part.optional("intermediate_dim"),
        context=part.optional("max_seq_len"),
    )
    if own != "gemma2.gemma2":
        return translated(shape)
    return translated(_windowed(part, shape, part.or_default("sliding_window_size", 4096)))
