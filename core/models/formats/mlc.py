"""MLC's mlc-chat-config.json: model_type at the top, the figures under model_config.

After gen_config.py and the model classes of mlc-llm (mlc_llm/model/*/*_model.py, LlamaConfig and kin): the keys are
those of the model's own config.json, except that 0 stands for "not given" (num_key_value_heads 0 is MHA, head_dim 0 is
hidden width / heads) and that windows are called sliding_window_size, -1 for none. The name of a quantisation
(q4f16_1) speaks of weights and of the type of the sums, not of the cache.
"""

from collections.abc import Mapping
from typing import Any

from core.models.formats.meaning import Shape, Translation, translated
from core.models.formats.section import Figure, Section
from core.models.rules.class_defaults import model_classes
from core.models.rules.custom_code import LAYOUTS, SAME_AS

TOOL = "MLC"
NAMES = {"stablelm_epoch": "stablelm", "gemma3": "gemma3_text"}  # MLC's own names, where transformers has another
WITHOUT_KV_CACHE = {
    "rwkv5": "it keeps a recurrent state and no keys and values",
    "rwkv6": "it keeps a recurrent state and no keys and values",
    "medusa": "Medusa heads attend to nothing and keep no cache: give the file of the model that they sit on",
    "bert": "an encoder, which keeps no KV cache",
}


def recognises(raw: Mapping[str, Any]) -> bool:
    """model_type beside a model_config object."""
    return isinstance(raw.get("model_config"), Mapping) and isinstance(raw.get("model_type"), str)


def translate(raw: Mapping[str, Any]) -> Translation:
    """model_config as the config.json that it came from. Raises UnsupportedConfig."""
    top = Section(raw=raw, tool=TOOL)
    model_type = str(top.text("model_type"))
    if model_type in WITHOUT_KV_CACHE:
        top.refuse("model_type", WITHOUT_KV_CACHE[model_type])
    model = top.section("model_config")
    if isinstance(model.raw.get("text_config"), Mapping):
        model = model.section("text_config")
    name = NAMES.get(model_type, model_type)
    known = name in model_classes() or name in LAYOUTS or name in SAME_AS
    return _own_class(top, model, name) if known else _plain(top, model, model_type)


def _own_class(top: Section, model: Section, name: str) -> Translation:
    """A class that is known: its own keys, with MLC's zeros and windows spelled as the class has them."""
    config = {key: value for key, value in model.raw.items() if key not in ("model_type", "quantization_config")}
    origins: dict[str, Figure] = {"model_type": Figure(value=name, keys=("model_type",))}
    config["model_type"] = name
    if config.get("head_dim") in (0, None):
        config.pop("head_dim", None)
    fields = model_classes().get(SAME_AS.get(name, name))
    if "num_attention_heads" in config and (fields is None or "num_key_value_heads" in fields.defaults):
        kv = _kv_heads(model, model.integer("num_attention_heads"))
        config["num_key_value_heads"], origins["num_key_value_heads"] = kv.value, kv
    window = _window(top, model).get("sliding_window")
    defaults = {} if fields is None else fields.defaults
    none = defaults.get("sliding_window") is not None and "layer_types" not in defaults  # Gemma's -1 says nothing
    if window is not None and "sliding_window" in defaults and (window.value is not None or none):
        config["sliding_window"], origins["sliding_window"] = window.value, window
    for key, own in (("vocab_size", "vocab_size"), ("max_position_embeddings", "context_window_size")):
        for place in (model, top):
            if key not in config and type(place.raw.get(own)) is int and place.raw[own] > 0:
                config[key], origins[key] = place.raw[own], Figure(value=place.raw[own], keys=(place.path + own,))
    return Translation(config=config, origins=origins, prefix=model.path)


def _plain(top: Section, model: Section, model_type: str) -> Translation:
    """A class that transformers does not know: every figure by its plain key."""
    if model.has("kv_lora_rank"):
        top.refuse("model_type", "its latent attention is not known here", "Give the model's config.json.")
    query, hidden = model.integer("num_attention_heads"), model.integer("hidden_size")
    head_dim = model.divided(hidden, query) if model.raw.get("head_dim") in (0, None) else model.integer("head_dim")
    return translated(
        Shape(
            name=f"{model_type} of {TOOL}",
            layers=model.layers("num_hidden_layers"),
            query_heads=query,
            kv_heads=_kv_heads(model, query),
            head_dim=head_dim,
            hidden=hidden,
            window=_window(top, model).get("sliding_window"),
            vocabulary=model.optional("vocab_size"),
            feed_forward=model.optional("intermediate_size"),
        )
    )


def _kv_heads(model: Section, query: Figure) -> Figure:
    if model.raw.get("num_key_value_heads") == 0 and model.raw["num_key_value_heads"] is not False:
        return model.own_kv_heads("num_key_value_heads", query, f"{model.path}num_key_value_heads is 0")
    return model.kv_heads("num_key_value_heads", query)


def _window(top: Section, model: Section) -> dict[str, Figure]:
    """sliding_window as the class spells it: a number, null for -1; nothing where the file has no key."""
    for place in (model, top):
        if place.has("sliding_window_size"):
            if place.raw["sliding_window_size"] in (-1, 0):
                sentence = f"{place.path}sliding_window_size is {place.raw['sliding_window_size']}: no window."
                return {"sliding_window": place.figure(None, "sliding_window_size", sentence=sentence)}
            return {"sliding_window": place.integer("sliding_window_size")}
    return {}
