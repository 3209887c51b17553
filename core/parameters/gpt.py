"""The older decoders: GPT-2 and its kin, OPT, BLOOM, MPT, Falcon and others, each with its own spelling.

Read from transformers 5.23.0, models/<type>/modeling_<type>.py. Their attention has as many key/value heads as query
heads unless said otherwise, and its matrices are hidden x hidden.
"""

from collections.abc import Callable, Mapping

from core.parameters.tally import Tally, linear, plain
from core.parameters.values import NotByRule, Values


def square_attention(t: Tally, hidden: int, times: int, bias: bool, out_bias: bool | None = None) -> None:
    """Q, K, V and output projection of hidden x hidden."""
    t.add(
        "attention",
        times * (linear(hidden, hidden, bias) + linear(hidden, hidden, bias if out_bias is None else out_bias)),
    )
    t.add("kv_projections", times * 2 * linear(hidden, hidden, bias))


def _inner(c: Values, hidden: int) -> int:
    return c.size_or_none("n_inner") or 4 * hidden


def gpt2(t: Tally, c: Values) -> None:
    hidden, layers = c.size("n_embd"), c.layers("n_layer")
    _embeddings(t, c, hidden, c.size("n_positions"))
    square_attention(t, hidden, layers, True)
    t.add("dense_ffn", layers * plain(hidden, _inner(c, hidden), True))
    t.add("norms", (2 * layers + 1) * 2 * hidden)
    if c.flag("add_cross_attention"):
        t.add("attention", layers * 4 * linear(hidden, hidden, True))
        t.add("norms", layers * 2 * hidden)


def gpt_bigcode(t: Tally, c: Values) -> None:
    """StarCoder: one key/value head where multi_query is true."""
    hidden, layers = c.size("n_embd"), c.layers("n_layer")
    _without_cross_attention(c)
    kv_width = hidden // c.size("n_head") if c.flag("multi_query") else hidden // c.size("n_head") * c.size("n_head")
    _embeddings(t, c, hidden, c.size("n_positions"))
    t.add("attention", layers * 2 * linear(hidden, hidden, True))
    t.add("kv_projections", layers * 2 * linear(hidden, kv_width, True))
    t.add("dense_ffn", layers * plain(hidden, _inner(c, hidden), True))
    t.add("norms", (2 * layers + 1) * 2 * hidden)


def gpt_neo(t: Tally, c: Values) -> None:
    hidden, layers = c.size("hidden_size"), c.layers("num_layers")
    c.ignore("attention_layers")  # computed from attention_types
    _embeddings(t, c, hidden, c.size("max_position_embeddings"))
    square_attention(t, hidden, layers, False, True)
    t.add("dense_ffn", layers * plain(hidden, c.size_or_none("intermediate_size") or 4 * hidden, True))
    t.add("norms", (2 * layers + 1) * 2 * hidden)


def gpt_neox(t: Tally, c: Values) -> None:
    hidden, layers = c.size("hidden_size"), c.layers()
    _embeddings(t, c, hidden)
    square_attention(t, hidden, layers, c.flag("attention_bias"))
    t.add("dense_ffn", layers * plain(hidden, c.size("intermediate_size"), True))
    t.add("norms", (2 * layers + 1) * 2 * hidden)


def gpt_neox_japanese(t: Tally, c: Values) -> None:
    """The last layer alone has a bias behind its attention."""
    hidden, layers = c.size("hidden_size"), c.layers()
    _embeddings(t, c, hidden)
    square_attention(t, hidden, layers, False)
    t.add("attention", hidden)
    t.add("dense_ffn", layers * plain(hidden, int(hidden * c.size("intermediate_multiple_size")), False))
    t.add("norms", (2 * layers + 1) * 2 * hidden)


def gptj(t: Tally, c: Values) -> None:
    """GPT-J and CodeGen: one norm a layer; FFN with biases, attention without."""
    hidden, layers = c.size("n_embd"), c.layers("n_layer")
    _embeddings(t, c, hidden)
    square_attention(t, hidden, layers, False)
    t.add("dense_ffn", layers * plain(hidden, _inner(c, hidden), True))
    t.add("norms", (layers + 1) * 2 * hidden)


def bloom(t: Tally, c: Values) -> None:
    hidden = c.size("n_embed") if c.get("n_embed", None) is not None else c.size("hidden_size")
    layers = c.layers("n_layer")
    _embeddings(t, c, hidden)
    square_attention(t, hidden, layers, True)
    t.add("dense_ffn", layers * plain(hidden, 4 * hidden, True))
    t.add("norms", (2 * layers + 2) * 2 * hidden)


def opt(t: Tally, c: Values) -> None:
    """OPT: embeddings may be narrower than the layers, with a projection in and out."""
    hidden, layers, bias = c.size("hidden_size"), c.layers(), c.flag("enable_bias")
    narrow = c.size_or_none("word_embed_proj_dim") or hidden
    t.add("embedding", c.size("vocab_size") * narrow)
    t.add("positions", (c.size("max_position_embeddings") + 2) * hidden)
    t.add("other", 2 * hidden * narrow if narrow != hidden else 0)
    square_attention(t, hidden, layers, bias)
    t.add("dense_ffn", layers * plain(hidden, c.size("ffn_dim"), bias))
    last = c.flag("do_layer_norm_before") and not c.flag_or("_remove_final_layer_norm", False)
    affine = c.flag_or("layer_norm_elementwise_affine", True)
    t.add("norms", (2 * layers + (1 if last else 0)) * 2 * hidden if affine else 0)


def mpt(t: Tally, c: Values) -> None:
    hidden, layers = c.size("d_model"), c.layers("n_layers")
    _embeddings(t, c, hidden)
    square_attention(t, hidden, layers, False)
    t.add("dense_ffn", layers * plain(hidden, 4 * hidden))
    t.add("norms", (2 * layers + 1) * hidden)


def falcon(t: Tally, c: Values) -> None:
    """Falcon: new_decoder_architecture takes num_kv_heads, multi_query one head, neither all of them."""
    hidden = c.size("n_embed") if c.get("n_embed", None) is not None else c.size("hidden_size")
    layers, heads, bias = c.layers(), c.size("num_attention_heads"), c.flag("bias")
    new = c.flag("new_decoder_architecture")
    dim = hidden // heads
    queries, groups_width = hidden, hidden
    if new:
        queries, groups_width = heads * dim, (c.size_or_none("num_kv_heads") or heads) * dim
    elif c.flag("multi_query"):
        groups_width = dim
    _embeddings(t, c, hidden)
    t.add("attention", layers * (linear(hidden, queries, bias) + linear(hidden, hidden, bias)))
    t.add("kv_projections", layers * 2 * linear(hidden, groups_width, bias))
    t.add("dense_ffn", layers * plain(hidden, c.size_or_none("ffn_hidden_size") or 4 * hidden, bias))
    in_parallel = c.size_or_none("num_ln_in_parallel_attn") or (2 if new else 1)
    norms = 2 if not c.flag("parallel_attn") or in_parallel == 2 else 1
    t.add("norms", (norms * layers + 1) * 2 * hidden)


def ctrl(t: Tally, c: Values) -> None:
    hidden, layers = c.size("n_embd"), c.layers("n_layer")
    _embeddings(t, c, hidden)
    square_attention(t, hidden, layers, True)
    t.add("dense_ffn", layers * plain(hidden, c.size("dff"), True))
    t.add("norms", (2 * layers + 1) * 2 * hidden)


def xglm(t: Tally, c: Values) -> None:
    hidden, layers = c.size("d_model"), c.layers("num_layers")
    _without_cross_attention(c)
    _embeddings(t, c, hidden)
    square_attention(t, hidden, layers, True)
    t.add("dense_ffn", layers * plain(hidden, c.size("ffn_dim"), True))
    t.add("norms", (2 * layers + 1) * 2 * hidden)


def biogpt(t: Tally, c: Values) -> None:
    hidden, layers = c.size("hidden_size"), c.layers()
    _embeddings(t, c, hidden, c.size("max_position_embeddings") + 2)
    square_attention(t, hidden, layers, True)
    t.add("dense_ffn", layers * plain(hidden, c.size("intermediate_size"), True))
    t.add("norms", (2 * layers + 1) * 2 * hidden)


def _embeddings(t: Tally, c: Values, hidden: int, positions: int = 0) -> None:
    t.add("embedding", c.size("vocab_size") * hidden)
    if positions:
        t.add("positions", positions * hidden)


def _without_cross_attention(c: Values) -> None:
    if c.flag_or("add_cross_attention", False):
        raise NotByRule("add_cross_attention is true")


BODIES: Mapping[str, Callable[[Tally, Values], None]] = {
    "gpt2": gpt2,
    "gpt_bigcode": gpt_bigcode,
    "gpt_neo": gpt_neo,
    "gpt_neox": gpt_neox,
    "gpt_neox_japanese": gpt_neox_japanese,
    "gptj": gptj,
    "codegen": gptj,
    "bloom": bloom,
    "opt": opt,
    "mpt": mpt,
    "falcon": falcon,
    "ctrl": ctrl,
    "xglm": xglm,
    "biogpt": biogpt,
}
