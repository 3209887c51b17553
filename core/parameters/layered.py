"""Decoders whose layers differ: Gemma 3n and Gemma 4.

Read from transformers 5.23.0, models/<type>/modeling_<type>.py.
"""

from collections import Counter
from collections.abc import Callable, Mapping

from core.parameters.tally import Tally, gated, head_dim, kv_heads, linear, routed
from core.parameters.values import NotByRule, Values, counted


def _attention(t: Tally, c: Values, times: int, dim: int, groups: int, kv_matrices: int) -> None:
    """Attention with head-wide norms of Q and K; kv_matrices is 2, 1 where V is K, 0 where another layer's are used."""
    hidden, heads, bias = c.size("hidden_size"), c.size("num_attention_heads"), c.flag("attention_bias")
    t.add("attention", times * (linear(hidden, heads * dim, bias) + linear(heads * dim, hidden, bias)))
    t.add("kv_projections", times * kv_matrices * linear(hidden, groups * dim, bias))
    t.add("norms", times * (2 if kv_matrices else 1) * dim)


def _per_layer_inputs(t: Tally, c: Values, layers: int, narrow: int) -> None:
    """A second embedding table with a row for every layer, and what feeds it into the layers."""
    hidden = c.size("hidden_size")
    t.add("per_layer_embeddings", c.size("vocab_size_per_layer_input") * layers * narrow)
    t.add("other", hidden * layers * narrow + layers * 2 * hidden * narrow)
    t.add("norms", narrow + layers * hidden)


def gemma3n_text(t: Tally, c: Values) -> None:
    """Gemma 3n: AltUp, LAuReL, per-layer inputs; the last layers use the keys and values of earlier ones."""
    hidden, layers, narrow = c.size("hidden_size"), c.layers(), c.size("hidden_size_per_layer_input")
    shared = c.size("num_kv_shared_layers", 0)
    if shared >= layers:
        raise NotByRule("num_kv_shared_layers leaves no layer of its own")
    t.add("embedding", c.size("vocab_size") * hidden)
    for times, matrices in ((layers - shared, 2), (shared, 0)):
        _attention(t, c, times, head_dim(c), kv_heads(c), matrices)
    width = c.get("intermediate_size")
    widths = [width] * layers if type(width) is int else c.numbers("intermediate_size")
    if len(widths) != layers:
        raise NotByRule("intermediate_size has another length")
    t.add("dense_ffn", 3 * hidden * sum(c.whole(value, "intermediate_size") for value in widths))
    inputs = c.size("altup_num_inputs")
    altup = hidden + inputs * inputs + inputs * inputs**2 + hidden * inputs
    laurel = 2 * hidden * c.size("laurel_rank")
    t.add("other", layers * (altup + laurel) + 2 * (inputs - 1) * hidden * hidden)
    t.add("norms", layers * 6 * hidden + hidden)  # four of the layer, one each of AltUp and LAuReL
    _per_layer_inputs(t, c, layers, narrow)


def gemma4_text(t: Tally, c: Values) -> None:
    """Gemma 4: full layers have heads of another width; the last layers may use earlier keys and values."""
    hidden, layers = c.size("hidden_size"), c.layers()
    pattern = ["sliding_attention" if (layer + 1) % 6 else "full_attention" for layer in range(layers)]
    kinds = c.kinds("layer_types", layers, pattern)
    kinds[-1] = "full_attention"
    shared = c.size("num_kv_shared_layers", 0)
    if shared >= layers:
        raise NotByRule("num_kv_shared_layers leaves no layer of its own")
    counted(kinds, ("sliding_attention", "full_attention"), "layer_types")
    t.add("embedding", c.size("vocab_size") * hidden)
    one_matrix = c.flag("attention_k_eq_v")
    shapes = Counter(
        (
            dim,
            groups,
            0 if layer >= layers - shared else 1 if one_matrix and kinds[layer] == "full_attention" else 2,
        )
        for layer, (dim, groups) in enumerate(_gemma4_heads(c, kinds, one_matrix))
    )
    for (dim, groups, kv_matrices), times in shapes.items():
        _attention(t, c, times, dim, groups, kv_matrices)
    width = c.size("intermediate_size")
    wide = shared if c.flag_or("use_double_wide_mlp", False) else 0
    t.add("dense_ffn", (layers - wide) * gated(hidden, width) + wide * gated(hidden, 2 * width))
    t.add("norms", (4 * layers + 1) * hidden)
    narrow = c.size_or_none("hidden_size_per_layer_input", 0)
    if narrow:
        _per_layer_inputs(t, c, layers, narrow)
    if c.flag_or("enable_moe_block", False):
        _gemma4_experts(t, c, layers)


def gemma4_unified_text(t: Tally, c: Values) -> None:
    """Gemma 4 without per-layer inputs and experts."""
    c.ignore("hidden_size_per_layer_input", "enable_moe_block")
    gemma4_text(t, c)


def _gemma4_heads(c: Values, kinds: list[str], one_matrix: bool) -> list[tuple[int, int]]:
    """Head width and key/value heads of each layer: per_layer_config of a saved file, or the globals of full layers."""
    own = (head_dim(c), kv_heads(c))
    given = c.get("per_layer_config", None)
    if given is None:
        dim = c.whole(c.get("global_head_dim", 512), "global_head_dim")
        groups = c.get("num_global_key_value_heads", None) if one_matrix else None
        full = (dim, own[1] if groups is None else c.whole(groups, "num_global_key_value_heads"))
        return [full if kind == "full_attention" else own for kind in kinds]
    c.ignore("global_head_dim", "num_global_key_value_heads")
    if not isinstance(given, Mapping) or not all(isinstance(entry, Mapping) for entry in given.values()):
        raise NotByRule("per_layer_config is no object of objects")
    if any(set(entry) - {"head_dim", "num_key_value_heads"} for entry in given.values()):
        raise NotByRule("per_layer_config sets more than heads")
    layers = {str(layer): entry for layer, entry in given.items()}
    return [
        (
            c.whole(layers.get(str(layer), {}).get("head_dim", own[0]), "head_dim"),
            c.whole(layers.get(str(layer), {}).get("num_key_value_heads", own[1]), "num_key_value_heads"),
        )
        for layer in range(len(kinds))
    ]


def _gemma4_experts(t: Tally, c: Values, layers: int) -> None:
    hidden, experts = c.size("hidden_size"), c.size("num_experts")
    each = gated(hidden, c.size("moe_intermediate_size"))
    router = hidden * experts + hidden + experts
    routed(t, layers, experts=experts, per_token=c.size("top_k_experts"), each=each, router=router)
    t.add("norms", 3 * layers * hidden)


BODIES: Mapping[str, Callable[[Tally, Values], None]] = {
    "gemma3n_text": gemma3n_text,
    "gemma4_text": gemma4_text,
    "gemma4_unified_text": gemma4_unified_text,
}
