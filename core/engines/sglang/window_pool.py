"""Which classes have a window pool, which of their layers are in it, and what one of its tokens keeps.

sglang/srt/configs/model_config.py of 0.5.23 (is_hybrid_swa_model, get_hybrid_layer_ids, get_swa_num_kv_heads).
"""

from collections.abc import Mapping
from typing import Any

from core.engines.plan import EngineError
from core.engines.sglang import classes
from core.engines.sglang.fields import Served, whole
from core.engines.sglang.heads import head_dim, kv_heads, row_of
from core.engines.sglang.shapes import Row
from core.models.attention import ParallelLayer

GEMMA4 = ("gemma4_text", "gemma4_unified_text")


def has_window_pool(model: Served) -> bool:
    """is_hybrid_swa_model: by a list of class names, or a field of the file's own."""
    name = model.architecture
    if name in classes.WINDOW_POOL_OFF:
        return False
    if (
        name in ("Exaone4ForCausalLM", "ExaoneMoEForCausalLM", "ExaoneMoeForCausalLM")
        and model.top.get("sliding_window_pattern") is not None
    ):
        return False
    if name == "BeamForCausalLM":
        return _split(model)[1] > 0
    if name == "LagunaForCausalLM":
        return bool(model.text.get("sliding_window"))
    return name in classes.WINDOW_POOL or bool(model.text.get("is_hybrid_swa"))


def window_pool(model: Served) -> dict[str, Any]:
    """Rows and layers of both pools. Raises EngineError where no layer slides, which SGLang asserts."""
    full, window = _split(model)
    if not window:
        raise EngineError(
            f"sglang: no layer of this {model.architecture} slides, and SGLang's window pool asserts that one does. "
            "Check layer_types in the config.json."
        )
    row, window_row = _window_rows(model)
    text = model.text
    keys = ("sliding_window_size", "sliding_window", "window_size")
    size = next((text.get(key) for key in keys if text.get(key) is not None), None)
    found = {
        "layers": full,
        "row": row,
        "window_layers": window,
        "window_row": window_row,
        "window": None if size is None else whole("sliding_window", size),
    }
    if model.architecture == "InklingForConditionalGeneration":
        found |= {"window_ratio": 0.1, "state_ratio": 0.1}
    return found


def _split(model: Served) -> tuple[int, int]:
    """(layers that keep every token, layers in the window pool), by get_hybrid_layer_ids."""
    name, text = model.architecture, model.text
    layers = text.integer("num_hidden_layers")
    if name == "Llama4ForConditionalGeneration":  # every fourth, whatever no_rope_layers says
        return layers // 4, layers - layers // 4
    if name == "UnlimitedOCRForCausalLM":
        return 0, layers
    if name == "InklingForConditionalGeneration":
        local = len(text.items("local_layer_ids") or [])
        return layers - local, local
    if name in classes.MIMO_V2 or name not in classes.WINDOW_POOL:
        pattern = (text.items("hybrid_layer_pattern") or [])[:layers]
        if len(pattern) < layers:
            raise EngineError(
                "sglang: hybrid_layer_pattern has to name every layer (1 slides, 0 does not). Correct it."
            )
        return sum(flag == 0 for flag in pattern), sum(flag == 1 for flag in pattern)
    kinds = text.items("layer_types")
    if name.startswith("Step3p") and kinds:
        kinds = kinds[:layers]
    if kinds and text.model_type in GEMMA4:  # whose class makes the last one full
        kinds = [*kinds[:-1], "full_attention"]
    if kinds:
        return kinds.count("full_attention"), kinds.count("sliding_attention")
    return _split_as_read(model)


def _split_as_read(model: Served) -> tuple[int, int]:
    """Where the file leaves layer_types to the class, the reader of the file has its rule."""
    read = model.spec.layers
    slides = [getattr(_source(read, layer), "window", None) is not None for layer in range(len(read))]
    return slides.count(False), slides.count(True)


def _source(layers: tuple[Any, ...], index: int) -> Any:
    layer = layers[index]
    source = layers[layer.source_layer] if hasattr(layer, "source_layer") else layer
    return source.attention if isinstance(source, ParallelLayer) else source


def _window_rows(model: Served) -> tuple[Row, Row]:
    """Rows of a full and of a window layer; each may have its own heads and widths."""
    text = model.text
    if text.model_type in GEMMA4:
        return _gemma4_rows(model)
    row, heads = row_of(model), kv_heads(model)
    width = text.optional("swa_head_dim", 1) or head_dim(model)
    value = text.optional("swa_v_head_dim") if text.get("swa_v_head_dim") is not None else width
    if text.has("swa_num_key_value_heads"):
        heads = text.integer("swa_num_key_value_heads")
    elif isinstance(text.get("attention_other_setting"), Mapping):
        heads = whole("num_attention_groups", text.get("attention_other_setting").get("num_attention_groups"))
    return row, Row(heads=heads, elements=width + (value or 0))


def _gemma4_rows(model: Served) -> tuple[Row, Row]:
    """Gemma-4 names its window layers' shape first, and global_* for the others (_apply_gemma4_attention_overrides).

    SGLang does so for the multimodal classes alone; the text class stops at a file whose two shapes differ.
    """
    text = model.text
    heads, width = text.optional("num_key_value_heads", 1) or 4, text.optional("head_dim", 1) or 256
    full_width = text.optional("global_head_dim", 1) or (512 if "global_head_dim" not in text.raw else width)
    full_heads = heads
    if text.get("attention_k_eq_v"):
        full_heads = text.optional("num_global_key_value_heads", 1) or heads
    layers = text.get("per_layer_config")
    if isinstance(layers, Mapping) and layers:  # as newer files are saved: what the global layers have otherwise
        own = next(iter(layers.values()))
        own = own if isinstance(own, Mapping) else {}
        full_width = whole("per_layer_config.head_dim", own.get("head_dim", width))
        full_heads = whole("per_layer_config.num_key_value_heads", own.get("num_key_value_heads", heads))
    value = text.optional("v_head_dim") or full_width
    if model.top is model.text and (full_heads, full_width) != (heads, width):
        raise EngineError(
            f"sglang: {model.architecture} reads one head_dim and one number of KV heads, and this file gives its "
            "global layers others; SGLang 0.5.23 stops there. Serve Gemma4ForConditionalGeneration."
        )
    return Row(heads=full_heads, elements=full_width + value), Row(heads=heads, elements=2 * width)
