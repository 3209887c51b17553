"""Heads and widths as SGLang reads them: one number of KV heads and one head_dim for the whole model.

sglang/srt/configs/model_config.py of 0.5.23 (get_total_num_kv_heads, _derive_model_shapes).
"""

from collections.abc import Mapping
from typing import Any

from core.engines.plan import EngineError
from core.engines.sglang import classes
from core.engines.sglang.fields import Served, whole
from core.engines.sglang.shapes import Row


def kv_heads(model: Served) -> int:
    """get_total_num_kv_heads: the first of several keys that is there, else as many as query heads."""
    top, text = model.top, model.text
    falcon = top.model_type in ("falcon", "RefinedWeb", "RefinedWebModel") and bool(top.get("new_decoder_architecture"))
    if not falcon and text.get("multi_query"):
        return 1
    if model.architecture in classes.PURE_STATES:
        return 0
    if top.model_type in ("mpt", "dbrx"):
        attention = top.get("attn_config")
        given = attention.get("kv_n_heads") if isinstance(attention, Mapping) else None
        return (
            whole("attn_config.kv_n_heads", given)
            if given is not None
            else 1
            if top.model_type == "dbrx"
            else _heads(model)
        )
    if top.model_type == "nemotron-nas":
        return _searched_heads(model)
    for key in ("n_head_kv", "num_kv_heads", "num_key_value_heads", "multi_query_group_num", "num_attention_groups"):
        value = text.optional(key, 1)
        if value is not None:
            return value
    return _heads(model)


def _heads(model: Served) -> int:
    return model.text.integer("num_attention_heads")


def _searched_heads(model: Served) -> int:
    """DeciLM and Nemotron-NAS: one number of query heads to a KV head in every block, else SGLang stops."""
    counts = {layer.num_kv_heads for layer in model.spec.layers if hasattr(layer, "num_kv_heads")}
    if len(counts) != 1:
        raise EngineError(
            "sglang: block_configs gives layers different numbers of KV heads; SGLang serves one. Ask for vllm."
        )
    return counts.pop()


def head_dim(model: Served) -> int:
    if model.architecture in classes.PURE_STATES:
        return 0
    given = model.text.optional("head_dim", 1)
    return given if given is not None else model.text.integer("hidden_size") // _heads(model)


def row_of(model: Served) -> Row:
    width = head_dim(model)
    return Row(heads=kv_heads(model), elements=width + (model.text.optional("v_head_dim") or width))


def either(model: Served, name: str) -> Any:
    """A field of the whole file's object, which has the language model's where it has none of its own."""
    return model.top.get(name) if model.top.has(name) else model.text.get(name)
