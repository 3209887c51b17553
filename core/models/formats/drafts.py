"""Drafting models: speculators' config.json, with the draft's decoder under transformer_layer_config, and EAGLE's.

After speculators 0.9 (speculators/models/*/config.py): transformer_layer_config holds what differs from its class of
transformers (to_diff_dict), and where it names no model_type the class is Qwen 3 (EAGLE-3, DFlash and kin), Qwen 2
(MTP) or Llama (EAGLE 1). An MTP draft keeps num_nextn_predict_layers layers, whatever its verifier's count, and
attends fully in them. The cache read here is the draft's own, beside the cache of the model that it drafts for.
"""

from collections.abc import Mapping
from typing import Any

from core.models.formats.meaning import Translation
from core.models.formats.section import Figure, Section

TOOL = "speculators"
LAYER = "transformer_layer_config"
CLASSES = {"mtp": "qwen2", "eagle": "llama"}  # where the decoder's own object names none; else Qwen 3


def recognises(raw: Mapping[str, Any]) -> bool:
    """The object of a draft's decoder."""
    return isinstance(raw.get(LAYER), Mapping) or ("speculators_model_type" in raw)


def translate(raw: Mapping[str, Any]) -> Translation:
    """The draft's decoder as a config.json. Raises UnsupportedConfig."""
    top = Section(raw=raw, tool=TOOL)
    part = top.section(LAYER)
    kind = top.text("speculators_model_type") or ""
    config, origins = dict(part.raw), {}
    if not config.get("model_type"):
        name = CLASSES.get(kind, "qwen3")
        config["model_type"], origins["model_type"] = name, part.default("model_type", name)
    if kind == "mtp":
        layers = top.or_default("num_nextn_predict_layers", 1)
        config["num_hidden_layers"], origins["num_hidden_layers"] = layers.value, layers
        if "layer_types" in config or config["model_type"] in ("qwen3_next", "qwen3_5_text", "qwen3_5_moe_text"):
            kinds = ["full_attention"] * min(layers.value, 100)
            sentence = "The layers of an MTP draft attend fully."
            config["layer_types"], origins["layer_types"] = kinds, top.figure(kinds, sentence=sentence)
    return Translation(config=config, origins=origins, prefix=part.path)


def recognises_eagle(raw: Mapping[str, Any]) -> bool:
    """model_type eagle with the draft's own config under model."""
    return raw.get("model_type") in ("eagle", "eagle3") and isinstance(raw.get("model"), Mapping)


def translate_eagle(raw: Mapping[str, Any]) -> Translation:
    """The draft's own config, as it stands under model."""
    part = Section(raw=raw, tool="EAGLE").section("model")
    origins: dict[str, Figure] = {}
    return Translation(config=dict(part.raw), origins=origins, prefix=part.path)
