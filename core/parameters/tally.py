"""The sum of a model's matrices, part by part, and the blocks that decoders are built from.

A Tally is a running sum by part. Each block adds what `times` layers of it weigh; shapes as torch holds them: a linear
map of i to o is i x o, and o more with a bias.
"""

from typing import Literal

from core.parameters.count import ExpertGroup
from core.parameters.values import Values

Bias = str | bool  # the name of a flag in the config, or what the class always does


class Tally:
    """Parameters by part; their sum is the model."""

    __slots__ = ("biases", "groups", "parts")

    def __init__(self) -> None:
        self.parts: dict[str, int] = {}
        self.biases: dict[str, int] = {}  # of a part's parameters those that are no matrix: no format narrows them
        self.groups: list[ExpertGroup] = []

    def add(self, part: str, parameters: int, *, biases: int = 0) -> None:
        self.parts[part] = self.parts.get(part, 0) + parameters
        if biases:
            self.biases[part] = self.biases.get(part, 0) + biases

    def total(self) -> int:
        return sum(self.parts.values())


def linear(inputs: int, outputs: int, bias: bool = False) -> int:
    return inputs * outputs + (outputs if bias else 0)


def gated(hidden: int, width: int, bias: bool = False) -> int:
    """Gate, up and down: SwiGLU and its kin. One matrix that holds gate and up weighs the same."""
    return 2 * linear(hidden, width, bias) + linear(width, hidden, bias)


def plain(hidden: int, width: int, bias: bool = False) -> int:
    """Up and down alone."""
    return linear(hidden, width, bias) + linear(width, hidden, bias)


def head_dim(c: Values) -> int:
    """head_dim where the file or the class says it; null or neither: hidden_size / heads."""
    value = c.get("head_dim", None)
    return c.size("hidden_size") // c.size("num_attention_heads") if value is None else c.whole(value, "head_dim")


def kv_heads(c: Values) -> int:
    value = c.get("num_key_value_heads", None)
    return c.size("num_attention_heads") if value is None else c.whole(value, "num_key_value_heads")


def grouped(
    t: Tally,
    c: Values,
    times: int,
    *,
    qkv: Bias = False,
    out: Bias = False,
    dim: int | None = None,
    heads: int | None = None,
    groups: int | None = None,
    query_copies: int = 1,
    qk_norm: Literal["head", "width", ""] = "",
    norm_vectors: int = 1,
) -> None:
    """Attention with G key/value heads: Q and output projection, K and V, and the norms of Q and K where it has some.

    qk_norm: over one head's width, shared by the heads, or over all heads together. query_copies is 2 where the query
    projection makes a gate of the same width too.
    """
    hidden = c.size("hidden_size")
    heads = c.size("num_attention_heads") if heads is None else heads
    groups = kv_heads(c) if groups is None else groups
    dim = head_dim(c) if dim is None else dim
    with_bias = c.flag(qkv)
    queries = linear(hidden, query_copies * heads * dim, with_bias) + linear(heads * dim, hidden, c.flag(out))
    biases = (query_copies * heads * dim if with_bias else 0) + (hidden if c.flag(out) else 0)
    t.add("attention", times * queries, biases=times * biases)
    keys = 2 * groups * dim
    t.add("kv_projections", times * linear(hidden, keys, with_bias), biases=times * keys if with_bias else 0)
    if qk_norm == "head":
        t.add("norms", times * 2 * norm_vectors * dim)
    elif qk_norm == "width":
        t.add("norms", times * norm_vectors * heads * dim)
        keys_norm = times * norm_vectors * groups * dim
        t.add("kv_projections", keys_norm, biases=keys_norm)


def latent(t: Tally, c: Values, times: int, bias: Bias = "attention_bias", query_rank: bool = True) -> None:
    """Multi-head latent attention as DeepSeek-V2 brought it (arXiv 2405.04434, section 2.1): queries through a rank or
    directly, keys and values through one latent with a rotary key beside it."""
    hidden, heads, rank = c.size("hidden_size"), c.size("num_attention_heads"), c.size("kv_lora_rank")
    nope, rope, value = c.size("qk_nope_head_dim", 0), c.size("qk_rope_head_dim", 0), c.get("v_head_dim")
    value = hidden // heads if value is None else c.whole(value, "v_head_dim")
    with_bias = c.flag(bias)
    c.ignore("head_dim", "qk_head_dim")
    query_lora = c.size("q_lora_rank") if query_rank else c.size_or_none("q_lora_rank")
    if query_lora is None:
        queries = linear(hidden, heads * (nope + rope))
    else:
        queries = linear(hidden, query_lora, with_bias) + linear(query_lora, heads * (nope + rope))
        t.add("norms", times * query_lora)
    keys = linear(hidden, rank + rope, with_bias) + linear(rank, heads * (nope + value))
    t.add("attention", times * (queries + keys + linear(heads * value, hidden, with_bias)))
    t.add("norms", times * rank)


def routed(
    t: Tally,
    times: int,
    *,
    experts: int,
    per_token: int,
    each: int,
    router: int,
) -> None:
    """`times` layers of experts, `each` parameters one, `per_token` of them taken by a token, and their router."""
    t.add("routed_experts", times * experts * each)
    t.add("routers", times * router)
    if times and experts:
        t.groups.append(
            ExpertGroup(
                layers=times, num_experts=experts, experts_per_token=min(per_token, experts), parameters_each=each
            )
        )
