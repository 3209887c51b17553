"""Decoders with recurrent layers: Mamba, gated delta nets, short convolutions, RG-LRU, and their hybrids.

Read from transformers 5.23.0, models/<type>/modeling_<type>.py. A depthwise convolution of width w over n channels
holds n x w parameters, and n more with a bias.
"""

from collections.abc import Callable, Mapping
from math import ceil

from core.parameters.experts import by_step
from core.parameters.tally import Bias, Tally, gated, grouped, head_dim, linear, plain, routed
from core.parameters.values import NotByRule, Values, counted

LINEAR, FULL = "linear_attention", "full_attention"


def short_convolution(channels: int, width: int, bias: bool = False) -> int:
    return channels * width + (channels if bias else 0)


def _rank(c: Values, name: str) -> int:
    """The rank of the time step: 'auto' is hidden / 16, rounded up."""
    value = c.get(name)
    return ceil(c.size("hidden_size") / 16) if value == "auto" else c.whole(value, name)


def mamba1(c: Values, inner: int, state: int, width: int, rank: int, bias: bool, conv_bias: bool) -> int:
    """One Mamba mixer (arXiv 2312.00752, section 3.4) of `inner` channels."""
    maps = linear(c.size("hidden_size"), 2 * inner, bias) + linear(inner, c.size("hidden_size"), bias)
    steps = linear(inner, rank + 2 * state) + linear(rank, inner, True)
    return maps + steps + short_convolution(inner, width, conv_bias) + inner * state + inner


def mamba2_mixer(
    hidden: int,
    inner: int,
    heads: int,
    groups: int,
    state: int,
    width: int,
    bias: bool,
    conv_bias: bool,
    norm: bool = True,
) -> int:
    """One Mamba-2 mixer (arXiv 2405.21060, section 7): `inner` channels in heads, B and C shared by groups."""
    channels = inner + 2 * groups * state
    maps = linear(hidden, inner + channels + heads, bias) + linear(inner, hidden, bias)
    return maps + short_convolution(channels, width, conv_bias) + 3 * heads + (inner if norm else 0)


def ends(t: Tally, c: Values, layers: int, norms: int = 2) -> None:
    hidden = c.size("hidden_size")
    t.add("embedding", c.size("vocab_size") * hidden)
    t.add("norms", (norms * layers + 1) * hidden)


def mamba(t: Tally, c: Values) -> None:
    """Mamba and Falcon-Mamba: nothing but mixers."""
    hidden, layers = c.size("hidden_size"), c.layers()
    inner = c.size("expand") * hidden
    rank, bias, conv_bias = _rank(c, "time_step_rank"), c.flag("use_bias"), c.flag("use_conv_bias")
    each = mamba1(c, inner, c.size("state_size"), c.size("conv_kernel"), rank, bias, conv_bias)
    t.add("recurrent", layers * each)
    ends(t, c, layers, norms=1)


def mamba2(t: Tally, c: Values) -> None:
    hidden, layers, heads = c.size("hidden_size"), c.layers(), c.size("num_heads")
    inner = c.size("expand") * hidden
    flags = c.flag("use_bias"), c.flag("use_conv_bias")
    each = mamba2_mixer(hidden, inner, heads, c.size("n_groups"), c.size("state_size"), c.size("conv_kernel"), *flags)
    t.add("recurrent", layers * each)
    ends(t, c, layers, norms=1)


def _periodic(layers: int, period: int, offset: int) -> int:
    """How many of the layers lie at offset modulo period."""
    if offset >= period:
        raise NotByRule("an offset is not below its period")
    return len(range(offset, layers, period))


def jamba(t: Tally, c: Values) -> None:
    """Jamba: attention and experts each at a period of their own."""
    hidden, layers, experts = c.size("hidden_size"), c.layers(), c.size("num_experts")
    attention = _periodic(layers, c.size("attn_layer_period"), c.size("attn_layer_offset", 0))
    sparse = _periodic(layers, c.size("expert_layer_period"), c.size("expert_layer_offset", 0)) if experts > 1 else 0
    grouped(t, c, attention, dim=head_dim(c))
    inner, state, rank = c.size("mamba_expand") * hidden, c.size("mamba_d_state"), _rank(c, "mamba_dt_rank")
    flags = c.flag("mamba_proj_bias"), c.flag("mamba_conv_bias")
    t.add("recurrent", (layers - attention) * mamba1(c, inner, state, c.size("mamba_d_conv"), rank, *flags))
    t.add("norms", (layers - attention) * (rank + 2 * state))
    each = gated(hidden, c.size("intermediate_size"))
    t.add("dense_ffn", (layers - sparse) * each)
    if sparse:
        routed(t, sparse, experts=experts, per_token=c.size("num_experts_per_tok"), each=each, router=experts * hidden)
    ends(t, c, layers)


def _mamba2_of(c: Values, *, inner: int, norm: bool = True, out_bias: Bias | None = None) -> int:
    """The mixer of Bamba, Falcon-H1 and Granite 4, which spell its sizes alike."""
    hidden, bias = c.size("hidden_size"), c.flag("mamba_proj_bias")
    sizes = c.size("mamba_n_heads"), c.size("mamba_n_groups"), c.size("mamba_d_state"), c.size("mamba_d_conv")
    each = mamba2_mixer(hidden, inner, *sizes, bias, c.flag("mamba_conv_bias"), norm)
    return each + (0 if out_bias is None else hidden * (int(c.flag(out_bias)) - int(bias)))


def bamba(t: Tally, c: Values) -> None:
    hidden, layers = c.size("hidden_size"), c.layers()
    attention = len({layer for layer in c.numbers("attn_layer_indices") if 0 <= layer < layers})
    grouped(t, c, attention, qkv="attention_bias", out="attention_bias")
    t.add("recurrent", (layers - attention) * _mamba2_of(c, inner=c.size("mamba_expand") * hidden))
    t.add("dense_ffn", layers * gated(hidden, c.size("intermediate_size"), c.flag("mlp_bias")))
    ends(t, c, layers)


def falcon_h1(t: Tally, c: Values) -> None:
    """Falcon-H1: attention and a mixer side by side in every layer."""
    hidden, layers = c.size("hidden_size"), c.layers()
    inner = c.size_or_none("mamba_d_ssm") or c.size("mamba_expand") * hidden
    grouped(t, c, layers, qkv="attention_bias", out="attention_bias")
    norm = c.flag_or("mamba_rms_norm", False)
    t.add("recurrent", layers * _mamba2_of(c, inner=inner, norm=norm, out_bias="projectors_bias"))
    t.add("dense_ffn", layers * gated(hidden, c.size("intermediate_size"), c.flag("mlp_bias")))
    ends(t, c, layers)


def granitemoehybrid(t: Tally, c: Values) -> None:
    """Granite 4: Mamba-2 or attention, then a shared FFN and, where there are some, experts."""
    hidden, layers, experts = c.size("hidden_size"), c.layers(), c.size("num_local_experts", 0)
    kinds = counted(c.kinds("layer_types", layers, [LINEAR] * layers), (LINEAR, FULL), "layer_types")
    grouped(t, c, kinds[FULL], qkv="attention_bias", out="attention_bias")
    t.add("recurrent", kinds[LINEAR] * _mamba2_of(c, inner=c.size("mamba_expand") * hidden))
    t.add("shared_experts" if experts else "dense_ffn", layers * gated(hidden, c.size("shared_intermediate_size")))
    if experts:
        each, per_token = gated(hidden, c.size("intermediate_size")), c.size("num_experts_per_tok")
        routed(t, layers, experts=experts, per_token=per_token, each=each, router=experts * hidden)
    ends(t, c, layers)


def nemotron_h(t: Tally, c: Values) -> None:
    """Nemotron-H: every layer is one of mixer, attention, FFN or experts, behind one norm."""
    hidden = c.size("hidden_size")
    kinds = _nemotron_kinds(c)
    layers = sum(kinds.values())
    heads, groups = c.size("mamba_num_heads"), _renamed(c, "n_groups", "mamba_n_groups")
    inner, width = heads * c.size("mamba_head_dim"), _renamed(c, "conv_kernel", "mamba_d_conv")
    conv_bias = c.get("mamba_conv_bias", None) if c.has("mamba_conv_bias") else c.get("use_conv_bias")
    flags = c.flag("use_bias"), bool(conv_bias)
    mixer = mamba2_mixer(hidden, inner, heads, groups, c.size("ssm_state_size"), width, *flags)
    t.add("recurrent", kinds[LINEAR] * mixer)
    grouped(t, c, kinds[FULL])
    bias = c.flag("mlp_bias")
    t.add("dense_ffn", kinds["mlp"] * plain(hidden, c.size("intermediate_size"), bias) if kinds["mlp"] else 0)
    if kinds["moe"]:
        _nemotron_experts(t, c, kinds["moe"], bias)
    ends(t, c, layers, norms=1)


def _renamed(c: Values, name: str, other: str) -> int:
    return c.whole(c.get(other), other) if c.has(other) else c.size(name)


def _nemotron_kinds(c: Values) -> Mapping[str, int]:
    letters = {"M": LINEAR, "E": "moe", "*": FULL, "-": "mlp"}
    value, pattern = c.get("layers_block_type", None), c.get("hybrid_override_pattern", None)
    if value is None and isinstance(pattern, str) and set(pattern) <= set(letters):
        value = [letters[letter] for letter in pattern]
    if value is None:
        value = [LINEAR, "moe", FULL, "mlp"]
    if not isinstance(value, list | tuple):
        raise NotByRule("layers_block_type is no list")
    c.layers("num_hidden_layers") if type(c.get("num_hidden_layers", None)) is int else None
    kinds = c.kinds("layers_block_type", len(value)) if c.get("layers_block_type", None) is not None else value
    return counted(kinds, letters.values(), "layers_block_type")


def _nemotron_experts(t: Tally, c: Values, times: int, bias: bool) -> None:
    hidden, experts, width = c.size("hidden_size"), c.size("n_routed_experts"), c.size("moe_intermediate_size")
    narrow = c.size_or_none("moe_latent_size")
    each = 2 * width * (narrow or hidden)
    routed(t, times, experts=experts, per_token=c.size("num_experts_per_tok"), each=each, router=experts * hidden)
    t.add("shared_experts", times * plain(hidden, c.size("moe_shared_expert_intermediate_size"), bias))
    if narrow:
        t.add("other", times * plain(hidden, narrow, bias))


def zamba(t: Tally, c: Values) -> None:
    """Zamba: one attention block shared by all hybrid layers, which read the embedding beside the stream."""
    hidden, layers = c.size("hidden_size"), c.layers()
    period, offset = c.size("attn_layer_period"), c.size("attn_layer_offset", 0)
    default = [LINEAR, LINEAR, "hybrid", *("hybrid" if i % period == offset else LINEAR for i in range(layers - 3))]
    if c.get("layers_block_type", None) is None and layers < 3:
        raise NotByRule("num_hidden_layers is below 3")
    hybrid = counted(c.kinds("layers_block_type", layers, default), (LINEAR, "hybrid"), "layers_block_type")["hybrid"]
    wide = c.size_or_none("attention_hidden_size", 0) or 2 * hidden
    heads = c.size("num_attention_heads")
    dim = c.size_or_none("attention_head_dim", 0) or 2 * hidden // heads
    if hybrid:
        copies = 1 if c.flag("tie_word_embeddings") else hybrid  # the flag also decides whether the block is shared
        t.add("attention", copies * heads * dim * (wide + hidden))
        t.add("kv_projections", copies * 2 * c.size("num_key_value_heads") * dim * wide)
        t.add("dense_ffn", copies * gated(hidden, c.size("intermediate_size")))
        t.add("norms", copies * (wide + hidden))
        t.add("other", hybrid * hidden * hidden)
    inner, state, rank = c.size("mamba_expand") * hidden, c.size("mamba_d_state"), _rank(c, "mamba_dt_rank")
    parts = c.size("n_mamba_heads")
    bias = c.flag("mamba_proj_bias")
    maps = linear(hidden, 2 * inner, bias) + linear(inner, hidden, bias)
    steps = parts * (rank + 2 * state) * (inner // parts) + inner * rank + inner
    convolution = short_convolution(inner, c.size("mamba_d_conv"), c.flag("mamba_conv_bias"))
    t.add("recurrent", layers * (maps + steps + convolution + inner * state + inner))
    ends(t, c, layers, norms=1)


def recurrent_gemma(t: Tally, c: Values) -> None:
    """RecurrentGemma (Griffin, arXiv 2402.19427): RG-LRU blocks and local attention."""
    hidden, layers, heads = c.size("hidden_size"), c.layers(), c.size("num_attention_heads")
    pattern = c.get("block_types")
    if not isinstance(pattern, list | tuple) or not pattern or set(pattern) - {"recurrent", "attention"}:
        raise NotByRule("block_types is not understood")
    if layers > 100 * len(pattern):
        raise NotByRule("block_types is too short")
    recurrent = sum(1 for layer in range(layers) if pattern[layer % len(pattern)] == "recurrent")
    grouped(t, c, layers - recurrent, qkv="attention_bias", out=True)
    width = c.size_or_none("lru_width") or hidden
    block = width // heads
    gates = 2 * (heads * block * block + heads * block) + width
    convolution = short_convolution(width, c.size("conv1d_width"), True)
    t.add(
        "recurrent", recurrent * (2 * linear(hidden, width, True) + linear(width, hidden, True) + convolution + gates)
    )
    t.add("dense_ffn", layers * gated(hidden, c.size("intermediate_size") // 2, True))
    ends(t, c, layers)


def _short_convolutions(t: Tally, c: Values) -> tuple[int, int]:
    """LFM2: attention where layer_types says so, gated short convolutions elsewhere; hidden width and layers."""
    hidden, layers = c.size("hidden_size"), c.layers()
    full = set(c.numbers("full_attn_idxs", range(layers)))
    kinds = c.kinds("layer_types", layers, [FULL if layer in full else "conv" for layer in range(layers)])
    counts = counted(kinds, (FULL, "conv"), "layer_types")
    grouped(t, c, counts[FULL], qk_norm="head")
    bias = c.flag("conv_bias")
    convolution = short_convolution(hidden, c.size("conv_L_cache"), bias)
    t.add("recurrent", counts["conv"] * (linear(hidden, 3 * hidden, bias) + linear(hidden, hidden, bias) + convolution))
    return hidden, layers


def lfm2(t: Tally, c: Values) -> None:
    """The width of its FFN is adjusted to two thirds and a multiple."""
    hidden, layers = _short_convolutions(t, c)
    width = c.whole(c.get("block_ff_dim"), "block_ff_dim") if c.has("block_ff_dim") else c.size("intermediate_size")
    if c.flag("block_auto_adjust_ff_dim"):
        width = int(2 * width / 3)
        factor, multiple = c.get("block_ffn_dim_multiplier"), c.size("block_multiple_of")
        if isinstance(factor, int | float):
            width = multiple * ((int(factor * width) + multiple - 1) // multiple)
    t.add("dense_ffn", layers * gated(hidden, width))
    ends(t, c, layers)


def lfm2_moe(t: Tally, c: Values) -> None:
    hidden, layers = _short_convolutions(t, c)
    dense, experts = min(c.size("num_dense_layers", 0), layers), c.size("num_experts")
    t.add("dense_ffn", dense * gated(hidden, c.size("intermediate_size")))
    each = gated(hidden, c.size("moe_intermediate_size"))
    router, per_token = experts * hidden, c.size("num_experts_per_tok")
    routed(t, layers - dense, experts=experts, per_token=per_token, each=each, router=router)
    ends(t, c, layers)


def delta_net(c: Values) -> int:
    """Gated delta net of Qwen3-Next (arXiv 2412.06464): Q, K, V and a gate, a convolution, two numbers a head."""
    hidden, keys, values = c.size("hidden_size"), c.size("linear_num_key_heads"), c.size("linear_num_value_heads")
    key, value = keys * c.size("linear_key_head_dim"), values * c.size("linear_value_head_dim")
    maps = linear(hidden, 2 * key + 2 * value) + linear(hidden, 2 * values) + linear(value, hidden)
    convolution = short_convolution(2 * key + value, c.size("linear_conv_kernel_dim"))
    return maps + convolution + 2 * values + c.size("linear_value_head_dim")


def _qwen_mixers(t: Tally, c: Values) -> tuple[int, int]:
    """Delta nets with gated attention between; hidden width and layers."""
    hidden, layers = c.size("hidden_size"), c.layers()
    interval = c.whole(c.get("full_attention_interval", 4), "full_attention_interval")
    pattern = [LINEAR if (layer + 1) % interval else FULL for layer in range(layers)]
    kinds = counted(c.kinds("layer_types", layers, pattern), (LINEAR, FULL), "layer_types")
    t.add("recurrent", kinds[LINEAR] * delta_net(c))
    grouped(t, c, kinds[FULL], qkv="attention_bias", out="attention_bias", query_copies=2, qk_norm="head")
    return hidden, layers


def qwen_experts(t: Tally, c: Values, times: int) -> None:
    hidden, experts = c.size("hidden_size"), c.size("num_experts")
    each, per_token = gated(hidden, c.size("moe_intermediate_size")), c.size("num_experts_per_tok")
    routed(t, times, experts=experts, per_token=per_token, each=each, router=experts * hidden)
    t.add("shared_experts", times * (gated(hidden, c.size("shared_expert_intermediate_size", 0)) + hidden))


def qwen3_next(t: Tally, c: Values) -> None:
    hidden, layers = _qwen_mixers(t, c)
    sparse = by_step(c, layers)
    if sparse < layers:
        t.add("dense_ffn", (layers - sparse) * gated(hidden, c.size("intermediate_size")))
    if sparse:
        qwen_experts(t, c, sparse)
    ends(t, c, layers)


def qwen3_5(t: Tally, c: Values) -> None:
    hidden, layers = _qwen_mixers(t, c)
    t.add("dense_ffn", layers * gated(hidden, c.size("intermediate_size")))
    ends(t, c, layers)


def qwen3_5_moe(t: Tally, c: Values) -> None:
    _, layers = _qwen_mixers(t, c)
    qwen_experts(t, c, layers)
    ends(t, c, layers)


def olmo_hybrid(t: Tally, c: Values) -> None:
    hidden, layers, heads = c.size("hidden_size"), c.layers(), c.size("num_attention_heads")
    pattern = [FULL if layer % 4 == 3 else LINEAR for layer in range(layers)]
    pattern = pattern if FULL in pattern else [*pattern[:-1], FULL]
    kinds = counted(c.kinds("layer_types", layers, pattern), (LINEAR, FULL), "layer_types")
    keys, values = c.size_or_none("linear_num_key_heads") or heads, c.size_or_none("linear_num_value_heads") or heads
    dim = c.size_or_none("linear_key_head_dim") or int(0.75 * hidden / keys)
    value_dim = c.size_or_none("linear_value_head_dim") or 2 * dim
    key, value = keys * dim, values * value_dim
    maps = linear(hidden, 2 * key + 2 * value) + linear(hidden, 2 * values) + linear(value, hidden)
    convolution = short_convolution(2 * key + value, c.size("linear_conv_kernel_dim"))
    t.add("recurrent", kinds[LINEAR] * (maps + convolution + 2 * values + value_dim))
    grouped(t, c, kinds[FULL], qkv="attention_bias", out="attention_bias", qk_norm="width")
    t.add("dense_ffn", layers * gated(hidden, c.size("intermediate_size")))
    ends(t, c, layers)


def minimax(t: Tally, c: Values) -> None:
    """MiniMax-Text-01: lightning attention with softmax attention between, experts in every layer."""
    hidden, layers, experts = c.size("hidden_size"), c.layers(), c.size("num_local_experts")
    pattern = [FULL if (layer + 1) % 2 else LINEAR for layer in range(layers)]
    kinds = counted(c.kinds("layer_types", layers, pattern), (LINEAR, FULL), "layer_types")
    grouped(t, c, kinds[FULL])
    width = c.size("num_attention_heads") * head_dim(c)
    t.add("recurrent", kinds[LINEAR] * 5 * hidden * width)
    t.add("norms", kinds[LINEAR] * width)
    each, per_token = gated(hidden, c.size("intermediate_size")), c.size("num_experts_per_tok")
    routed(t, layers, experts=experts, per_token=per_token, each=each, router=experts * hidden)
    ends(t, c, layers)


BODIES: Mapping[str, Callable[[Tally, Values], None]] = {
    "mamba": mamba,
    "falcon_mamba": mamba,
    "mamba2": mamba2,
    "jamba": jamba,
    "bamba": bamba,
    "falcon_h1": falcon_h1,
    "granitemoehybrid": granitemoehybrid,
    "nemotron_h": nemotron_h,
    "zamba": zamba,
    "recurrent_gemma": recurrent_gemma,
    "lfm2": lfm2,
    "lfm2_moe": lfm2_moe,
    "qwen3_next": qwen3_next,
    "qwen3_5_text": qwen3_5,
    "qwen3_5_moe_text": qwen3_5_moe,
    "olmo_hybrid": olmo_hybrid,
    "minimax": minimax,
}
