"""Qwen4-Exp (Qwen3.8-Flash-Next): delta nets with indexed attention between, streams, and a hashed table of n-grams.

Read from transformers 5.24.0, models/qwen4_exp/modeling_qwen4_exp.py.
"""

from collections.abc import Callable, Mapping
from functools import lru_cache
from math import isqrt

from core.parameters.recurrent import FULL, LINEAR, delta_net, qwen_experts, short_convolution
from core.parameters.tally import Tally, grouped, linear
from core.parameters.values import NotByRule, Values, counted

INDEXED = "indexed_attention"
MOST_PRIMES, LARGEST_BASE = 256, 10**9  # beyond them the search for primes takes its time: the class is built


def qwen4_exp_text(t: Tally, c: Values) -> None:
    """Qwen4-Exp: every attention layer scores blocks of tokens with an index; each block reads hc_count streams."""
    hidden, layers = c.size("hidden_size"), c.layers()
    interval = c.whole(c.get("full_attention_interval", 4), "full_attention_interval")
    pattern = [LINEAR if (layer + 1) % interval else INDEXED for layer in range(layers)]
    listed = [INDEXED if kind == FULL else kind for kind in c.kinds("layer_types", layers, pattern)]
    kinds = counted(listed, (LINEAR, INDEXED), "layer_types")
    t.add("recurrent", kinds[LINEAR] * delta_net(c))
    grouped(t, c, kinds[INDEXED], qkv="attention_bias", out="attention_bias", query_copies=2, qk_norm="head")
    width = c.size("indexer_head_dim")
    t.add(
        "attention", kinds[INDEXED] * linear(hidden, (c.size("indexer_n_heads") + c.size("indexer_kv_heads")) * width)
    )
    t.add("norms", kinds[INDEXED] * 2 * width)
    qwen_experts(t, c, layers)
    _streams(t, c, layers)
    for index, layer in enumerate(sorted(set(c.numbers("ple_layer_ids")))):
        if not 1 <= layer <= layers:
            raise NotByRule("ple_layer_ids names a layer that the model does not have")
        _n_grams(t, c, index)
    t.add("embedding", c.size("vocab_size") * hidden)


def _streams(t: Tally, c: Values, layers: int) -> None:
    """Before attention and before the experts of each layer, and once at the end, hc_count streams become one."""
    hidden, streams, rank = c.size("hidden_size"), c.size("hc_count"), c.size("hc_lowrank")
    wide = streams * hidden
    t.add("norms", (2 * layers + 1) * wide)
    t.add("other", (2 * layers + 1) * 2 * wide * rank + 2 * layers * wide * streams)


def _n_grams(t: Tally, c: Values, index: int) -> None:
    """One layer's table of hashed n-grams, a prime number of rows a head, and what brings it into the streams."""
    hidden, wide = c.size("hidden_size"), c.size("hidden_size") * c.size("hc_count")
    embedded = c.size_or_none("ple_embed_dim") or hidden
    heads = (c.size("ngram_size", 2) - 1) * c.size("heads_per_ngram")
    base, multiple = c.size("ngram_vocab_size_base"), c.size("make_ngram_vocab_size_divisible_by")
    if (index + 1) * heads > MOST_PRIMES or base > LARGEST_BASE or embedded % heads:
        raise NotByRule(f"{c.path}ngram_vocab_size_base, heads_per_ngram: the rule does not follow them")
    rows = sum(_primes_from(base, (index + 1) * heads)[index * heads :])
    t.add("per_layer_embeddings", -(-rows // multiple) * multiple * (embedded // heads))
    maps = linear(embedded, wide) + linear(embedded, hidden)
    t.add("other", maps + short_convolution(wide, c.size("ple_conv_kernel_size")))
    t.add("norms", 3 * wide)


@lru_cache(maxsize=16)
def _primes_from(base: int, count: int) -> tuple[int, ...]:
    """The first `count` primes from base on."""
    found: list[int] = []
    number = max(base, 2)
    while len(found) < count:
        if number == 2 or (number % 2 and all(number % divisor for divisor in range(3, isqrt(number) + 1, 2))):
            found.append(number)
        number += 1
    return tuple(found)


BODIES: Mapping[str, Callable[[Tally, Values], None]] = {"qwen4_exp_text": qwen4_exp_text}
