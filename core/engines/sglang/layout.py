"""A model's layout in SGLang's pools: what one token keeps, where, and what one slot of states keeps.

SGLang multiplies one shape by a number of layers. It reads num_hidden_layers, one count of KV heads and one head_dim
from the file; layers that differ (shared caches, windows of a class without a window pool) cost as much as any other. A
layout is compiled once a model; sizes.py does the arithmetic of a job on it. (model_executor/pool_configurator.py of
SGLang 0.5.23.)
"""

import weakref
from typing import Any

from core.engines.plan import EngineError
from core.engines.sglang import classes
from core.engines.sglang.drafts import mtp_layers
from core.engines.sglang.fields import Served, context_length, served, whole
from core.engines.sglang.heads import row_of
from core.engines.sglang.latent import has_latent, latent, minimax_sparse, pooled_index
from core.engines.sglang.shapes import Compressed, Layout, Row
from core.engines.sglang.states import UNSTATED, States, states_of
from core.engines.sglang.window_pool import has_window_pool, window_pool
from core.models.spec import ModelSpec

MOST_KEPT = 1024
_kept: dict[int, tuple[weakref.ref[ModelSpec], Layout]] = {}


def layout_of(spec: ModelSpec) -> Layout:
    """The layout of a model, kept while the spec lives. Raises EngineError for a class without code of SGLang's own."""
    kept = _kept.get(id(spec))
    if kept is not None and kept[0]() is spec:
        return kept[1]
    layout = compiled(spec)
    if len(_kept) >= MOST_KEPT:
        _kept.clear()
    _kept[id(spec)] = (weakref.ref(spec), layout)
    return layout


def compiled(spec: ModelSpec) -> Layout:
    """The layout of a model, read anew."""
    model = served(spec)
    name = model.architecture
    if name in classes.LOOPED:
        raise EngineError(
            f"sglang: {name} runs its layers several times, and how many it then keeps is not stated here."
        )
    if {model.top.model_type, model.text.model_type} & UNSTATED:
        raise EngineError(f"sglang: the states of {name} are not stated here. Ask for another engine.")
    if name == "DeepseekV4ForCausalLM":
        return _compressed(model)
    states = states_of(model)
    settings = _state_settings(model, states) | {"context_length": context_length(model.text), "architecture": name}
    settings["mtp_layers"] = mtp_layers(model)
    settings["chunked_prefill"] = name not in classes.UNCHUNKED
    if name == "BeamForCausalLM":  # its attention kernel on Hopper is TensorRT-LLM's, which takes these pages alone
        settings |= {"page": 64, "pages": (16, 32, 64, 128)}
    if name in classes.MINIMAX_SPARSE:
        return Layout(**minimax_sparse(model), **settings)
    if has_window_pool(model):
        return Layout(**(settings | window_pool(model)))
    layers = states.attention_layers if states else _layer_count(model)
    if name in classes.LATENT or has_latent(model):
        ids = states.attention_ids if states else None
        return Layout(layers=layers, **latent(model, range(layers) if ids is None else ids), **settings)
    if model.text.model_type in classes.POOLED_INDEX:
        settings |= {"mtp_layers": None, **pooled_index(model, layers)}
    return Layout(layers=layers, row=row_of(model), **settings)


def _layer_count(model: Served) -> int:
    layers = model.text.optional("num_hidden_layers", 1)
    if model.architecture == "LongcatFlashForCausalLM":  # two attentions a layer
        return 2 * (layers or model.text.integer("num_layers"))
    if (
        model.top.model_type == "hrm_text" and "num_layers_per_stack" not in model.top.raw
    ):  # the class counts every pass
        stack = model.top.raw.get("num_hidden_layers")
        if stack is not None:
            return (
                whole("num_hidden_layers", stack) * model.top.integer("H_cycles") * (model.top.integer("L_cycles") + 1)
            )
    return layers if layers is not None else len(model.spec.layers)


def _state_settings(model: Served, states: States | None) -> dict[str, Any]:
    """Slots of a request and what the states ask of the page (_mamba_radix_cache_resolution)."""
    if states is None:
        return {}
    name = model.architecture
    cached = name in classes.STATES_IN_PREFIX_CACHE
    snapshots = cached and name not in classes.NO_EXTRA_SLOTS
    return {
        "states": states,
        "slots_per_request": 5 if snapshots else 3,
        "single_page": cached and not snapshots,
        "state_chunk": _state_chunk(model) if snapshots else None,
    }


def _state_chunk(model: Served) -> int:
    own = model.top.get("mamba_chunk_size")
    if model.top.model_type == "nemotron_h" and "mamba_chunk_size" not in model.top.raw:
        own = model.top.raw.get("chunk_size", own)
    return whole("mamba_chunk_size", own) if own is not None else 64


def _compressed(model: Served) -> Layout:
    """DeepSeek-V4: pages of 256 tokens, at most 256 requests unless the job says otherwise, a cache of 8 bits."""
    top = model.top
    ratios = top.items("compress_ratios")
    if not ratios or any(ratio not in (0, 4, 128) for ratio in ratios):
        raise EngineError("sglang: compress_ratios has to be a list of 0, 4 and 128, one for each layer. Correct it.")
    rope = top.integer("qk_rope_head_dim")
    nope = top.integer("head_dim") - rope
    layers = top.integer("num_hidden_layers")
    stage = ratios[:layers]
    compressed = Compressed(
        layers=len(stage),
        by_four=stage.count(4),
        by_128=stage.count(128),
        nope_dim=whole("head_dim - qk_rope_head_dim", nope),
        rope_dim=rope,
        index_dim=top.integer("index_head_dim"),
    )
    return Layout(
        architecture=model.architecture,
        context_length=context_length(model.text),
        layers=len(stage),
        row=Row(elements=nope + rope),
        window_layers=len(stage),
        window=top.integer("sliding_window"),
        window_ratio=0.1,
        page=256,
        fixed_page=True,
        cache_types=("auto", "bfloat16", "fp8_e4m3"),
        compressed=compressed,
    )
