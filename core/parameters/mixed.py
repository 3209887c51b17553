"""Decoders whose layers attend in different ways: DeepSeek-V4, MiMo-V2-Flash, Step-3.5-Flash.

Read from transformers 5.24.0, models/<type>/modeling_<type>.py and the __post_init__ of its configuration.
"""

from collections.abc import Callable, Mapping

from core.parameters.experts import by_kind
from core.parameters.tally import Tally, gated, linear, routed
from core.parameters.values import NotByRule, Values, counted

V4_KINDS = ("sliding_attention", "compressed_sparse_attention", "heavily_compressed_attention")
V4_RATIOS = {0: V4_KINDS[0], 4: V4_KINDS[1], 128: V4_KINDS[2]}
SPARSE_RATE, HEAVY_RATE = 4, 128  # the class's default_compress_rates
WINDOWED = ("full_attention", "sliding_attention")


def deepseek_v4(t: Tally, c: Values) -> None:
    """DeepSeek-V4: one key that is the value too, a grouped output projection, compressors by the kind of layer, hyper
    connections around attention and experts, experts in every layer."""
    hidden, layers, dim = c.size("hidden_size"), c.layers(), c.size("head_dim")
    kinds = counted(_v4_kinds(c, layers), V4_KINDS, "layer_types")
    t.add("embedding", c.size("vocab_size") * hidden)
    _v4_attention(t, c, layers)
    for kind, wide in ((V4_KINDS[1], 2 * dim), (V4_KINDS[2], dim)):
        rate = SPARSE_RATE if kind == V4_KINDS[1] else HEAVY_RATE
        t.add("attention", kinds[kind] * (2 * linear(hidden, wide) + rate * wide))
        t.add("norms", kinds[kind] * dim)
    _v4_indexers(t, c, kinds[V4_KINDS[1]])
    experts, each = c.size("n_routed_experts"), gated(hidden, c.size("moe_intermediate_size"))
    routed(t, layers, experts=experts, per_token=c.size("num_experts_per_tok"), each=each, router=hidden * experts)
    t.add("shared_experts", layers * gated(hidden, c.size("moe_intermediate_size"), c.flag("mlp_bias")))
    streams = c.size("hc_mult")
    mixing = (2 + streams) * streams
    t.add("other", 2 * layers * (mixing * streams * hidden + mixing + 3) + streams * streams * hidden + streams + 1)
    t.add("norms", (2 * layers + 1) * hidden)


def _v4_kinds(c: Values, layers: int) -> list[str]:
    """layer_types, else the older compress_ratios, else two heavy layers and then sparse and heavy in turn."""
    if any(c.get(name, None) is not None for name in ("compress_rates", "compress_rate_csa", "compress_rate_hca")):
        raise NotByRule("compress rates are given")
    c.ignore("num_hash_layers", "qk_rope_head_dim", "expert_dtype", "quantization_config")
    ratios = c.numbers("compress_ratios")[:layers]
    if c.get("layer_types", None) is None and ratios:
        if len(ratios) != layers or not set(ratios) <= set(V4_RATIOS):
            raise NotByRule("compress_ratios has another length or another ratio")
        return [V4_RATIOS[ratio] for ratio in ratios]
    usual = [V4_KINDS[2] if layer < 2 or layer % 2 == 0 else V4_KINDS[1] for layer in range(layers)]
    return c.kinds("layer_types", layers, usual)


def _v4_attention(t: Tally, c: Values, layers: int) -> None:
    hidden, heads, dim = c.size("hidden_size"), c.size("num_attention_heads"), c.size("head_dim")
    rank, groups, out = c.size("q_lora_rank"), c.size("o_groups"), c.size("o_lora_rank")
    queries = linear(hidden, rank) + linear(rank, heads * dim)
    output = linear(heads * dim // groups, groups * out) + linear(groups * out, hidden)
    t.add("attention", layers * (queries + linear(hidden, dim) + output + heads))  # a sink a head
    t.add("norms", layers * (rank + dim))


def _v4_indexers(t: Tally, c: Values, times: int) -> None:
    hidden, heads, dim = c.size("hidden_size"), c.size("index_n_heads"), c.size("index_head_dim")
    keys = 2 * linear(hidden, 2 * dim) + SPARSE_RATE * 2 * dim
    t.add("attention", times * (keys + linear(c.size("q_lora_rank"), heads * dim) + linear(hidden, heads)))
    t.add("norms", times * dim)


def mimo_v2_flash(t: Tally, c: Values) -> None:
    """MiMo-V2-Flash: layers with a window have twice the KV heads and a sink a query head; values are narrower."""
    hidden, layers, heads = c.size("hidden_size"), c.layers(), c.size("num_attention_heads")
    dim, value, groups = c.size("head_dim"), c.size("v_head_dim"), c.size("num_key_value_heads")
    usual = [WINDOWED[0] if layer == 0 or (layer + 1) % 6 == 0 else WINDOWED[1] for layer in range(layers)]
    kinds = counted(c.kinds("layer_types", layers, usual), WINDOWED, "layer_types")
    c.ignore("sliding_window_size")  # how far a layer sees, not what it weighs
    bias = c.flag("attention_bias")
    t.add("embedding", c.size("vocab_size") * hidden)
    t.add("attention", layers * (linear(hidden, heads * dim, bias) + linear(heads * value, hidden)))
    t.add("attention", kinds[WINDOWED[1]] * heads)
    both = linear(hidden, groups * dim, bias) + linear(hidden, groups * value, bias)
    wide = linear(hidden, 2 * groups * dim, bias) + linear(hidden, 2 * groups * value, bias)
    t.add("kv_projections", kinds[WINDOWED[0]] * both + kinds[WINDOWED[1]] * wide)
    sparse, experts = by_kind(c, layers, 1), c.size("n_routed_experts")
    t.add("dense_ffn", (layers - sparse) * gated(hidden, c.size("intermediate_size")))
    each = gated(hidden, c.size("moe_intermediate_size"))
    routed(t, sparse, experts=experts, per_token=c.size("num_experts_per_tok"), each=each, router=hidden * experts)
    t.add("norms", (2 * layers + 1) * hidden)


def step3p5(t: Tally, c: Values) -> None:
    """Step-3.5-Flash, the text of Step-3.7: layers with a window have query heads of their own; a gate a head."""
    hidden, layers, dim = c.size("hidden_size"), c.layers(), c.size("head_dim")
    extra = c.size_or_none("num_nextn_predict_layers", 0) or 0  # files list those layers too, which are not built
    listed = c.get("layer_types", None)
    padded = isinstance(listed, list) and len(listed) == layers + extra
    kinds = c.kinds("layer_types", layers + extra if padded else layers, [WINDOWED[0]] * layers)[:layers]
    counts = counted(kinds, WINDOWED, "layer_types")
    if not c.flag_or("use_head_wise_attn_gate", True):
        raise NotByRule("use_head_wise_attn_gate is false: the rule does not follow it")
    bias, groups = c.flag("attention_bias"), c.size("num_key_value_heads")
    for kind, heads in zip(WINDOWED, (c.size("num_attention_heads"), _step_heads(c, groups, dim)), strict=True):
        maps = linear(hidden, heads * dim, bias) + linear(heads * dim, hidden, bias) + hidden * heads
        t.add("attention", counts[kind] * maps)
    t.add("kv_projections", layers * 2 * linear(hidden, groups * dim, bias))
    sparse, experts = _step_sparse(c, layers), c.size("n_routed_experts")
    t.add("dense_ffn", (layers - sparse) * gated(hidden, c.size("intermediate_size"), c.flag("mlp_bias")))
    t.add("shared_experts", sparse * gated(hidden, c.size("share_expert_dim"), c.flag("mlp_bias")))
    each = gated(hidden, c.size("moe_intermediate_size"))
    routed(t, sparse, experts=experts, per_token=c.size("num_experts_per_tok"), each=each, router=hidden * experts)
    t.add("norms", layers * (2 * hidden + 2 * dim) + hidden)
    t.add("embedding", c.size("vocab_size") * hidden)


def _step_heads(c: Values, groups: int, dim: int) -> int:
    """Query heads of a layer with a window."""
    other = c.get("attention_other_setting", None) or {}
    if not isinstance(other, Mapping):
        raise NotByRule("attention_other_setting is no object")
    if other.get("num_attention_groups", groups) != groups or other.get("head_dim", dim) != dim:
        raise NotByRule("attention_other_setting has key/value heads of its own")
    own = c.size_or_none("num_sliding_attention_heads")
    usual = other.get("num_attention_heads", c.size("num_attention_heads"))
    return c.whole(usual, "num_attention_heads") if own is None else own


def _step_sparse(c: Values, layers: int) -> int:
    """How many layers have experts: moe_layers_enum of published files, '3,4,...,44', counts from 0."""
    listed = c.get("moe_layers_enum", None)
    if c.get("mlp_layer_types", None) is not None or listed is None:
        return by_kind(c, layers, min(3, layers))
    words = listed.split(",") if isinstance(listed, str) else listed
    if not isinstance(words, list) or not all(str(word).strip().isdecimal() for word in words):
        raise NotByRule("moe_layers_enum lists no layers")
    return len({int(word) for word in words} & {*range(layers)})


BODIES: Mapping[str, Callable[[Tally, Values], None]] = {
    "deepseek_v4": deepseek_v4,
    "mimo_v2_flash": mimo_v2_flash,
    "step3p5": step3p5,
}
