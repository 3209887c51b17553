"""Decoders of Kimi delta attention (KDA, arXiv 2510.26692) with MLA between: Kimi-Linear, Kimi-K3, GLM-5.3-Flash, Ling.

Read from transformers 5.23.0, models/<type>/modeling_<type>.py. Kimi-K3 nests a kimi_linear text part with keys that
transformers' class does not know; those follow the shapes of the files of moonshotai/Kimi-K3, revision 9f62e4e.
"""

from collections.abc import Callable, Mapping
from typing import Any

from core.parameters.experts import by_kind
from core.parameters.recurrent import FULL, LINEAR, ends, short_convolution
from core.parameters.tally import Tally, gated, latent, linear, routed
from core.parameters.values import NotByRule, Values, counted

INDEXED = "indexed_attention"
ALSO_INDEXED = ("full_attention", "deepseek_sparse_attention")  # as published files name such layers


def kimi_linear(t: Tally, c: Values) -> None:
    """Kimi-Linear and the text of Kimi-K3: KDA with MLA between, and experts."""
    hidden, layers = c.size("hidden_size"), c.layers()
    given, kinds = _kda_config(c, layers)
    latent(t, c, kinds[FULL], query_rank=False)
    if c.flag_or("mla_use_output_gate", False):
        t.add("attention", kinds[FULL] * hidden * c.size("num_attention_heads") * c.size("v_head_dim"))
    t.add("recurrent", kinds[LINEAR] * _kda(c, given, hidden))
    first = c.whole(c.get("first_k_dense_replace", 1), "first_k_dense_replace", 0)
    _moe_with_shared(t, c, layers, min(first, layers))
    if c.get("attn_res_block_size", None) is not None:  # attention over earlier residuals: a query and a norm each
        t.add("other", (2 * layers + 1) * hidden)
        t.add("norms", (2 * layers + 1) * hidden)
    ends(t, c, layers)


def _kda(c: Values, given: Mapping[str, Any], hidden: int) -> int:
    """One layer: Q, K, V and output, two gates, a convolution, a rate and a bias of it, a norm."""
    if not isinstance(given, Mapping):
        raise NotByRule("linear_attn_config is no object")
    dim = c.whole(given.get("head_dim", c.get("linear_head_dim")), "linear_head_dim")
    heads = c.whole(given.get("num_heads", c.get("linear_num_heads")), "linear_num_heads")
    kernel = c.whole(given.get("short_conv_kernel_size", c.get("linear_conv_kernel_dim")), "linear_conv_kernel_dim")
    width = dim * heads
    low_rank = linear(hidden, dim) + linear(dim, width)
    gates = low_rank + (hidden * width if _full_rank(given) else low_rank)  # of what is forgotten, and of the output
    return 4 * hidden * width + gates + width + heads + hidden * heads + short_convolution(3 * width, kernel) + dim


def _full_rank(given: Mapping[str, Any]) -> bool:
    value = given.get("use_full_rank_gate", False)
    if not isinstance(value, bool):
        raise NotByRule("linear_attn_config.use_full_rank_gate is neither true nor false")
    return value


def _kda_config(c: Values, layers: int) -> tuple[Mapping[str, Any], Mapping[str, int]]:
    """linear_attn_config of a published file, and the kinds of layers, which it numbers from 1."""
    given = c.get("linear_attn_config", None) or {}
    if not isinstance(given, Mapping):
        raise NotByRule("linear_attn_config is no object")
    pattern = [FULL if layer and layer % 4 == 0 else LINEAR for layer in range(layers)]
    if c.get("layer_types", None) is None and "full_attn_layers" in given and "kda_layers" in given:
        full, other = given["full_attn_layers"], given["kda_layers"]
        if (
            not isinstance(full, list)
            or not isinstance(other, list)
            or sorted([*full, *other]) != [*range(1, layers + 1)]
        ):
            raise NotByRule("linear_attn_config does not number the layers from 1")
        pattern = [FULL if layer + 1 in full else LINEAR for layer in range(layers)]
    return given, counted(c.kinds("layer_types", layers, pattern), (LINEAR, FULL), "layer_types")


def _moe_with_shared(t: Tally, c: Values, layers: int, first: int, experts_key: str = "num_local_experts") -> None:
    """DeepSeek-V3's experts under Kimi-Linear's names; Kimi-K3's stand behind a narrower latent, down and up again."""
    hidden, sparse, experts = c.size("hidden_size"), by_kind(c, layers, first), c.size(experts_key)
    width, narrow = c.size("moe_intermediate_size"), c.size_or_none("routed_expert_hidden_size")
    t.add("dense_ffn", (layers - sparse) * gated(hidden, c.size("intermediate_size")))
    if narrow is not None:
        t.add("other", sparse * 2 * hidden * narrow)
        t.add("norms", sparse * narrow if c.flag_or("latent_moe_use_norm", False) else 0)
    per_token, each = c.size("num_experts_per_tok"), gated(hidden if narrow is None else narrow, width)
    routed(t, sparse, experts=experts, per_token=per_token, each=each, router=experts * hidden)
    t.add("shared_experts", sparse * gated(hidden, width * c.size("n_shared_experts")))


def bailing_hybrid(t: Tally, c: Values) -> None:
    """Ling/Ring 2.5: delta attention with gated MLA (queries without a rank) at the end of each group of layers."""
    hidden, layers, heads = c.size("hidden_size"), c.layers(), c.size("num_attention_heads")
    group = c.size("layer_group_size")
    pattern = [LINEAR if (layer + 1) % group else FULL for layer in range(layers)]
    kinds = counted(c.kinds("layer_types", layers, pattern), (LINEAR, FULL), "layer_types")
    nope, rope, rank = c.size("qk_nope_head_dim", 0), c.size("qk_rope_head_dim", 0), c.size("kv_lora_rank")
    value, bias = c.size("v_head_dim"), c.flag("attention_bias")
    maps = (
        linear(hidden, heads * (nope + rope)) + linear(hidden, rank + rope, bias) + linear(rank, heads * (nope + value))
    )
    t.add("attention", kinds[FULL] * (maps + linear(heads * value, hidden, bias) + hidden * heads))
    t.add("norms", kinds[FULL] * rank)
    c.ignore("qk_head_dim")
    dim = c.whole(c.get("linear_head_dim", c.get("head_dim")), "linear_head_dim")
    inner_heads = c.whole(c.get("linear_num_heads", heads), "linear_num_heads")
    kernel = c.whole(c.get("linear_conv_kernel_dim", c.get("short_conv_kernel_size")), "linear_conv_kernel_dim")
    width = dim * inner_heads
    convolution = short_convolution(3 * width, kernel)
    each = 6 * hidden * width + width + inner_heads + hidden * inner_heads + convolution + dim
    t.add("recurrent", kinds[LINEAR] * each)
    _moe_with_shared(t, c, layers, min(c.size("first_k_dense_replace", 0), layers))
    ends(t, c, layers)


def glm5_next_text(t: Tally, c: Values) -> None:
    """GLM-5.3-Flash: KDA with MLA between whose index scores pools of keys, streams around attention and experts."""
    hidden, layers = c.size("hidden_size"), c.layers()
    pattern = [LINEAR if layer % 4 != 3 else INDEXED for layer in range(layers)]
    listed = [INDEXED if kind in ALSO_INDEXED else kind for kind in c.kinds("layer_types", layers, pattern)]
    kinds = counted(listed, (LINEAR, INDEXED), "layer_types")
    if any(c.get(name, None) is not None for name in ("indexer_types", "index_topk_pattern", "index_topk_freq")):
        raise NotByRule("layers may share an index: the rule does not follow them")
    c.ignore("index_skip_topk_offset")
    latent(t, c, kinds[INDEXED], query_rank=True)
    t.add("attention", kinds[INDEXED] * _pooled_index(c, hidden))
    t.add("recurrent", kinds[LINEAR] * _kda(c, c.get("linear_attn_config", None) or {}, hidden))
    _moe_with_shared(t, c, layers, min(3, layers), "n_routed_experts")
    streams = c.size("hc_mult")
    mixing = (2 + streams) * streams
    t.add("other", 2 * layers * (mixing * streams * hidden + mixing + 3))
    ends(t, c, layers)


def _pooled_index(c: Values, hidden: int) -> int:
    """Queries of the index from the queries' rank, one key with a LayerNorm, a weight a head, what pools the keys."""
    heads, width = c.size("index_n_heads"), c.size("index_head_dim")
    pooling = c.size("index_kpool") * width + width * hidden
    return linear(c.size("q_lora_rank"), heads * width) + linear(hidden, width) + 2 * width + hidden * heads + pooling


BODIES: Mapping[str, Callable[[Tally, Values], None]] = {
    "kimi_linear": kimi_linear,
    "bailing_hybrid": bailing_hybrid,
    "glm5_next_text": glm5_next_text,
}
