"""Every figure in the text of the technique pages, the FAQ, the glossary and the quiz that is not a lesson's.

As in core.learning.figures, a value is computed from core or taken from published figures; none is typed in a text.
"""

from collections.abc import Mapping
from functools import cache
from types import MappingProxyType

from core.evidence.studies import published as evidence
from core.evidence.studies import signed
from core.learning import figures as lesson_figures
from core.learning import ideas, lessons
from core.learning.figures import Figure
from core.learning.techniques import latent, quantisation, server_pages
from core.learning.techniques.published import published
from core.models.attention import GroupedAttention
from core.models.head_sharing import Layout
from core.serving.model_shapes import LLAMA_2_13B
from core.serving.weights import analytic_count, kv_projection_parameters
from core.units import GB, format_binary, format_bytes, format_count
from core.uptraining import results as uptraining
from core.uptraining.conversion import METHODS
from core.uptraining.recipe import SCRATCH, Recipe

EVICT_TOKENS, EVICT_BUDGET = 8_192, 2_048
POOL_BYTES = 40 * GB
QUANT_GROUP = 32
MLA_RANKS = 8
NOW_SINCE, NOW_HYBRID = "2025", "Qwen3-Next 80B-A3B"
SPARSE, COMPRESSED, SPARSE_TOKENS = "DeepSeek-V3.2", "DeepSeek-V4-Flash", 32_768
RECORDED_PERCENT, LONG_PERCENT = 10, 40
SMALL_13B = Layout(num_query_heads=40, num_kv_heads=40, head_dim=128, num_layers=40)  # Llama-2-13B's shape


@cache
def figures() -> Mapping[str, Figure]:
    """Every figure by name: what it says, and how it came about."""
    groups = (_uptraining(), _paging(), _eviction(), _quantisation(), _latent(), _questions(), _now(), _sparse())
    return MappingProxyType(
        {name: Figure(text=text, how=how) for group in groups for name, (text, how) in group.items()}
    )


def filled(text: str) -> str:
    """text with every {placeholder} replaced, from here or from the lessons. Raises LessonError for an unknown one."""
    return lessons.fill(text, _texts())


@cache
def _texts() -> Mapping[str, str]:
    return {**lesson_figures.texts(), **{name: figure.text for name, figure in figures().items()}}


def _uptraining() -> dict[str, tuple[str, str]]:
    recipe = Recipe()
    runs = _recorded(RECORDED_PERCENT)
    points = uptraining.averaged(runs)
    at_one = {point.method: point.loss_after for point in points if point.num_kv_heads == 1}
    t5 = next(study for study in evidence().comparisons if study.id == "t5-xxl")
    change = {result.num_kv_heads: signed(t5.change(result), 1) for result in t5.results}
    after_long = {
        (point.method, point.num_kv_heads): point.loss_after for point in uptraining.averaged(_recorded(LONG_PERCENT))
    }
    best_long = {g: min(after_long[method, g] for method in METHODS) for g in recipe.kv_head_choices}
    similarity = sum(run.similarity for run in runs) / len(runs)
    recorded = f"mean of {len(runs)} recorded seeds at {RECORDED_PERCENT} % uptraining"
    return {
        "upt_layers": (str(recipe.num_layers), "core.uptraining.recipe"),
        "upt_heads": (str(recipe.num_query_heads), "core.uptraining.recipe"),
        "upt_head_dim": (str(recipe.head_dim), "core.uptraining.recipe"),
        "upt_pairs": (str(recipe.num_pairs), "core.uptraining.recipe"),
        "upt_attributes": (str(recipe.num_attributes), "core.uptraining.recipe"),
        "upt_steps": (str(recipe.train_steps), "core.uptraining.recipe"),
        "upt_percent": (str(recipe.uptrain_percent), "core.uptraining.recipe"),
        "upt_chance": (f"{runs[0].chance_loss:.2f}", f"ln({recipe.num_values})"),
        "upt_similarity": (f"{similarity:.2f}", recorded),
        "upt_scratch_1": (f"{at_one[SCRATCH]:.2f} nats", recorded),
        "upt_long": (str(LONG_PERCENT), "recorded runs"),
        **{f"upt_long_{g}": (f"{loss:.2f}", f"as recorded at {LONG_PERCENT} %") for g, loss in best_long.items()},
        "upt_paper_percent": ("5", "evidence: uptraining-cost"),
        "upt_chip_days": ("600", "evidence: uptraining-cost"),
        "upt_paper_mqa": (change[1].removeprefix("−"), "evidence: t5-xxl"),
        "upt_paper_gqa": (change[8].removeprefix("−"), "evidence: t5-xxl"),
    }


def _recorded(uptrain_percent: int) -> tuple[uptraining.Result, ...]:
    return tuple(run for run in uptraining.recorded() if run.recipe.uptrain_percent == uptrain_percent)


def _paging() -> dict[str, tuple[str, str]]:
    use = published()["paged_use"]
    low, high = use["earlier_percent"]
    mha, g8 = SMALL_13B.kv_bytes_per_token, SMALL_13B.with_kv_heads(8).kv_bytes_per_token
    return {
        "page_earlier": (f"{low} to {high} %", use.source.citation),
        "page_paged": (f"{use['paged_percent']} %", use.source.citation),
        "page_gpu_gb": (f"{POOL_BYTES // GB}", "an example: what a GPU has left after weights"),
        "page_mha_token": (format_binary(mha, 0), "2 × 40 layers × 40 heads × 128 × 2 bytes"),
        "page_g8_token": (format_binary(g8, 0), "2 × 40 layers × 8 heads × 128 × 2 bytes"),
        "page_mha_tokens": (f"{POOL_BYTES // mha:,}", f"{POOL_BYTES:,} / {mha:,}"),
        "page_g8_tokens": (f"{POOL_BYTES // g8:,}", f"{POOL_BYTES:,} / {g8:,}"),
        **_server_pages(),
    }


def _server_pages() -> dict[str, tuple[str, str]]:
    taken = server_pages.taken(server_pages.SHORT)
    how = f"{taken.plan.request_bytes:,} bytes of pages / {taken.payload_bytes:,} bytes of keys and values"
    return {
        "page_hybrid_model": (server_pages.MODEL, "a hybrid model of the registry"),
        "page_hybrid_engine": (taken.plan.version, "the rules that core.engines states"),
        "page_hybrid_tokens": (f"{server_pages.SHORT:,}", "an example: a short request"),
        "page_hybrid_times": (f"{taken.times:.3g}", how),
    }


def _eviction() -> dict[str, tuple[str, str]]:
    sinks, hitters, snap = published()["sinks"], published()["heavy_hitters"], published()["snapkv"]
    per_token = SMALL_13B.kv_bytes_per_token
    equal = SMALL_13B.num_kv_heads * EVICT_BUDGET // EVICT_TOKENS
    return {
        "evict_tokens": (f"{EVICT_TOKENS:,}", "an example"),
        "evict_budget": (f"{EVICT_BUDGET:,}", "an example"),
        "evict_full": (format_binary(per_token * EVICT_TOKENS, 2), f"{per_token:,} × {EVICT_TOKENS:,} bytes"),
        "evict_kept": (format_binary(per_token * EVICT_BUDGET, 2), f"{per_token:,} × {EVICT_BUDGET:,} bytes"),
        "evict_g_equal": (f"G = {equal} of {SMALL_13B.num_kv_heads}", f"40 × {EVICT_BUDGET:,} / {EVICT_TOKENS:,}"),
        "evict_cache": (f"{sinks['cache_tokens']:,}", sinks.source.citation),
        "evict_13b_window": (f"{sinks['llama2_13b_window_only']:,.0f}", sinks.source.citation),
        "evict_13b_sinks": ("4", sinks.source.citation),
        "evict_13b_restored": (f"{sinks['llama2_13b_four_sinks']:.2f}", sinks.source.citation),
        "evict_h2o_kept": (f"{hitters['kept_percent']}", hitters.source.citation),
        "evict_h2o_deepspeed": (f"{hitters['throughput_deepspeed']}", hitters.source.citation),
        "evict_h2o_flexgen": (f"{hitters['throughput_flexgen']}", hitters.source.citation),
        "evict_snap_speed": (f"{snap['speed_factor']}", snap.source.citation),
        "evict_snap_memory": (f"{snap['memory_factor']}", snap.source.citation),
    }


def _quantisation() -> dict[str, tuple[str, str]]:
    kivi = published()["kivi"]
    coqa = {row["model"]: {bits: f"{score:.2f}" for bits, score in row["coqa"].items()} for row in kivi["rows"]}
    bits = quantisation.stored_bits(4, QUANT_GROUP)
    where = kivi.source.citation
    return {
        "quant_group": (str(QUANT_GROUP), "an example"),
        "quant_bits": (f"{bits:g}", f"4 + 32 / {QUANT_GROUP}"),
        "quant_factor": (f"{16 / bits:g}", f"16 / {bits:g}"),
        "quant_naive": (f"{16 / 4:g}", "16 / 4"),
        "quant_13b_4": (coqa["Llama-2-13B"][4], where),
        "quant_13b_16": (coqa["Llama-2-13B"][16], where),
        "quant_mistral_4": (coqa["Mistral-7B"][4], where),
        "quant_mistral_16": (coqa["Mistral-7B"][16], where),
        "quant_falcon_16": (coqa["Falcon-7B"][16], where),
        "quant_falcon_2": (coqa["Falcon-7B"][2], where),
        "quant_7b_16": (coqa["Llama-2-7B"][16], where),
        "quant_7b_2": (coqa["Llama-2-7B"][2], where),
    }


def _latent() -> dict[str, tuple[str, str]]:
    layer, head_dim = latent.DEEPSEEK_V2, latent.DEEPSEEK_V2_HEAD_DIM
    table = published()["mla"]
    small_mha, small, large_mha, large = table["rows"]
    heads = layer.num_query_heads
    split = latent.shares(num_query_heads=heads, num_kv_heads=8, head_dim=head_dim, tensor_parallel=MLA_RANKS)
    g8 = next(share for share in split if share.kind == "GQA")
    return {
        "mla_latent": (str(layer.latent_dim), "DeepSeek-V2, kv_lora_rank"),
        "mla_rope": (str(layer.rope_dim), "DeepSeek-V2, qk_rope_head_dim"),
        "mla_elements": (str(latent.latent_elements()), f"{layer.latent_dim} + {layer.rope_dim}"),
        "mla_heads": (str(heads), "DeepSeek-V2, num_attention_heads"),
        "mla_head_dim": (str(head_dim), "DeepSeek-V2, qk_nope_head_dim"),
        "mla_mha": (f"{2 * heads * head_dim:,}", f"2 × {heads} × {head_dim}"),
        "mla_equal": (f"{latent.equivalent_kv_heads():g}", f"{latent.latent_elements()} / (2 × {head_dim})"),
        "mla_tp": (str(MLA_RANKS), "an example"),
        "mla_g8_rank": (f"{g8.elements:g}", f"2 × 8 × {head_dim} / {MLA_RANKS}"),
        "mla_small_mmlu": (f"{small['mmlu']:.1f}", table.source.citation),
        "mla_small_mmlu_mha": (f"{small_mha['mmlu']:.1f}", table.source.citation),
        "mla_small_ceval": (f"{small['ceval']:.1f}", table.source.citation),
        "mla_small_ceval_mha": (f"{small_mha['ceval']:.1f}", table.source.citation),
        "mla_small_share": (_share(small, small_mha), table.source.citation),
        "mla_large_share": (_share(large, large_mha), table.source.citation),
    }


def _questions() -> dict[str, tuple[str, str]]:
    """What the quiz and the FAQ show beside the lessons' figures."""
    llama8b = Layout(num_query_heads=32, num_kv_heads=8, head_dim=128, num_layers=32)
    runs = _recorded(RECORDED_PERCENT)
    half_h = runs[0].recipe.num_query_heads // 2
    points = {(point.method, point.num_kv_heads): point for point in uptraining.averaged(runs)}
    params = analytic_count(LLAMA_2_13B).total
    lost = kv_projection_parameters(LLAMA_2_13B) * 32 // 40  # G = 8 keeps 8 of 40 heads
    recorded = f"mean of {len(runs)} recorded seeds"
    return {
        "q_group": (f"{llama8b.group_size}", "32 / 8"),
        "q_llama8b": (format_binary(llama8b.kv_bytes_per_token, 0), "2 × 32 × 8 × 128 × 2 bytes"),
        "q_llama8b_half": (format_binary(llama8b.kv_bytes_per_token / 2, 0), "the same without values"),
        "q_llama8b_mha": (
            format_binary(llama8b.with_kv_heads(32).kv_bytes_per_token, 0),
            "2 × 32 × 32 × 128 × 2 bytes",
        ),
        "q_tp_mqa": ("one", "copies = ceil(TP / G), on each of 8 GPUs"),
        "q_upt_before": (f"{sum(run.checkpoint_loss for run in runs) / len(runs):.3f}", recorded),
        "q_upt_jump": (f"{points['mean', half_h].loss_before:.1f}", recorded),
        "faq_params": (format_count(lost), f"{params:,} − {params - lost:,}"),
        "faq_params_share": (f"{100 * lost / params:.0f} %", f"{lost:,} / {params:,}"),
    }


def _now() -> dict[str, tuple[str, str]]:
    """Where G stands among the registry's newer models."""
    recent = [spec for model, spec in ideas.registry() if (model.released or "") >= NOW_SINCE]
    stands = [ideas.standing(spec) for spec in recent]
    partial = [spec for spec in recent if any(layer.cached_elements(1) == 0 for layer in spec.layers)]
    hybrid = next(spec for model, spec in ideas.registry() if model.name == NOW_HYBRID)
    counted = f"the registry's models dated {NOW_SINCE} or later, read layer by layer"
    mha = sum(
        2 * layer.num_query_heads * (layer.head_dim + layer.value_dim)
        for layer in hybrid.layers
        if isinstance(layer, GroupedAttention)
    )
    return {
        "now_models": (f"{len(recent)}", counted),
        "now_since": (NOW_SINCE, "chosen"),
        "now_grouped": (f"{sum('grouped' in found for found in stands)}", counted),
        "now_latent": (f"{sum('latent' in found for found in stands)}", counted),
        "now_partial": (f"{len(partial)}", counted),
        "now_hybrid": (NOW_HYBRID, "a hybrid of the registry"),
        "now_hybrid_kept": (format_binary(hybrid.kv_bytes_per_token(), 0), "its layers that cache, 16 bits"),
        "now_hybrid_mha": (format_binary(mha, 0), "the same layers with a KV head for each query head"),
    }


def _sparse() -> dict[str, tuple[str, str]]:
    """What sparse attention keeps, and what a step reads of it."""
    specs = {model.name: spec for model, spec in ideas.registry()}
    sparse, compressed, tokens = specs[SPARSE], specs[COMPRESSED], SPARSE_TOKENS
    kept, latents = sparse.cache_bytes(context_length=tokens), sparse.kv_cache_bytes(context_length=tokens)
    read = sparse.cache_read_bytes(context_length=tokens)
    whole, window = compressed.cache_bytes(context_length=tokens), compressed.kv_cache_bytes(context_length=tokens)
    return {
        "sparse_model": (SPARSE, "a model of the registry with an indexer"),
        "sparse_tokens": (f"{tokens:,}", "chosen for the example"),
        "sparse_kept": (format_bytes(kept), "61 layers × (512 + 64 + 128) × 2 bytes a token"),
        "sparse_index": (f"{100 * (kept - latents) / kept:.0f} %", f"{kept - latents:,} / {kept:,} bytes"),
        "sparse_read": (format_bytes(read), "every index key, and the latents that index_topk names"),
        "sparse_side_model": (COMPRESSED, "a model of the registry with compressed entries"),
        "sparse_side_kept": (format_bytes(whole), "window, compressed entries and their index keys, 16 bits"),
        "sparse_side_share": (f"{100 * (whole - window) / whole:.0f} %", f"{whole - window:,} / {whole:,} bytes"),
    }


def _share(part: Mapping[str, float], whole: Mapping[str, float]) -> str:
    return f"{part['kv_elements_per_token'] / whole['kv_elements_per_token']:.0%}".replace("%", " %")
