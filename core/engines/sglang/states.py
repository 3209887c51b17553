"""What one slot of SGLang's state pool holds on one rank: the recurrent and convolution states of all such layers.

Shapes as in sglang/srt/configs (mamba_utils.py and each hybrid's mamba2_cache_params) of 0.5.23. Convolution states are
bfloat16 whatever the model's type, recurrent states float32 unless the file says mamba_ssm_dtype. Nothing here depends
on the type of the key-value cache.
"""

from collections.abc import Callable
from dataclasses import dataclass

from core.engines.plan import EngineError
from core.engines.sglang.fields import Fields, Served, whole
from core.engines.sglang.state_kinds import (
    CompressedConvolution,
    DeltaState,
    HeadState,
    Kind,
    ShortConvolution,
    StreamConvolution,
)
from core.models.attention import ParallelLayer, RecurrentState

QWEN4_ATTENDS = ("full_attention", "qwen_sparse_attention", "indexed_attention")
STATE_BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}


@dataclass(frozen=True, kw_only=True)
class States:
    """The state pool's layers and the layers that have a key-value cache beside them."""

    kind: Kind
    layers: int
    attention_layers: int
    attention_ids: tuple[int, ...] | None = None  # which layers those are, where an indexer asks

    def slot_bytes(self, ranks: int) -> int:
        """Bytes of one slot on one rank. Raises EngineError where the ranks do not divide a width."""
        return self.layers * self.kind.bytes_per_layer(ranks)


def states_of(model: Served) -> States | None:
    """The states of a hybrid or recurrent model, None for a model without. Raises EngineError."""
    for fields in (model.top, model.text):
        if fields.model_type in READERS:
            return READERS[fields.model_type](model, fields)
    return None


def _state_bytes(fields: Fields) -> int:
    return STATE_BYTES.get(str(fields.get("mamba_ssm_dtype")), 4)


def _layers(model: Served) -> tuple[int, int]:
    """(layers with a state, layers with a key-value cache) as the reader of the file found them."""
    layers = model.spec.layers
    states = sum(isinstance(layer, RecurrentState | ParallelLayer) for layer in layers)
    return states, sum(layer.kind not in ("recurrent", "none") for layer in layers)


def _mamba1(model: Served, fields: Fields) -> States:
    channels = fields.optional("intermediate_size", 1) or fields.integer("expand") * fields.integer("hidden_size")
    state, kernel = fields.integer("state_size"), fields.integer("conv_kernel")
    kind = HeadState(channels=channels, groups=0, heads=channels, head_dim=1, state_dim=state, kernel=kernel)
    return States(kind=kind, layers=fields.integer("num_hidden_layers"), attention_layers=0)


def _mamba2(model: Served, fields: Fields) -> States:
    if "intermediate_size" not in fields.raw:
        raise EngineError(
            "sglang: Mamba-2 needs intermediate_size, which its configuration class lacks; SGLang 0.5.23 stops there. "
            "Add intermediate_size (expand x hidden_size) to the config.json."
        )
    kind = HeadState(
        channels=fields.integer("intermediate_size"),
        groups=fields.integer("n_groups"),
        heads=fields.integer("num_heads"),
        head_dim=fields.integer("head_dim"),
        state_dim=fields.integer("state_size"),
        kernel=fields.integer("conv_kernel"),
    )
    return States(kind=kind, layers=fields.integer("num_hidden_layers"), attention_layers=0)


def _falcon_h1(model: Served, fields: Fields) -> States:
    channels = fields.optional("mamba_d_ssm", 1) or fields.integer("mamba_expand") * fields.integer("hidden_size")
    heads, head_dim = fields.integer("mamba_n_heads"), fields.raw.get("mamba_d_head", "auto")
    kind = HeadState(
        channels=channels,
        groups=fields.integer("mamba_n_groups"),
        heads=heads,
        head_dim=channels // heads if head_dim == "auto" else whole("mamba_d_head", head_dim),
        state_dim=fields.integer("mamba_d_state"),
        kernel=fields.integer("mamba_d_conv"),
        state_bytes=_state_bytes(fields),
    )
    layers = fields.integer("num_hidden_layers")
    return States(kind=kind, layers=layers, attention_layers=layers)


def _granite_hybrid(model: Served, fields: Fields) -> States | None:
    layers, kinds = fields.integer("num_hidden_layers"), fields.items("layer_types")
    attention = layers // 6 if kinds is None else sum(kind in ("attention", "full_attention") for kind in kinds)
    states = layers - attention
    if states <= 0:
        return None
    kind = HeadState(
        channels=fields.integer("mamba_expand") * fields.integer("hidden_size"),
        groups=fields.integer("mamba_n_groups"),
        heads=fields.integer("mamba_n_heads"),
        head_dim=fields.integer("mamba_d_head"),
        state_dim=fields.integer("mamba_d_state"),
        kernel=fields.integer("mamba_d_conv"),
    )
    return States(kind=kind, layers=states, attention_layers=attention)


def _nemotron_h(model: Served, fields: Fields) -> States:
    heads, head_dim = fields.integer("mamba_num_heads"), fields.integer("mamba_head_dim")
    if not fields.has("n_groups"):
        raise EngineError(
            "sglang: n_groups is absent; SGLang's Nemotron-H code stops without it. Add it to the config.json."
        )
    kinds = fields.items("layers_block_type") or []
    if any(kind not in ("mamba", "attention", "mlp", "moe") for kind in kinds):
        raise EngineError(
            "sglang: layers_block_type has to be of mamba, attention, mlp and moe; SGLang's Nemotron-H code stops at "
            "another. Give hybrid_override_pattern, as the model's own config.json does."
        )
    kind = HeadState(
        channels=heads * head_dim,
        groups=fields.integer("n_groups"),
        heads=heads,
        head_dim=head_dim,
        state_dim=fields.integer("ssm_state_size"),
        kernel=fields.integer("conv_kernel"),
        state_bytes=_state_bytes(fields),
    )
    states, attention = _layers(model)
    return States(kind=kind, layers=states, attention_layers=attention)


def _lfm2(model: Served, fields: Fields) -> States:
    text = model.text
    states, attention = _layers(model)
    if not states:
        raise EngineError(
            "sglang: no layer of this LFM2 file is a convolution; SGLang's code for it stops without one."
        )
    kind = ShortConvolution(channels=text.integer("hidden_size"), kernel=text.integer("conv_L_cache"))
    return States(kind=kind, layers=states, attention_layers=attention)


def _delta_rule(text: Fields) -> HeadState:
    keys, values = text.integer("linear_num_key_heads"), text.integer("linear_num_value_heads")
    width = text.integer("linear_value_head_dim")
    return HeadState(
        channels=width * values,
        groups=keys,
        heads=values,
        head_dim=width,
        state_dim=text.integer("linear_key_head_dim"),
        kernel=text.integer("linear_conv_kernel_dim"),
        state_bytes=_state_bytes(text),
    )


def _gated_delta(model: Served, fields: Fields) -> States:
    text = model.text
    layers, interval = text.integer("num_hidden_layers"), text.optional("full_attention_interval", 1)
    if interval is None:
        raise EngineError(
            "sglang: full_attention_interval is absent; SGLang's class for this hybrid reads no layer_types and stops "
            "without it. Add full_attention_interval to the config.json."
        )
    attention = layers // interval
    return States(kind=_delta_rule(text), layers=layers - attention, attention_layers=attention)


def _qwen4_exp(model: Served, fields: Fields) -> States:
    """The same, its layers counted by layer_types where the file has them (configs/qwen4_exp.py)."""
    kinds = model.text.items("layer_types")
    if not kinds:
        return _gated_delta(model, fields)
    attention = sum(kind in QWEN4_ATTENDS for kind in kinds)
    return States(kind=_delta_rule(model.text), layers=len(kinds) - attention, attention_layers=attention)


def _kimi(model: Served, fields: Fields) -> States:
    linear = model.text.get("linear_attn_config")
    listed = linear.get("kda_layers") if isinstance(linear, dict) else None
    if not isinstance(linear, dict) or not isinstance(listed, list | tuple):
        raise EngineError(
            "sglang: linear_attn_config with kda_layers is absent; SGLang's code for Kimi stops without it."
        )
    kind = DeltaState(
        heads=whole("num_heads", linear.get("num_heads")),
        head_dim=whole("head_dim", linear.get("head_dim")),
        kernel=whole("short_conv_kernel_size", linear.get("short_conv_kernel_size")),
    )
    layers = model.text.integer("num_hidden_layers")
    states = len({layer for layer in listed if isinstance(layer, int) and 1 <= layer <= layers})
    return States(kind=kind, layers=states, attention_layers=layers - states)


def _glm5_next(model: Served, fields: Fields) -> States:
    """Kimi's layers, counted from 0: those that linear_attn_config or layer_types names, else three of four."""
    text = model.text
    layers, linear, kinds = (
        text.integer("num_hidden_layers"),
        text.raw.get("linear_attn_config"),
        text.items("layer_types"),
    )
    given = linear if isinstance(linear, dict) else {}
    listed = given.get("kda_layers")
    if listed is None:
        named = kinds or ["full" if layer % 4 == 3 else "linear_attention" for layer in range(layers)]
        listed = [layer for layer, kind in enumerate(named) if kind == "linear_attention"]
    if not isinstance(listed, list | tuple):
        raise EngineError("sglang: linear_attn_config.kda_layers has to be a list of layers. Correct the config.json.")
    attention = tuple(layer for layer in range(layers) if layer not in listed)
    kind = DeltaState(
        heads=whole("num_heads", given.get("num_heads", text.get("linear_num_heads"))),
        head_dim=whole("head_dim", given.get("head_dim", text.get("linear_head_dim"))),
        kernel=whole("short_conv_kernel_size", given.get("short_conv_kernel_size", text.get("linear_conv_kernel_dim"))),
    )
    counted = {"layers": layers - len(attention), "attention_layers": len(attention)}
    return States(kind=kind, attention_ids=attention, **counted)


def _bailing(model: Served, fields: Fields) -> States:
    text = model.text
    layers, group = text.integer("num_hidden_layers"), text.get("layer_group_size")
    if isinstance(group, list | tuple):
        states = sum(flag == 1 for flag in group)
    else:
        states = layers - layers // whole("layer_group_size", group)
    heads, width = text.integer("num_attention_heads"), text.integer("head_dim")
    kernel = text.optional("short_conv_kernel_size", 1)
    kind: Kind = HeadState(channels=0, groups=0, heads=heads, head_dim=width, state_dim=width, kernel=1)
    if kernel is not None:
        kind = DeltaState(heads=heads, head_dim=width, kernel=kernel)
    return States(kind=kind, layers=states, attention_layers=layers - states)


def _zaya(model: Served, fields: Fields) -> States:
    layers, listed = fields.integer("num_hidden_layers"), fields.items("zaya_layers")
    attention = sum(item == "a" for item in listed) if listed else (layers + 1) // 2
    heads = fields.integer("num_attention_heads") + fields.integer("num_key_value_heads")
    kind = CompressedConvolution(
        channels=heads * fields.integer("head_dim"),
        padding=fields.integer("cca_time0") + fields.integer("cca_time1") - 2,
        hidden=fields.integer("hidden_size"),
    )
    return States(kind=kind, layers=attention, attention_layers=attention)


def _inkling(model: Served, fields: Fields) -> States:
    text = model.text
    kind = StreamConvolution(
        full_heads=text.integer("num_key_value_heads"),
        full_head_dim=text.integer("head_dim"),
        window_heads=text.integer("swa_num_key_value_heads"),
        window_head_dim=text.integer("swa_head_dim"),
        hidden=text.integer("hidden_size"),
        kernel=text.integer("sconv_kernel_size"),
    )
    layers = text.integer("num_hidden_layers")
    return States(kind=kind, layers=layers, attention_layers=layers)


READERS: dict[str, Callable[[Served, Fields], States | None]] = {
    "mamba": _mamba1,
    "falcon_mamba": _mamba1,
    "mamba2": _mamba2,
    "falcon_h1": _falcon_h1,
    "granitemoehybrid": _granite_hybrid,
    "nemotron_h": _nemotron_h,
    "lfm2": _lfm2,
    "lfm2_moe": _lfm2,
    "lfm2_vl": _lfm2,
    "qwen3_next": _gated_delta,
    "qwen3_5_text": _gated_delta,
    "qwen3_5_moe_text": _gated_delta,
    "qwen4_exp": _qwen4_exp,
    "qwen4_exp_text": _qwen4_exp,
    "kimi_linear": _kimi,
    "bailing_hybrid": _bailing,
    "glm5_next": _glm5_next,
    "glm5_next_text": _glm5_next,
    "zaya": _zaya,
    "inkling_model": _inkling,
    "inkling_mm_model": _inkling,
}
UNSTATED = frozenset(  # hybrids that SGLang serves and whose states these rules do not state
    {"jet_nemotron", "jet_vlm", "gigachat3_5"}
    | {"minicpm_sala", "nemotron_h_puzzle", "intern_s2_preview", "interns2_mobius", "interns2_mobius_text"}
)
