"""ONNX Runtime GenAI's genai_config.json: model.decoder holds the figures, sliding_window the layers that slide.

After make_genai_config of onnxruntime-genai 0.18 (models/builders/base.py). A decoder without sliding_window keeps the
whole context in every layer, whatever its model does elsewhere; LFM2 lists layer_types and conv_cache_size itself. A
quantised cache names scale tensors per token, but not its width.
"""

from collections.abc import Mapping
from typing import Any

from core.models.formats.meaning import Shape, Translation, translated
from core.models.formats.section import Figure, Section

TOOL = "ONNX Runtime GenAI"
ADVICE = "Give the config.json of the model that was exported."
RECURRENT = ("past_conv_names", "past_recurrent_names")


def recognises(raw: Mapping[str, Any]) -> bool:
    """model.decoder with the figures of one layer."""
    model = raw.get("model")
    return isinstance(model, Mapping) and isinstance(model.get("decoder"), Mapping)


def translate(raw: Mapping[str, Any]) -> Translation:
    """The decoder as a config.json. Raises UnsupportedConfig."""
    model = Section(raw=raw, tool=TOOL).section("model")
    decoder = model.section("decoder")
    name = model.text("type") or "a decoder"
    if "encoder" in model.raw:
        model.refuse("encoder", "an encoder-decoder model, whose cache also depends on the encoder's input", ADVICE)
    if name.startswith("gemma4"):
        model.refuse("type", "its full layers have heads and widths that the file does not give", ADVICE)
    layers, query = decoder.layers("num_hidden_layers"), decoder.integer("num_attention_heads")
    kv = decoder.integer("num_key_value_heads")
    if query.value % kv.value:
        decoder.refuse("num_key_value_heads", f"it does not divide the {query.value} query heads")
    others: dict[str, Figure] = {}
    kinds, window = _kinds(decoder, layers, others)
    return translated(
        Shape(
            name=f"{name} of {TOOL}",
            layers=layers,
            query_heads=query,
            kv_heads=kv,
            head_dim=decoder.integer("head_size"),
            hidden=decoder.integer("hidden_size"),
            window=window,
            kinds=kinds,
            vocabulary=model.optional("vocab_size"),
            context=model.optional("context_length"),
            carrier="lfm2" if others else "ministral",
            others=others,
        )
    )


def _kinds(decoder: Section, layers: Figure, others: dict[str, Figure]) -> tuple[Figure | None, Figure | None]:
    """The kind of each layer and the window; convolution layers add their width to `others`."""
    if decoder.has("layer_types"):
        return _listed(decoder, layers, others), None
    _refuse_unlisted_states(decoder)
    if not decoder.has("sliding_window"):
        return None, None
    sliding = decoder.section("sliding_window")
    window = sliding.integer("window_size")
    chosen = sliding.indices("layers", layers.value)
    if chosen is None:
        return None, window
    if not chosen:
        sentence = f"{sliding.path}layers is empty: the runtime then sets every layer's cache aside for the window."
        return sliding.figure(["sliding_attention"] * layers.value, "layers", sentence=sentence), window
    kinds = ["sliding_attention" if index in set(chosen) else "full_attention" for index in range(layers.value)]
    sentence = f"{sliding.path}layers lists the {len(set(chosen))} layers that keep a window."
    return sliding.figure(kinds, "layers", sentence=sentence), window


def _listed(decoder: Section, layers: Figure, others: dict[str, Figure]) -> Figure:
    """LFM2: layer_types of 'conv' and 'full_attention', and the taps that a convolution keeps."""
    listed = decoder.raw["layer_types"]
    if (
        not isinstance(listed, list)
        or len(listed) != layers.value
        or set(map(str, listed)) - {"conv", "full_attention"}
    ):
        decoder.refuse("layer_types", f"{layers.value} entries of 'conv' or 'full_attention' are expected", ADVICE)
    taps = decoder.integer("conv_cache_size")
    sentence = f"{decoder.path}conv_cache_size {taps.value} and the token itself are convolved."
    others["conv_L_cache"] = decoder.figure(taps.value + 1, "conv_cache_size", sentence=sentence)
    sentence = f"{decoder.path}layer_types in the file names the kind of each layer."
    return decoder.figure(list(listed), "layer_types", sentence=sentence)


def _refuse_unlisted_states(decoder: Section) -> None:
    """Recurrent layers whose place, or whose state's width, the file does not give."""
    inputs = decoder.raw.get("inputs")
    for name in RECURRENT:
        if isinstance(inputs, Mapping) and inputs.get(name) is not None:
            decoder.section("inputs").refuse(name, "the file does not give the width of that state", ADVICE)
    for group in decoder.raw.get("state_groups") or ():
        if not isinstance(group, Mapping) or group.get("kind") != "paged_kv":
            decoder.refuse("state_groups", "it holds states whose width the file does not give", ADVICE)
