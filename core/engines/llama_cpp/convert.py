"""The GGUF metadata of a config.json: what llama.cpp's converter would write, as far as a cache needs it.

Heads, widths and windows come from the ModelSpec's layers; what the converter leaves out is left out here too
(Mistral's window, and the pattern of classes that llama.cpp knows). States' keys come from the config. States
convert_hf_to_gguf.py of build 11434, held against its own set_gguf_parameters
(tests/data/engines/llama_cpp_converted.json.gz).
"""

from collections.abc import Mapping
from typing import Any

from core.engines.llama_cpp.classes import ARCHITECTURES
from core.engines.plan import EngineError
from core.models.attention import (
    CompressedAttention,
    GroupedAttention,
    LatentAttention,
    Layer,
    NoAttention,
    ParallelLayer,
    RecurrentState,
    SharedCache,
)
from core.models.gguf.architectures import (
    HYBRID,
    HYBRID_BY_FFN,
    HYBRID_BY_INTERVAL,
    INDEXED,
    LATENT,
    RECURRENT,
    SLIDING,
)
from core.models.rules.class_defaults import model_classes
from core.models.spec import ModelSpec

ENDINGS = ("ForCausalLM", "ForConditionalGeneration", "LMHeadModel", "ForCausalLMMTP", "Model")
# The class's own period is used: the converter writes no pattern for them.
NO_PATTERN = frozenset({"afmoe", "cohere2", "gemma2", "gemma3", "gpt-oss", "laguna", "llama4", "smallthinker", "lfm2"})
EVERY_HEAD = frozenset({"phi2"})  # head_count_kv is written as head_count, whatever the config says
OLD_WIDTHS = frozenset({"minicpm3"})  # key_length is written, value_length is not
STATE_KEYS: dict[str, tuple[tuple[str, ...], ...]] = {  # GGUF key: names in a config, a product where several stand
    "ssm.conv_kernel": (
        ("mamba_d_conv",), ("linear_conv_kernel_dim",), ("conv_kernel",), ("d_conv",),
        ("linear_attn_config.short_conv_kernel_size",),
    ),
    "ssm.inner_size": (
        ("mamba_d_ssm",), ("mamba_num_heads", "mamba_head_dim"), ("mamba_n_heads", "mamba_d_head"),
        ("linear_num_value_heads", "linear_value_head_dim"), ("mamba_expand", "hidden_size"), ("num_heads", "head_dim"),
        ("d_inner",), ("intermediate_size",), ("expand", "hidden_size"),
    ),
    "ssm.state_size": (("mamba_d_state",), ("ssm_state_size",), ("linear_key_head_dim",), ("state_size",),
        ("d_state",)),
    "ssm.group_count": (("mamba_n_groups",), ("linear_num_key_heads",), ("n_groups",), ("ngroups",)),
    "shortconv.l_cache": (("conv_L_cache",),),
    "kda.head_dim": (("linear_attn_config.head_dim",),),
}  # fmt: skip

STATE_DEFAULTS: dict[
    str, dict[str, int | None]
] = {  # conversion/mamba.py, conversion/plamo.py; None: twice the hidden size
    "mamba": {"ssm.conv_kernel": 4, "ssm.state_size": 16, "ssm.inner_size": None},
    "mamba2": {"ssm.conv_kernel": 4, "ssm.state_size": 128, "ssm.inner_size": None, "ssm.group_count": 1},
    "plamo2": {"ssm.conv_kernel": 4, "ssm.state_size": 64},
}


def metadata_of(spec: ModelSpec) -> dict[str, Any]:
    """GGUF keys and values. Raises EngineError, by name, for a class that the converter does not take."""
    config = _flat(spec.config)
    name = architecture_of(spec, config)
    layers = spec.layers
    keys: dict[str, Any] = {
        "block_count": len(layers),
        "context_length": spec.dimensions.max_context_length or 0,
        "embedding_length": spec.dimensions.hidden_size,
        "attention.head_count": _heads(layers, name),
        "attention.head_count_kv": [_kv_heads(layer, name) for layer in layers],
        **_widths(layers, name),
        **_windows(layers, name, config),
        **_states(layers, name, _with_defaults(config)),
        **_others(layers, name, config),
    }
    return {"general.architecture": name, **{f"{name}.{key}": value for key, value in keys.items()}}


def _flat(config: Mapping[str, Any]) -> dict[str, Any]:
    """The text part's keys over the outer ones, as the converter lays them."""
    part = config.get("text_config", config.get("llm_config"))
    return {**config, **part} if isinstance(part, Mapping) else dict(config)


def _with_defaults(config: Mapping[str, Any]) -> dict[str, Any]:
    """The class's defaults below the file's keys: the converter reads a config through transformers."""
    known = model_classes().get(str(config.get("model_type")))
    return dict(config) if known is None else {**known.defaults, **config}


def architecture_of(spec: ModelSpec, config: Mapping[str, Any]) -> str:
    """The architecture that the converter writes for the config's class, else for the class that model_type names."""
    named = spec.config.get("architectures") or config.get("architectures")
    classes = [name for name in named if isinstance(name, str)] if isinstance(named, list) else []
    for name in classes:
        if name in ARCHITECTURES:
            return ARCHITECTURES[name]
    plain = spec.model_type.replace("_", "").replace("-", "").removesuffix("text").lower()
    for name, architecture in ARCHITECTURES.items():
        if not classes and any(name.lower() == plain + ending.lower() for ending in ENDINGS):
            return architecture
    shown = classes[0][:60] if classes else f"of model_type {spec.model_type}"
    raise EngineError(
        f"llama.cpp: its converter (build 11434) has no class {shown}, so there is no GGUF file of it. "
        "Choose another engine, or give the header of a .gguf file."
    )


def _attention(layer: Layer) -> GroupedAttention | LatentAttention | CompressedAttention | None:
    part = layer.attention if isinstance(layer, ParallelLayer) else layer
    return part if isinstance(part, GroupedAttention | LatentAttention | CompressedAttention) else None


def _heads(layers: tuple[Layer, ...], name: str) -> int | list[int]:
    heads = [layer.num_query_heads for part in layers if (layer := _attention(part))]
    if not heads:
        return 0
    each = [part.num_query_heads if (part := _attention(layer)) else heads[0] for layer in layers]
    return heads[0] if len(set(each)) == 1 or name != "openelm" else each


def _kv_heads(layer: Layer, name: str) -> int:
    if isinstance(layer, SharedCache):
        return layer.num_kv_heads
    part = _attention(layer)
    if part is None:
        return 0
    if isinstance(part, LatentAttention):
        return 1 if name in LATENT else part.num_query_heads
    return part.num_query_heads if name in EVERY_HEAD else part.num_kv_heads


def _widths(layers: tuple[Layer, ...], name: str) -> dict[str, int]:
    found: dict[str, int] = {}
    slides = name in SLIDING
    for layer in layers:
        part = _attention(layer)
        ending = "_swa" if slides and part is not None and part.window is not None else ""
        if isinstance(part, CompressedAttention):
            found |= {"attention.key_length": part.head_dim, "attention.value_length": part.head_dim}
        elif isinstance(part, GroupedAttention):
            found.setdefault(f"attention.key_length{ending}", part.head_dim)
            found.setdefault(f"attention.value_length{ending}", part.value_dim)
        elif isinstance(part, LatentAttention):
            found |= _latent_widths(part, name)
    for which in ("key", "value"):  # a model whose every layer slides has one width all the same
        if (only := found.get(f"attention.{which}_length_swa")) is not None:
            found.setdefault(f"attention.{which}_length", only)
    return found


def _latent_widths(part: LatentAttention, name: str) -> dict[str, int]:
    if part.expanded_key_dim is None or part.expanded_value_dim is None:
        raise EngineError(f"llama.cpp: the widths of {name}'s heads are not known, and its file names them.")
    found = {"attention.kv_lora_rank": part.latent_dim, "rope.dimension_count": part.rope_dim}
    if name not in LATENT:
        found["attention.key_length"] = part.expanded_key_dim
        return found if name in OLD_WIDTHS else {**found, "attention.value_length": part.expanded_value_dim}
    return found | {
        "attention.key_length": part.latent_dim + part.rope_dim,
        "attention.value_length": part.latent_dim,
        "attention.key_length_mla": part.expanded_key_dim,
        "attention.value_length_mla": part.expanded_value_dim,
    }


def _windows(layers: tuple[Layer, ...], name: str, config: Mapping[str, Any]) -> dict[str, Any]:
    """The window is written though no layer slides; llama.cpp then goes by its own pattern, or stops."""
    if name not in SLIDING and name not in ("lfm2", "deepseek4"):
        return {}
    windows = [part.window if (part := _attention(layer)) else None for layer in layers]
    known = [window for window in windows if window is not None]
    window = known[0] if known else _number(config, "sliding_window")
    found: dict[str, Any] = {"attention.sliding_window": window}
    if not window:
        return found
    if name not in NO_PATTERN:
        found["attention.sliding_window_pattern"] = _pattern(layers, windows)
    return found


def _pattern(layers: tuple[Layer, ...], windows: list[int | None]) -> list[bool]:
    """Which layers slide; one that reads another's cache slides where that one does."""
    sources = [layer.source_layer if isinstance(layer, SharedCache) else il for il, layer in enumerate(layers)]
    return [windows[source] is not None for source in sources]


def _states(layers: tuple[Layer, ...], name: str, config: Mapping[str, Any]) -> dict[str, Any]:
    if name not in HYBRID | RECURRENT:
        return {}
    found: dict[str, Any] = {}
    for key, choices in STATE_KEYS.items():
        for names in choices:
            numbers = [_number(config, dotted) for dotted in names]
            if all(numbers):
                product = 1
                for number in numbers:
                    product *= number
                found[key] = product
                break
    for key, default in STATE_DEFAULTS.get(name, {}).items():
        found.setdefault(key, default or 2 * _number(config, "hidden_size") or 2 * _number(config, "d_model"))
    if name == "plamo2":
        found["ssm.group_count"] = 0
    if name in HYBRID_BY_INTERVAL:
        found["attention.recurrent_layers"] = [isinstance(layer, RecurrentState) for layer in layers]
    if name in HYBRID_BY_FFN:
        found["feed_forward_length"] = [int(isinstance(layer, NoAttention)) for layer in layers]
    return found


def _number(config: Mapping[str, Any], dotted: str) -> int:
    value: Any = config
    for key in dotted.split("."):
        value = value.get(key) if isinstance(value, Mapping) else None
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0


def _others(layers: tuple[Layer, ...], name: str, config: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if name == "gemma4":
        found["attention.shared_kv_layers"] = sum(isinstance(layer, SharedCache) for layer in layers)
    if name in INDEXED or name == "deepseek4":
        if width := _number(config, "index_head_dim"):
            found["attention.indexer.key_length"] = width
        if kept := _number(config, "index_topk"):
            found["attention.indexer.top_k"] = kept
        types = config.get("indexer_types")
        if isinstance(types, list):
            found["attention.indexer.types"] = [kind == "full" for kind in types][: len(layers)]
    if name == "deepseek4":
        rates = [layer.compress_rate if isinstance(layer, CompressedAttention) else 0 for layer in layers]
        found["attention.compress_ratios"] = rates
    if name == "minimax-m3":
        found["leading_dense_block_count"] = _number(config, "first_k_dense_replace")
    if name == "nanbeige":
        found["num_loops"] = _number(config, "num_loops") or 1
    return found
