"""The constant state of layers without a KV cache: Mamba, linear attention, short convolutions.

Shapes as transformers 5.24 keeps them (modeling_<type>.py, `update_conv_state` and `update_recurrent_state`): a
convolution state of channels x kernel, and a recurrent state that most kinds keep in float32 whatever the type of the
model. Neither grows with the context.
"""

from collections.abc import Callable
from typing import Any

from core.models.attention import RecurrentState
from core.models.rules.fields import ConfigPart, Found, rule


def mamba1(part: ConfigPart) -> tuple[str, int, int, tuple[Found, ...]]:
    """Mamba: expand x hidden channels, kernel taps and state_size each."""
    hidden, state, kernel = part.integer("hidden_size"), part.integer("state_size"), part.integer("conv_kernel")
    channels = _mamba1_channels(part, hidden)
    return "Mamba", channels.value * kernel.value, channels.value * state.value, (channels, state, kernel)


def _mamba1_channels(part: ConfigPart, hidden: Found) -> Found:
    """expand x hidden_size; an intermediate_size in the file takes its place, as it does in MambaConfig."""
    if "intermediate_size" in part.raw:
        return part.integer("intermediate_size")
    expand = part.integer("expand")
    return rule(expand.value * hidden.value, "expand x hidden_size channels.", expand, hidden)


def mamba1_in_hybrid(part: ConfigPart) -> tuple[str, int, int, tuple[Found, ...]]:
    """Jamba and Zamba: the same under mamba_ keys."""
    hidden, state, kernel = part.integer("hidden_size"), part.integer("mamba_d_state"), part.integer("mamba_d_conv")
    channels = hidden.value * part.integer("mamba_expand").value
    return "Mamba", channels * kernel.value, channels * state.value, (hidden, state, kernel)


def mamba2(part: ConfigPart) -> tuple[str, int, int, tuple[Found, ...]]:
    """Mamba-2: channels plus B and C of each group are convolved; heads x head_dim x state_size recur."""
    heads, width = part.integer("num_heads"), part.integer("head_dim")
    channels = part.integer("hidden_size").value * part.integer("expand").value
    return _mamba2(part, channels, heads, width, "n_groups", "state_size", "conv_kernel")


def mamba2_in_hybrid(part: ConfigPart) -> tuple[str, int, int, tuple[Found, ...]]:
    """Bamba, Granite 4 and Falcon-H1: the same under mamba_ keys; mamba_d_head may be 'auto'."""
    heads = part.integer("mamba_n_heads")
    inner = part.optional_integer("mamba_d_ssm") if part.model_type == "falcon_h1" else None
    channels = inner.value if inner else part.integer("hidden_size").value * part.integer("mamba_expand").value
    if part.value("mamba_d_head") == "auto":
        width = _whole(part, "mamba_n_heads", channels, heads.value)
    else:
        width = part.integer("mamba_d_head")
    return _mamba2(part, channels, heads, width, "mamba_n_groups", "mamba_d_state", "mamba_d_conv")


def nemotron_h(part: ConfigPart) -> tuple[str, int, int, tuple[Found, ...]]:
    """Nemotron-H: mamba_num_heads x mamba_head_dim channels."""
    heads, width = part.integer("mamba_num_heads"), part.integer("mamba_head_dim")
    groups = "mamba_n_groups" if "mamba_n_groups" in part.raw else "n_groups"
    kernel = "mamba_d_conv" if "mamba_d_conv" in part.raw else "conv_kernel"
    return _mamba2(part, heads.value * width.value, heads, width, groups, "ssm_state_size", kernel)


def zamba2(part: ConfigPart) -> tuple[str, int, int, tuple[Found, ...]]:
    """Zamba2: mamba_expand x hidden channels over n_mamba_heads."""
    heads = part.integer("n_mamba_heads")
    channels = part.integer("hidden_size").value * part.integer("mamba_expand").value
    width = _whole(part, "n_mamba_heads", channels, heads.value)
    return _mamba2(part, channels, heads, width, "mamba_ngroups", "mamba_d_state", "mamba_d_conv")


def _mamba2(
    part: ConfigPart, channels: int, heads: Found, width: Found, groups_key: str, state_key: str, kernel_key: str
) -> tuple[str, int, int, tuple[Found, ...]]:
    groups, state, kernel = part.integer(groups_key), part.integer(state_key), part.integer(kernel_key)
    convolved = channels + 2 * groups.value * state.value
    recurrent = heads.value * width.value * state.value
    return "Mamba-2", convolved * kernel.value, recurrent, (heads, width, groups, state, kernel)


def _whole(part: ConfigPart, name: str, whole: int, parts: int) -> Found:
    if whole % parts:
        part.refuse(name, f"it does not divide the {whole:,} Mamba channels")
    return rule(whole // parts, f"{whole:,} channels / {parts} heads.", part.found(name))


def gated_delta(part: ConfigPart) -> tuple[str, int, int, tuple[Found, ...]]:
    """Qwen3-Next and kin: keys and values of the linear heads are convolved; value heads x key x value widths recur."""
    names = ("linear_num_key_heads", "linear_num_value_heads", "linear_key_head_dim", "linear_value_head_dim")
    found: list[Found] = [_linear(part, name) for name in names]
    key_heads, value_heads, key_width, value_width = (item.value for item in found)
    kernel = part.integer("linear_conv_kernel_dim")
    convolved = 2 * key_heads * key_width + value_heads * value_width
    recurrent = value_heads * key_width * value_width
    return "gated delta rule", convolved * kernel.value, recurrent, (*found, kernel)


def _linear(part: ConfigPart, name: str) -> Found:
    """OLMo-Hybrid leaves the linear heads null: as many as attention heads, keys 3/4 of hidden, values twice that."""
    found = part.optional_integer(name)
    if found is not None or part.model_type != "olmo_hybrid":
        return found or part.integer(name)
    if name.startswith("linear_num"):
        return part.integer("num_attention_heads")
    key_heads = _linear(part, "linear_num_key_heads").value
    key_width = part.optional_integer("linear_key_head_dim")
    width = key_width.value if key_width else int(0.75 * part.integer("hidden_size").value / key_heads)
    value = width if name == "linear_key_head_dim" else 2 * width
    return rule(value, f"{name} is absent: {part.model_class.name} derives {value}.", part.found("hidden_size"))


def kimi_delta(part: ConfigPart) -> tuple[str, int, int, tuple[Found, ...]]:
    """Kimi Linear, Ling and GLM-5-next: queries, keys and values convolved; heads x width x width recur."""
    nested = part.nested("linear_attn_config", {})
    width = nested.optional_integer("head_dim") or _kimi(part, "linear_head_dim", "head_dim")
    heads = nested.optional_integer("num_heads") or _kimi(part, "linear_num_heads", "num_attention_heads")
    kernel = nested.optional_integer("short_conv_kernel_size") or _kimi(
        part, "linear_conv_kernel_dim", "short_conv_kernel_size"
    )
    total = width.value * heads.value
    return "Kimi delta attention", 3 * total * kernel.value, total * width.value, (width, heads, kernel)


def _kimi(part: ConfigPart, name: str, other: str) -> Found:
    return part.optional_integer(name) or part.integer(other)


def lightning(part: ConfigPart) -> tuple[str, int, int, tuple[Found, ...]]:
    """MiniMax lightning attention: heads x width x width in the type of the model, no convolution."""
    heads = part.integer("num_attention_heads")
    stated = part.optional_integer("head_dim", minimum=0)  # "head_dim or hidden_size // heads" in the class
    width = stated if stated is not None and stated.value else _whole_width(part, heads)
    return "lightning attention", heads.value * width.value**2, 0, (heads, width)


def _whole_width(part: ConfigPart, heads: Found) -> Found:
    hidden = part.integer("hidden_size")
    if hidden.value % heads.value:
        part.refuse("hidden_size", f"it does not divide by the {heads.value} heads, and no head_dim is given")
    return rule(hidden.value // heads.value, "hidden_size / heads.", hidden, heads)


def short_convolution(part: ConfigPart) -> tuple[str, int, int, tuple[Found, ...]]:
    """LFM2: hidden channels x conv_L_cache taps."""
    hidden, kernel = part.integer("hidden_size"), part.integer("conv_L_cache")
    return "short convolution", hidden.value * kernel.value, 0, (hidden, kernel)


def rg_lru(part: ConfigPart) -> tuple[str, int, int, tuple[Found, ...]]:
    """RecurrentGemma: one gated vector of lru_width, and a convolution that keeps width - 1 taps."""
    hidden, taps = part.integer("hidden_size"), part.integer("conv1d_width")
    width = part.optional_integer("lru_width") or hidden
    return "RG-LRU", hidden.value * (taps.value - 1), width.value, (hidden, width, taps)


def zaya(part: ConfigPart) -> tuple[str, int, int, tuple[Found, ...]]:
    """Zaya's convolved queries and keys, and the delayed half of the values, beside an ordinary cache."""
    heads, kv, width = (part.integer(name) for name in ("num_attention_heads", "num_key_value_heads", "head_dim"))
    taps = part.integer("cca_time0").value + part.integer("cca_time1").value - 2
    elements = (heads.value + kv.value) * width.value * taps + kv.value * width.value // 2
    return "convolved queries and keys", elements, 0, (heads, kv, width)


def inkling(part: ConfigPart) -> tuple[str, int, int, tuple[Found, ...]]:
    """Inkling: short convolutions over keys, values and twice the hidden width, kept in float32."""
    kv, width, hidden = (part.integer(name) for name in ("num_key_value_heads", "head_dim", "hidden_size"))
    kernel = part.integer("conv_kernel_size")
    elements = (2 * kv.value * width.value + 2 * hidden.value) * kernel.value
    return "short convolutions", 0, elements, (kv, width, hidden, kernel)


def xlstm(part: ConfigPart) -> tuple[str, int, int, tuple[Found, ...]]:
    """xLSTM: a matrix memory, a normaliser and a maximum per head , all in the model's own type; the
    model's one position counter is added where the layers are put together."""
    heads, hidden = part.integer("num_heads"), part.optional_integer("hidden_size") or part.integer("embedding_dim")
    keys, values = (_rounded(part, name, hidden.value) for name in ("qk_dim_factor", "v_dim_factor"))
    if keys % heads.value or values % heads.value:
        part.refuse("num_heads", f"it does not divide the widths {keys} and {values}")
    key, value = keys // heads.value, values // heads.value
    return "xLSTM", heads.value * (key * value + key + 1), 0, (heads, hidden)


def _rounded(part: ConfigPart, name: str, hidden: int) -> int:
    factor = part.value(name)
    if isinstance(factor, bool) or not isinstance(factor, int | float) or not 0 < factor <= 64:
        part.refuse(name, "a positive factor is expected")
    return -(-int(hidden * factor) // 64) * 64


NGRAMS = "ple_layer_ids"  # in the overrides of the layers that this list of the file names, from 1
State = Callable[[ConfigPart], tuple[str, int, int, tuple[Found, ...]]]
STATES: dict[str, State] = {
    "bailing_hybrid": kimi_delta,
    "bamba": mamba2_in_hybrid,
    "falcon_h1": mamba2_in_hybrid,
    "falcon_mamba": mamba1,
    "glm5_next_text": kimi_delta,
    "granitemoehybrid": mamba2_in_hybrid,
    "inkling2_loop_text": inkling,
    "inkling2_text": inkling,
    "inkling_text": inkling,
    "jamba": mamba1_in_hybrid,
    "kimi_linear": kimi_delta,
    "lara_mini": gated_delta,
    "lfm2": short_convolution,
    "lfm2_moe": short_convolution,
    "lfm3": short_convolution,
    "mamba": mamba1,
    "mamba2": mamba2,
    "minimax": lightning,
    "minimax_m1": lightning,
    "minimax_text_01": lightning,
    "nemotron_h": nemotron_h,
    "olmo_hybrid": gated_delta,
    "qwen3_5_moe_text": gated_delta,
    "qwen3_5_text": gated_delta,
    "qwen3_next": gated_delta,
    "qwen4_exp_text": gated_delta,
    "recurrent_gemma": rg_lru,
    "xlstm": xlstm,
    "zamba": mamba1_in_hybrid,
    "zamba2": zamba2,
    "zaya": zaya,
}


def state_of(part: ConfigPart) -> RecurrentState:
    """The state of one recurrent layer. Raises UnsupportedConfig for a mechanism that is not known."""
    known: Any = STATES.get(part.model_type)
    if known is None:
        part.refuse("model_type", "it has recurrent layers whose state this reader does not know")
    mechanism, elements, in_float32, origins = known(part)
    token_ids = 0
    if NGRAMS in part.overrides:
        convolved, token_ids = _ngrams(part)
        elements += convolved
    sentence = f"{mechanism}: {elements + in_float32:,} elements per sequence and layer, whatever the context, "
    sentence += _widths(elements, in_float32)
    part.note("state", rule(elements + in_float32, sentence, *origins))
    return RecurrentState(
        mechanism=mechanism,
        state_elements=elements + in_float32,
        float32_elements=in_float32,
        int64_elements=token_ids,
    )


def _widths(elements: int, in_float32: int) -> str:
    """The type that the class keeps them in, as the end of a sentence."""
    if not in_float32:
        return "in the model's own type."
    return "in float32." if not elements else f"{in_float32:,} of them in float32, the others in the model's own type."


def _ngrams(part: ConfigPart) -> tuple[int, int]:
    """Qwen4-Exp's per-layer embedding: (elements of a dilated convolution over every residual stream, token ids)."""
    streams, hidden = part.integer("hc_count"), part.integer("hidden_size")
    taps, ngram = part.integer("ple_conv_kernel_size"), part.integer("ngram_size")
    return streams.value * hidden.value * (taps.value - 1) * ngram.value, ngram.value - 1
