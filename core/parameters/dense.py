"""Decoders of one plain shape: every layer is grouped attention and an FFN between norms.

One line a type. Each was read from transformers 5.23.0, models/<type>/modeling_<type>.py, and is held against the
class built on the meta device (tests/core/models/parameters).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Literal

from core.parameters.tally import Bias, Tally, gated, grouped, head_dim, kv_heads, latent, plain
from core.parameters.values import Values

AB: Bias = "attention_bias"


@dataclass(frozen=True, kw_only=True)
class Dense:
    """Biases by flag or by class; how queries and keys are normed; FFN; norms of hidden width a layer and their
    vectors (2 for a LayerNorm with bias, 0 for one without weights)."""

    qkv: Bias = False
    out: Bias = False
    qk_norm: Literal["head", "width", ""] = ""
    qk_norm_if: Bias = True
    ffn: Callable[[int, int, bool], int] = gated
    ffn_bias: Bias = False
    norms: int = 2
    vectors: int = 1
    head_dim_is_computed: bool = False
    extra: Callable[[Tally, Values, int], None] | None = None


def dense_body(recipe: Dense, t: Tally, c: Values) -> None:
    """Embedding, layers and the last norm."""
    hidden, layers = c.size("hidden_size"), c.layers()
    if recipe.head_dim_is_computed:
        c.ignore("head_dim")
    t.add("embedding", c.size("vocab_size") * hidden)
    grouped(
        t,
        c,
        layers,
        qkv=recipe.qkv,
        out=recipe.out,
        dim=hidden // c.size("num_attention_heads") if recipe.head_dim_is_computed else None,
        qk_norm=recipe.qk_norm if c.flag(recipe.qk_norm_if) else "",
    )
    t.add("dense_ffn", layers * recipe.ffn(hidden, c.size("intermediate_size"), c.flag(recipe.ffn_bias)))
    t.add("norms", (recipe.norms * layers + 1) * recipe.vectors * hidden)
    if recipe.extra is not None:
        recipe.extra(t, c, layers)


def _sinks(t: Tally, c: Values, layers: int) -> None:
    t.add("attention", layers * c.size("num_attention_heads"))


def _post_norms(t: Tally, c: Values, layers: int) -> None:
    t.add("norms", 2 * layers * c.size("hidden_size") if c.flag("use_post_norm") else 0)


def _phi_norms(t: Tally, c: Values, layers: int) -> None:
    width = c.size("hidden_size") // c.size("num_attention_heads")
    t.add("norms", 4 * layers * width if c.flag("qk_layernorm") else 0)


def _stablelm_norms(t: Tally, c: Values, layers: int) -> None:
    if not c.flag("use_parallel_residual"):
        t.add("norms", 2 * layers * c.size("hidden_size"))
    if c.flag("qk_layernorm"):  # one vector for each head
        width = c.size("hidden_size") // c.size("num_attention_heads")
        t.add("norms", layers * c.size("num_attention_heads") * width)
        of_keys = layers * kv_heads(c) * width
        t.add("kv_projections", of_keys, biases=of_keys)


def _bitnet_norms(t: Tally, c: Values, layers: int) -> None:
    t.add("norms", layers * (c.size("hidden_size") + c.size("intermediate_size")))


def _xielu(t: Tally, c: Values, layers: int) -> None:
    t.add("other", 2 * layers if c.get("hidden_act", "xielu") == "xielu" else 0)  # its two learned slopes


def _square_output(t: Tally, c: Values, layers: int) -> None:
    """The output projection is hidden x hidden whatever head_dim is."""
    hidden = c.size("hidden_size")
    t.add("attention", layers * (hidden - c.size("num_attention_heads") * head_dim(c)) * hidden)


def persimmon(t: Tally, c: Values) -> None:
    """One matrix for Q, K and V of all heads."""
    hidden, heads, layers = c.size("hidden_size"), c.size("num_attention_heads"), c.layers()
    t.add("embedding", c.size("vocab_size") * hidden)
    grouped(t, c, layers, qkv=True, out=True, dim=hidden // heads, groups=heads)
    t.add("norms", 4 * layers * (hidden // heads) if c.flag("qk_layernorm") else 0)
    t.add("dense_ffn", layers * plain(hidden, c.size("intermediate_size"), True))
    t.add("norms", 2 * (2 * layers + 1) * hidden)


def latent_dense(t: Tally, c: Values) -> None:
    """MiniCPM3 and Youtu: MLA with a gated FFN in every layer."""
    hidden, layers = c.size("hidden_size"), c.layers()
    t.add("embedding", c.size("vocab_size") * hidden)
    latent(t, c, layers, query_rank=False)
    bias = c.flag_or("mlp_bias", False)
    t.add("dense_ffn", layers * gated(hidden, c.size("intermediate_size"), bias))
    t.add("norms", (2 * layers + 1) * hidden)


LLAMA = Dense(qkv=AB, out=AB, ffn_bias="mlp_bias")
PLAIN = Dense()
GLM = Dense(qkv=AB)
OLMO2 = Dense(qkv=AB, out=AB, qk_norm="width")
GEMMA2 = Dense(qkv=AB, out=AB, norms=4)
RECIPES: Mapping[str, Dense] = {
    "llama": LLAMA,
    "internlm3": LLAMA,
    "iquestcoder": LLAMA,
    "granite": LLAMA,
    "smollm3": LLAMA,
    "mistral": PLAIN,
    "ministral": PLAIN,
    "ministral3": PLAIN,
    "phi3": PLAIN,
    "qwen2": Dense(qkv=True),
    "qwen2_vl_text": Dense(qkv=True, head_dim_is_computed=True),
    "qwen2_5_vl_text": Dense(qkv=True, head_dim_is_computed=True),
    "qwen3_vl_text": Dense(qkv=AB, out=AB, qk_norm="head"),
    "glm4v_text": Dense(qkv=True, norms=4, head_dim_is_computed=True),
    "qwen3": Dense(qkv=AB, out=AB, qk_norm="head"),
    "arcee": Dense(qkv=AB, out=AB, ffn=plain, ffn_bias="mlp_bias"),
    "cohere": Dense(qkv=AB, out=AB, qk_norm="width", qk_norm_if="use_qk_norm", norms=1),
    "cohere2": Dense(qkv=AB, out=AB, norms=1),
    "cwm": Dense(ffn_bias="mlp_bias"),
    "ernie4_5": Dense(qkv="use_bias", out="use_bias", ffn_bias="use_bias"),
    "exaone4": Dense(qk_norm="head"),
    "glm": GLM,
    "glm4": Dense(qkv=AB, norms=4),
    "granite_swa": Dense(qkv=AB, out=AB, ffn_bias="mlp_bias", extra=_sinks),
    "helium": Dense(qkv=AB, ffn_bias="mlp_bias", extra=_square_output),
    "hunyuan_v1_dense": Dense(qkv=AB, out=AB, qk_norm="head"),
    "hyperclovax": Dense(qkv=AB, out=AB, ffn_bias="mlp_bias", extra=_post_norms),
    "jais2": Dense(qkv=AB, out=AB, ffn=plain, ffn_bias="mlp_bias", vectors=2),
    "nanochat": Dense(qkv=AB, out=AB, ffn=plain, vectors=0),
    "nemotron": Dense(qkv=AB, out=AB, ffn=plain, ffn_bias="mlp_bias", vectors=2),
    "olmo": Dense(qkv=AB, out=AB, vectors=0),
    "olmo2": OLMO2,
    "olmo3": OLMO2,
    "phi": Dense(qkv=True, out=True, ffn=plain, ffn_bias=True, norms=1, vectors=2, extra=_phi_norms),
    "seed_oss": Dense(qkv=AB, out="attention_out_bias", ffn_bias="mlp_bias"),
    "stablelm": Dense(qkv="use_qkv_bias", norms=1, vectors=2, head_dim_is_computed=True, extra=_stablelm_norms),
    "starcoder2": Dense(qkv="use_bias", out="use_bias", ffn=plain, ffn_bias="use_bias", vectors=2),
    "gemma": Dense(qkv=AB, out=AB),
    "gemma2": GEMMA2,
    "vaultgemma": Dense(qkv=AB, out=AB),
    "gemma3_text": Dense(qkv=AB, out=AB, norms=4, qk_norm="head"),
    "apertus": Dense(qkv=AB, out=AB, qk_norm="head", ffn=plain, extra=_xielu),
    "bitnet": Dense(qkv=AB, out=AB, extra=_bitnet_norms),
}
BODIES: Mapping[str, Callable[[Tally, Values], None]] = {
    **{model_type: partial(dense_body, recipe) for model_type, recipe in RECIPES.items()},
    "persimmon": persimmon,
    "minicpm3": latent_dense,
    "youtu": latent_dense,
}
