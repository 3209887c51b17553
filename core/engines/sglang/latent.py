"""Rows of other kinds: a latent with or without an indexer's keys, and an index beside keys and values.

sglang/srt/model_executor/pool_configurator.py (DefaultPoolConfigurator) and configs/model_config.py of 0.5.23.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from core.engines.plan import EngineError
from core.engines.sglang import classes
from core.engines.sglang.fields import Served, whole
from core.engines.sglang.heads import either, head_dim, kv_heads
from core.engines.sglang.shapes import Row

SPARSE_PAGE = 64
POOLED_KEPT = (512, 2048)  # pooled keys that fast_topk_v2 chooses
POOLED_KEY_BYTES = 2
SCALED_BLOCK = 128  # latent elements that share one float32 scale in the indexer's fp8 rows


def has_latent(model: Served) -> bool:
    if model.architecture == "PixtralForConditionalGeneration":
        return model.text.get("kv_lora_rank") is not None
    return model.architecture == "DeepseekVL2ForCausalLM" and model.text.get("use_mla") is not False


def latent(model: Served, layers: Iterable[int]) -> dict[str, Any]:
    """The latent and rotary key of one token; with an indexer its keys (8 bits, one float32 scale to 128 of them)."""
    text = model.text
    rank, rope = text.integer("kv_lora_rank"), text.integer("qk_rope_head_dim", 0)
    if model.architecture in classes.BAILING_V3 and text.get("use_mla_nope"):
        rope = 0
    if model.architecture not in classes.SPARSE or either(model, "index_topk") is None:
        return {"row": Row(elements=rank + rope)}
    pool = whole("index_kpool", either(model, "index_kpool") or 1)
    width = whole("index_head_dim", either(model, "index_head_dim"))
    key = -(-(width + width // SCALED_BLOCK * 4) // pool)
    scaled = rank + rank // SCALED_BLOCK * 4 + 2 * rope
    types = ("auto", "bfloat16") if either(model, "learnable_sink") else ("auto", "bfloat16", "fp8_e4m3")
    return {
        "row": Row(elements=rank + rope, scaled=scaled),
        "index_bytes_of_a_layer": key,
        "index_bytes": key * sum(not _shares_index(model, layer) for layer in layers),
        "page": SPARSE_PAGE * pool,
        "fixed_page": True,
        "cache_types": types,
    }


def _shares_index(model: Served, layer: int) -> bool:
    """Whether a layer takes the choice of an earlier layer's indexer and so keeps no keys (dsa_layer_skips_topk)."""
    kinds = either(model, "indexer_types")
    if isinstance(kinds, list | tuple):
        return layer < len(kinds) and kinds[layer] == "shared"
    if kinds is None and model.top.model_type == "hy_v4":  # its class names them: the first, then every fourth
        return bool(layer and (layer - 1) % 4)
    factor = either(model, "cli_factor") or 1
    if whole("cli_factor", factor) > 1:
        return bool(layer % factor)
    pattern = either(model, "index_topk_pattern")
    if isinstance(pattern, str | list | tuple):
        return layer < len(pattern) and pattern[layer] == "S"
    every = whole("index_topk_freq", either(model, "index_topk_freq") or 1)
    offset = either(model, "index_skip_topk_offset")
    start = 1 if offset is None else whole("index_skip_topk_offset", offset) - 1
    return bool(max(layer - start, 0) % every)


def minimax_sparse(model: Served) -> dict[str, Any]:
    """Every layer's keys and values, and one index key (and value) a token in the sparse layers; pages of 128."""
    sparse = model.text.get("sparse_attention_config") or model.top.get("sparse_attention_config")
    flags = sparse.get("sparse_attention_freq") if isinstance(sparse, Mapping) else None
    if not isinstance(sparse, Mapping) or not isinstance(flags, list | tuple):
        raise EngineError(
            "sglang: sparse_attention_config with sparse_attention_freq is absent; SGLang stops without it."
        )
    alone = sparse.get("sparse_disable_index_value") or []
    keys = [layer for layer, flag in enumerate(flags) if flag]
    with_value = sum(not (layer < len(alone) and alone[layer]) for layer in keys)
    width = whole("sparse_index_dim", sparse.get("sparse_index_dim"))
    width_of_head = head_dim(model)
    return {
        "layers": len(flags),
        "row": Row(heads=kv_heads(model), elements=2 * width_of_head),
        "index_elements": (len(keys) + with_value) * width,
        "page": 128,
    }


def pooled_index(model: Served, layers: int) -> dict[str, Any]:
    """Qwen4Exp: beside keys and values one 16-bit index key for indexer_compress_ratio tokens, and pages of 64. The raw
    keys that wait to be pooled stand in a buffer of each request outside these pools, as the taps of its n-gram
    convolution do (layers/attention/qsa/config.py, mem_cache/qsa_kv_pool.py). Raises EngineError."""
    text = model.text
    if text.get("indexer_n_heads") is None:
        return {}
    pool, width, budget = (text.integer(f"indexer_{name}") for name in ("compress_ratio", "head_dim", "budget"))
    if budget // pool not in POOLED_KEPT:
        raise EngineError(
            f"sglang: indexer_budget {budget:,} over indexer_compress_ratio {pool} chooses {budget // pool:,} keys; "
            f"SGLang 0.5.23's kernel takes {' or '.join(f'{kept:,}' for kept in POOLED_KEPT)}. Correct the config.json."
        )
    key = width * POOLED_KEY_BYTES // pool
    return {"index_bytes": key * layers, "page": SPARSE_PAGE, "fixed_page": True}
