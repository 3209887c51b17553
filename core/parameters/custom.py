"""Types that transformers does not ship: their repositories bring the code, which is never run here.

The rules follow that published code (modeling_chatglm.py of THUDM/chatglm3-6b, modeling_baichuan.py of
baichuan-inc/Baichuan-13B-Base, modeling_decilm.py of nvidia/Llama-3_3-Nemotron-Super-49B-v1). Kimi-K2 is DeepSeek-V3's
build under a name of its own. Every size has to stand in the file: no class is there to ask for a default.
"""

from collections.abc import Callable, Mapping
from math import ceil

from core.parameters.tally import Tally, gated, linear
from core.parameters.values import NotByRule, Values


def chatglm(t: Tally, c: Values) -> None:
    """ChatGLM 2 and 3: one matrix for Q, K and V with a bias, SwiGLU, RMS norms; 6,243,584,000 for ChatGLM3-6B."""
    hidden, layers = c.size("hidden_size"), c.layers("num_layers")
    heads, dim = c.size("num_attention_heads"), c.size("kv_channels")
    groups = c.size("multi_query_group_num") if c.flag("multi_query_attention") else heads
    bias = c.flag("add_bias_linear")
    qkv_bias = bias or c.flag("add_qkv_bias")
    t.add("embedding", c.size("padded_vocab_size") * hidden)
    t.add("attention", layers * (linear(hidden, heads * dim, qkv_bias) + linear(heads * dim, hidden, bias)))
    t.add("kv_projections", layers * 2 * linear(hidden, groups * dim, qkv_bias))
    t.add("dense_ffn", layers * gated(hidden, c.size("ffn_hidden_size"), bias))
    norm = hidden if c.flag("rmsnorm") else 2 * hidden
    t.add("norms", (2 * layers + (1 if c.flag("post_layer_norm") else 0)) * norm)


def baichuan(t: Tally, c: Values) -> None:
    """Baichuan: as many key/value heads as query heads, no biases; 13,264,901,120 for Baichuan-13B."""
    hidden, layers = c.size("hidden_size"), c.layers()
    t.add("embedding", c.size("vocab_size") * hidden)
    t.add("attention", layers * 2 * hidden * hidden)
    t.add("kv_projections", layers * 2 * hidden * hidden)
    t.add("dense_ffn", layers * gated(hidden, c.size("intermediate_size")))
    t.add("norms", (2 * layers + 1) * hidden)


def nemotron_nas(t: Tally, c: Values) -> None:
    """DeciLM as found by NAS: each layer says its own groups of heads and FFN width, or has none of either."""
    hidden, layers, heads = c.size("hidden_size"), c.layers(), c.size("num_attention_heads")
    blocks = c.get("block_configs")
    if not isinstance(blocks, list) or len(blocks) != layers:
        raise NotByRule(f"block_configs is no list of {layers} objects")
    t.add("embedding", c.size("vocab_size") * hidden)
    t.add("norms", hidden)
    for block in blocks:
        _attention(t, hidden, heads, _object(block, "attention"))
        _ffn(t, hidden, _object(block, "ffn"))


def _object(block: object, name: str) -> Mapping[str, object]:
    part = block.get(name) if isinstance(block, Mapping) else None
    if not isinstance(part, Mapping):
        raise NotByRule(f"block_configs says nothing of {name}")
    return part


def _attention(t: Tally, hidden: int, heads: int, part: Mapping[str, object]) -> None:
    if part.get("no_op"):
        return
    t.add("norms", hidden)
    if part.get("replace_with_linear"):
        t.add("attention", hidden * hidden)
        return
    shared = part.get("n_heads_in_group")
    if type(shared) is not int or shared < 1 or heads % shared:
        raise NotByRule("n_heads_in_group does not divide the heads")
    t.add("attention", 2 * hidden * hidden)
    t.add("kv_projections", 2 * hidden * (heads // shared) * (hidden // heads))


def _ffn(t: Tally, hidden: int, part: Mapping[str, object]) -> None:
    if part.get("no_op"):
        return
    t.add("norms", hidden)
    if part.get("replace_with_linear"):
        t.add("dense_ffn", hidden * hidden)
        return
    multiple = part.get("ffn_mult")
    if not isinstance(multiple, int | float) or isinstance(multiple, bool) or not 0 < multiple < 1000:
        raise NotByRule("ffn_mult is no number")
    t.add("dense_ffn", gated(hidden, 256 * ceil(int(2 * multiple * hidden / 3) / 256)))


BODIES: Mapping[str, Callable[[Tally, Values], None]] = {
    "chatglm": chatglm,
    "baichuan": baichuan,
    "nemotron-nas": nemotron_nas,
}
