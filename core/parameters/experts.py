"""Decoders with experts: grouped or latent attention, a router, routed experts, and shared ones beside them.

Read from transformers 5.23.0, models/<type>/modeling_<type>.py. A correction bias of a router counts where the class
makes it a parameter, and not where it is a buffer.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Literal

from core.parameters.count import ExpertGroup
from core.parameters.tally import Bias, Tally, gated, grouped, head_dim, kv_heads, latent, linear, routed
from core.parameters.values import NotByRule, Values, counted

AB: Bias = "attention_bias"
KIND_OF_FFN = ("dense", "sparse")


def by_kind(c: Values, layers: int, default_dense: int) -> int:
    """How many layers have experts, from mlp_layer_types; the first default_dense have none where it is absent."""
    value = c.get("mlp_layer_types", None)
    if value is None:
        return max(layers - default_dense, 0)
    return counted(c.kinds("mlp_layer_types", layers), KIND_OF_FFN, "mlp_layer_types")["sparse"]


def first_dense(c: Values, layers: int) -> int:
    return max(layers - c.size("first_k_dense_replace", 0), 0)


def all_sparse(c: Values, layers: int) -> int:
    return layers


def by_step(c: Values, layers: int) -> int:
    """Every decoder_sparse_step-th layer that mlp_only_layers does not name."""
    step, dense = c.size("decoder_sparse_step"), set(c.numbers("mlp_only_layers"))
    if c.size("num_experts", 0) == 0:
        return 0
    return layers // step - sum(1 for layer in dense if 0 <= layer < layers and (layer + 1) % step == 0)


@dataclass(frozen=True, kw_only=True)
class Moe:
    """A type with experts. shared: the width of what every token goes through, by a function of the config."""

    qkv: Bias = False
    out: Bias = False
    qk_norm: Literal["head", "width", ""] = ""
    qk_norm_if: Bias = True
    is_latent: bool = False
    query_rank: bool = False  # MLA that always has a query rank
    sparse: Callable[[Values, int], int] = all_sparse
    experts: str = "num_experts"
    per_token: str = "num_experts_per_tok"
    width: str = "moe_intermediate_size"
    dense_width: str = "intermediate_size"
    ffn_bias: Bias = False
    shared: Callable[[Values], int] | None = None
    shared_gate: bool = False
    router_vectors: int = 0  # correction biases that are parameters
    norms: int = 2
    vectors: int = 1
    extra: Callable[[Tally, Values, int], None] | None = None


def moe_body(recipe: Moe, t: Tally, c: Values) -> None:
    """Embedding, layers and the last norm."""
    hidden, layers = c.size("hidden_size"), c.layers()
    t.add("embedding", c.size("vocab_size") * hidden)
    if recipe.is_latent:
        latent(t, c, layers, query_rank=recipe.query_rank)
    else:
        norm = recipe.qk_norm if c.flag(recipe.qk_norm_if) else ""
        grouped(t, c, layers, qkv=recipe.qkv, out=recipe.out, qk_norm=norm)
    sparse = recipe.sparse(c, layers)
    bias = c.flag(recipe.ffn_bias)
    if sparse < layers:
        t.add("dense_ffn", (layers - sparse) * gated(hidden, c.size(recipe.dense_width), bias))
    if sparse:
        _sparse_layers(recipe, t, c, sparse, bias)
    t.add("norms", (recipe.norms * layers + 1) * recipe.vectors * hidden)
    if recipe.extra is not None:
        recipe.extra(t, c, layers)


def _sparse_layers(recipe: Moe, t: Tally, c: Values, sparse: int, bias: bool) -> None:
    hidden, experts = c.size("hidden_size"), c.size(recipe.experts)
    each = gated(hidden, c.size(recipe.width))
    router = hidden * experts + recipe.router_vectors * experts
    routed(t, sparse, experts=experts, per_token=c.size(recipe.per_token), each=each, router=router)
    if recipe.shared is not None:
        width = recipe.shared(c)
        t.add("shared_experts", sparse * gated(hidden, width, bias) if width else 0)
    if recipe.shared_gate:
        t.add("shared_experts", sparse * hidden)


def shared_by_count(count: str) -> Callable[[Values], int]:
    """count shared experts as one of count times the width."""

    def width(c: Values) -> int:
        return c.size("moe_intermediate_size") * c.size(count)

    return width


def shared_by_width(name: str) -> Callable[[Values], int]:
    def width(c: Values) -> int:
        return c.size(name, 0)

    return width


def optional_shared(count: str, width_name: str = "moe_intermediate_size") -> Callable[[Values], int]:
    def width(c: Values) -> int:
        number = c.size(count, 0)
        return number * c.size(width_name) if number else 0

    return width


def _ernie_sparse(c: Values, layers: int) -> int:
    interval, first = c.size("moe_layer_interval"), c.size("moe_layer_start_index", 0)
    last = c.size("moe_layer_end_index", -1)
    last = layers - 1 if last == -1 else last
    return sum(1 for layer in range(first, min(last, layers - 1) + 1) if (layer + 1) % interval == 0)


def _llama4_sparse(c: Values, layers: int) -> int:
    step = c.size("interleave_moe_layer_step")
    return len({layer for layer in c.numbers("moe_layers", range(step - 1, layers, step)) if 0 <= layer < layers})


def _sinks_and_biases(t: Tally, c: Values, layers: int) -> None:
    """gpt-oss: a sink for each query head; biases in router and experts."""
    experts, hidden, width = c.size("num_local_experts"), c.size("hidden_size"), c.size("intermediate_size")
    sinks, biases = layers * c.size("num_attention_heads"), layers * experts * (2 * width + hidden)
    t.add("attention", sinks, biases=sinks)
    t.add("routers", layers * experts)
    t.add("routed_experts", biases, biases=biases)
    group = t.groups.pop()
    t.groups.append(
        type(group)(
            layers=layers,
            num_experts=experts,
            experts_per_token=group.experts_per_token,
            parameters_each=group.parameters_each + 2 * width + hidden,
        )
    )


def _olmoe_norms(t: Tally, c: Values, layers: int) -> None:
    """Of hidden width for Q, whatever head_dim is."""
    hidden, heads = c.size("hidden_size"), c.size("num_attention_heads")
    t.add("norms", layers * hidden)
    of_keys = layers * (hidden // heads) * kv_heads(c)
    t.add("kv_projections", of_keys, biases=of_keys)


def _sinks(t: Tally, c: Values, layers: int) -> None:
    t.add("attention", layers * c.size("num_attention_heads"))


def _granite_shared(t: Tally, c: Values, layers: int) -> None:
    width = c.size("shared_intermediate_size", 0)
    t.add("shared_experts", layers * gated(c.size("hidden_size"), width) if width else 0)


def _granite_swa(t: Tally, c: Values, layers: int) -> None:
    _sinks(t, c, layers)
    _granite_shared(t, c, layers)


def _indexers(t: Tally, c: Values, layers: int) -> None:
    """Sparse attention of DeepSeek-V3.2: which tokens to look at, by an index key a token."""
    hidden, heads, dim = c.size("hidden_size"), c.size("index_n_heads"), c.size("index_head_dim")
    each = linear(c.size("q_lora_rank"), heads * dim) + linear(hidden, dim) + linear(hidden, heads)
    t.add("attention", layers * each)
    t.add("norms", layers * 2 * dim)


def _glm_indexers(t: Tally, c: Values, layers: int) -> None:
    if any(c.has(name) for name in ("index_topk_pattern", "index_topk_freq", "index_skip_topk_offset")):
        raise NotByRule("indexers are shared between layers")
    _indexers(
        t, c, counted(c.kinds("indexer_types", layers, ["full"] * layers), ("full", "shared"), "indexer_types")["full"]
    )


def _axk1_norm(t: Tally, c: Values, layers: int) -> None:
    t.add("norms", _axk1_sparse(c, layers) * c.size("hidden_size"))


def _axk1_sparse(c: Values, layers: int) -> int:
    if c.has("first_k_dense_replace") or c.has("moe_layer_freq"):
        first = c.whole(c.get("first_k_dense_replace", 1), "first_k_dense_replace", 0)
        step = c.whole(c.get("moe_layer_freq", 1), "moe_layer_freq")
        if c.get("mlp_layer_types", None) is None:
            return sum(1 for layer in range(first, layers) if layer % step == 0)
    return by_kind(c, layers, 1)


def _prefix_dense(c: Values, layers: int) -> int:
    first = c.whole(c.get("first_k_dense_replace", 0), "first_k_dense_replace", 0)
    return by_kind(c, layers, min(first, layers))


def _dsa_sparse(c: Values, layers: int) -> int:
    return by_kind(c, layers, min(c.size("first_k_dense_replace", 0), layers))


def _one_dense(c: Values, layers: int) -> int:
    return by_kind(c, layers, 1)


def _all_by_kind(c: Values, layers: int) -> int:
    return by_kind(c, layers, 0)


def longcat(t: Tally, c: Values) -> None:
    """LongCat-Flash: two attentions and two dense FFNs a layer, experts beside them, and zero-compute experts that
    have gate and up but no down."""
    hidden, layers, width = c.size("hidden_size"), c.layers("num_layers"), c.size("expert_ffn_hidden_size")
    experts, zero = c.size("n_routed_experts"), c.size_or_none("zero_expert_num", 0) or 0
    t.add("embedding", c.size("vocab_size") * hidden)
    if c.size_or_none("qk_head_dim") not in (None, c.size("qk_nope_head_dim") + c.size("qk_rope_head_dim")):
        raise NotByRule("qk_head_dim is no sum of its parts")
    latent(t, c, 2 * layers, query_rank=True)
    t.add("dense_ffn", 2 * layers * gated(hidden, c.size("ffn_hidden_size")))
    router = linear(hidden, experts + zero, c.flag_or("router_bias", False))
    routed(t, layers, experts=experts, per_token=c.size("moe_topk"), each=gated(hidden, width), router=router)
    t.add("routed_experts", layers * zero * 2 * width * hidden)
    t.add("norms", (4 * layers + 1) * hidden)


def jetmoe(t: Tally, c: Values) -> None:
    """JetMoE: experts in the attention's query and output projections too."""
    hidden, layers, experts = c.size("hidden_size"), c.layers(), c.size("num_local_experts")
    heads = c.size("kv_channels") * c.size("num_key_value_heads")
    c.ignore("num_attention_heads")  # computed: key/value heads times the experts of a token
    t.add("embedding", c.size("vocab_size") * hidden)
    t.add("kv_projections", layers * 2 * hidden * heads)
    per_token, each = c.size("num_experts_per_tok"), gated(hidden, c.size("intermediate_size"))
    router = experts * hidden
    routed(t, layers, experts=experts, per_token=per_token, each=2 * heads * hidden, router=router)
    t.add("routed_experts", layers * (hidden + router))  # transformers' module of that name holds them
    t.add("routers", -layers * router)
    t.add("ffn_experts", layers * experts * each)
    t.groups.append(
        ExpertGroup(layers=layers, num_experts=experts, experts_per_token=min(per_token, experts), parameters_each=each)
    )
    t.add("routers", layers * router)
    t.add("other", layers * hidden)
    t.add("norms", (2 * layers + 1) * hidden)


def laguna(t: Tally, c: Values) -> None:
    """Laguna: query heads may differ by layer, each attention has a gate."""
    hidden, layers, dim = c.size("hidden_size"), c.layers(), head_dim(c)
    t.add("embedding", c.size("vocab_size") * hidden)
    heads = c.numbers("num_attention_heads_per_layer", [c.size("num_attention_heads")] * layers)
    if len(heads) != layers or min(heads) < 1:
        raise NotByRule("num_attention_heads_per_layer has another length")
    gating = c.get("gating")
    for number in sorted(set(heads)):
        times = heads.count(number)
        grouped(t, c, times, qkv=AB, out=AB, heads=c.whole(number, "num_attention_heads"), dim=dim, qk_norm="head")
        t.add("attention", times * hidden * number * (1 if gating is True or gating == "per-head" else dim))
    sparse = by_kind(c, layers, 1)
    t.add("dense_ffn", (layers - sparse) * gated(hidden, c.size("intermediate_size")))
    _sparse_layers(LAGUNA, t, c, sparse, False)
    t.add("norms", (2 * layers + 1) * hidden)


def hunyuan_moe(t: Tally, c: Values) -> None:
    if type(c.get("num_experts")) is not int or type(c.get("moe_topk")) is not int:
        raise NotByRule("experts differ by layer")
    moe_body(HUNYUAN_MOE, t, c)


def dbrx(t: Tally, c: Values) -> None:
    """DBRX: attention and experts under objects of their own."""
    hidden, heads, layers = c.size("d_model"), c.size("n_heads"), c.layers("n_layers")
    attention, ffn = c.nested("attn_config"), c.nested("ffn_config")
    dim, groups, experts = hidden // heads, attention.size("kv_n_heads"), ffn.size("moe_num_experts")
    t.add("embedding", c.size("vocab_size") * hidden)
    t.add("attention", layers * 2 * hidden * hidden)
    t.add("kv_projections", layers * 2 * groups * dim * hidden)
    each = 3 * ffn.size("ffn_hidden_size") * hidden
    routed(t, layers, experts=experts, per_token=ffn.size("moe_top_k"), each=each, router=experts * hidden)
    t.add("norms", (2 * layers + 1) * hidden)


LAGUNA = Moe(shared=shared_by_width("shared_expert_intermediate_size"), router_vectors=1)
HUNYUAN_MOE = Moe(
    qkv=AB,
    out=AB,
    qk_norm="head",
    width="intermediate_size",
    per_token="moe_topk",
    shared=shared_by_width("intermediate_size"),
)
LOCAL = Moe(experts="num_local_experts", width="intermediate_size")
DEEPSEEK_V3 = Moe(
    is_latent=True, sparse=first_dense, shared=shared_by_count("n_shared_experts"), experts="n_routed_experts"
)
GLM4V_MOE = Moe(qkv=AB, sparse=first_dense, shared=shared_by_count("n_shared_experts"), experts="n_routed_experts")
QWEN3_MOE = Moe(qkv=AB, out=AB, qk_norm="head", sparse=by_step)
RECIPES: Mapping[str, Moe] = {
    "mixtral": LOCAL,
    "minimax_m2": Moe(experts="num_local_experts", width="intermediate_size", qk_norm="width"),
    "phimoe": Moe(experts="num_local_experts", width="intermediate_size", qkv=AB, out=AB, vectors=2),
    "granitemoe": Moe(experts="num_local_experts", width="intermediate_size", qkv=AB, out=AB),
    "granitemoeshared": Moe(
        experts="num_local_experts", width="intermediate_size", qkv=AB, out=AB, extra=_granite_shared
    ),
    "granitemoe_swa": Moe(experts="num_local_experts", width="intermediate_size", qkv=AB, out=AB, extra=_granite_swa),
    "gpt_oss": Moe(experts="num_local_experts", width="intermediate_size", qkv=AB, out=AB, extra=_sinks_and_biases),
    "qwen2_moe": Moe(
        qkv="qkv_bias", sparse=by_step, shared=shared_by_width("shared_expert_intermediate_size"), shared_gate=True
    ),
    "qwen3_moe": QWEN3_MOE,
    "qwen3_vl_moe_text": QWEN3_MOE,
    "glm4v_moe_text": GLM4V_MOE,
    "mellum": Moe(qkv=AB, out=AB, qk_norm="head", sparse=_all_by_kind),
    "olmoe": Moe(qkv=AB, out=AB, width="intermediate_size", extra=_olmoe_norms),
    "flex_olmo": Moe(qkv=AB, out=AB, qk_norm="width", width="intermediate_size"),
    "deepseek_v3": DEEPSEEK_V3,
    "deepseek_v2": Moe(
        is_latent=True,
        sparse=first_dense,
        shared=shared_by_count("n_shared_experts"),
        ffn_bias="mlp_bias",
        experts="n_routed_experts",
    ),
    "deepseek_v32": Moe(
        is_latent=True,
        query_rank=True,
        sparse=_dsa_sparse,
        shared=shared_by_count("n_shared_experts"),
        extra=_indexers,
        experts="n_routed_experts",
    ),
    "glm_moe_dsa": Moe(
        is_latent=True,
        query_rank=True,
        sparse=_dsa_sparse,
        shared=shared_by_count("n_shared_experts"),
        extra=_glm_indexers,
        experts="n_routed_experts",
    ),
    "mistral4": DEEPSEEK_V3,
    "glm4_moe_lite": Moe(
        is_latent=True, sparse=_one_dense, shared=shared_by_count("n_shared_experts"), experts="n_routed_experts"
    ),
    "axk1": Moe(
        is_latent=True,
        query_rank=True,
        sparse=_axk1_sparse,
        shared=shared_by_count("n_shared_experts"),
        extra=_axk1_norm,
        experts="n_routed_experts",
    ),
    "dots1": Moe(
        qkv=AB,
        out=AB,
        qk_norm="head",
        sparse=first_dense,
        shared=shared_by_count("n_shared_experts"),
        experts="n_routed_experts",
    ),
    "glm4_moe": Moe(
        qkv=AB,
        qk_norm="head",
        qk_norm_if="use_qk_norm",
        sparse=first_dense,
        shared=shared_by_count("n_shared_experts"),
        experts="n_routed_experts",
    ),
    "solar_open": Moe(qkv=AB, shared=shared_by_count("n_shared_experts"), experts="n_routed_experts"),
    "hy_v3": Moe(
        qkv=AB,
        out=AB,
        qk_norm="head",
        ffn_bias="mlp_bias",
        sparse=_one_dense,
        shared=shared_by_count("num_shared_experts"),
    ),
    "exaone_moe": Moe(
        qk_norm="head",
        sparse=lambda c, n: by_kind(c, n, min(c.size("first_k_dense_replace", 0), n)),
        shared=shared_by_count("num_shared_experts"),
    ),
    "kolibri1": Moe(qk_norm="head", norms=4, shared=shared_by_width("shared_expert_intermediate_size")),
    "ernie4_5_moe": Moe(
        qkv="use_bias",
        out="use_bias",
        ffn_bias="use_bias",
        sparse=_ernie_sparse,
        experts="moe_num_experts",
        per_token="moe_k",
        shared=optional_shared("moe_num_shared_experts"),
        router_vectors=1,
    ),
    "llama4_text": Moe(
        qkv=AB,
        out=AB,
        sparse=_llama4_sparse,
        experts="num_local_experts",
        width="intermediate_size",
        dense_width="intermediate_size_mlp",
        shared=shared_by_width("intermediate_size"),
    ),
    "cohere2_moe": Moe(
        qkv=AB,
        out=AB,
        norms=1,
        sparse=_prefix_dense,
        width="intermediate_size",
        dense_width="prefix_dense_intermediate_size",
        shared=optional_shared("num_shared_experts", "intermediate_size"),
    ),
}
BODIES: Mapping[str, Callable[[Tally, Values], None]] = {
    **{model_type: partial(moe_body, recipe) for model_type, recipe in RECIPES.items()},
    "longcat_flash": longcat,
    "jetmoe": jetmoe,
    "laguna": laguna,
    "hunyuan_v1_moe": hunyuan_moe,
    "dbrx": dbrx,
}
