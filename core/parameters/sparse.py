"""Decoders whose sparse layers score blocks of tokens with an index of their own: MiniMax-M3.

Read from transformers 5.24.0, models/minimax_m3_vl/modeling_minimax_m3_vl.py.
"""

from collections.abc import Callable, Mapping

from core.parameters.tally import Tally, gated, grouped, linear, routed
from core.parameters.values import NotByRule, Values, counted

SPARSE, FULL = "minimax_m3_sparse", "full_attention"
LEGACY_INDEX = {"index_n_heads": "sparse_num_index_heads", "index_head_dim": "sparse_index_dim"}


def minimax_m3_text(t: Tally, c: Values) -> None:
    """MiniMax-M3: G heads with norms of Q and K, an index on sparse layers, a shared expert beside the routed ones."""
    hidden, layers = c.size("hidden_size"), c.layers()
    old = c.get("sparse_attention_config", None) or {}
    if not isinstance(old, Mapping):
        raise NotByRule("sparse_attention_config is no object")
    kinds = counted(_kinds(c, "layer_types", old.get("sparse_attention_freq"), layers, FULL), (SPARSE, FULL), "layers")
    dense = counted(
        _kinds(c, "mlp_layer_types", c.get("moe_layer_freq", None), layers, "sparse"), ("dense", "sparse"), "mlp layers"
    )
    t.add("embedding", c.size("vocab_size") * hidden)
    grouped(t, c, layers, qk_norm="head")
    heads, width = (c.whole(old.get(key, c.get(name)), name) for name, key in LEGACY_INDEX.items())
    t.add("attention", kinds[SPARSE] * (linear(hidden, heads * width) + linear(hidden, width)))
    t.add("norms", kinds[SPARSE] * 2 * width + (2 * layers + 1) * hidden)
    t.add("dense_ffn", dense["dense"] * gated(hidden, c.size("dense_intermediate_size")))
    t.add("shared_experts", dense["sparse"] * gated(hidden, c.size("shared_intermediate_size")))
    experts, each = c.size("num_local_experts"), gated(hidden, c.size("intermediate_size"))
    per_token = c.size("num_experts_per_tok")
    routed(t, dense["sparse"], experts=experts, per_token=per_token, each=each, router=experts * hidden)


def _kinds(c: Values, name: str, flags: object, layers: int, usual: str) -> list[str]:
    """The list of words, else the older list of 0 and 1, else the usual word for every layer."""
    words = {"layer_types": (FULL, SPARSE), "mlp_layer_types": ("dense", "sparse")}[name]
    if c.get(name, None) is not None:
        return c.kinds(name, layers)
    if flags is None:
        return [usual] * layers
    if not isinstance(flags, list | tuple) or len(flags) != layers or any(flag not in (0, 1) for flag in flags):
        raise NotByRule(f"{c.path}{name}: the older list is none of {layers} zeros and ones")
    return [words[int(flag)] for flag in flags]


BODIES: Mapping[str, Callable[[Tally, Values], None]] = {"minimax_m3_vl_text": minimax_m3_text}
