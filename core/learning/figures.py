"""Every figure that a lesson's text shows: what it says, and how it was computed or where it was read.

The text holds {names}; this module alone gives them values. A value is computed here from core, or taken from
core/data/evidence.yaml; the few constants that come from a paper or a library's source say so.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

from core.evidence.studies import Dot, all_dots, range_text, signed
from core.hardware.accelerators import find_accelerator
from core.learning import arithmetic as sums
from core.learning.drills import config_questions
from core.learning.techniques.published import published
from core.learning.techniques.quantisation import stored_bits
from core.models.head_sharing import Layout
from core.serving.job import ServingJob
from core.serving.memory_plan import plan
from core.serving.model_shapes import LLAMA_2_13B, llama_shape
from core.serving.weights import analytic_count
from core.units import GB, GIB, MIB, format_binary, format_both, format_bytes

# Read in the sources that each line names; tests hold them against the evidence and the installed library.
MISTRAL_TRAINED_ON = 8_192  # tokens; Mistral 7B (arXiv 2310.06825), Table 1
TRANSFORMERS_VERSION = "5.24.0"
MISTRAL_DEFAULT = 8  # num_key_value_heads of transformers 5.24.0, MistralConfig
GEMMA3_DEFAULT = 4  # the same, Gemma3TextConfig
FALCON_PARAMETERS = 7 * 10**9  # the nominal size in the name; no exact count is needed for the argument
LLAMA3_HEADS = (32, 64, 128)  # Llama 3 (arXiv 2407.21783), Table 3
COST_OPTIMAL_CONTEXT = "128K"  # arXiv 2503.09579, abstract

LLAMA_2_70B = llama_shape(
    num_layers=80, num_query_heads=64, num_kv_heads=8, head_dim=128,
    hidden_size=8192, intermediate_size=28672, vocab_size=32000,
)  # fmt: skip
CAPSTONE = ServingJob(model=LLAMA_2_13B, batch_size=32, context_length=65_536)
CAPSTONE_CHOICES = ((1, 16), (2, 8), (4, 4))  # (G, KV bits); a test shows that these and no larger G fit
LLAMA_NODE = ServingJob(
    model=LLAMA_2_70B, batch_size=1, context_length=4_096,
    accelerator="a100-80-sxm", num_accelerators=8, tensor_parallel=8,
)  # fmt: skip
MQA_BATCH, MQA_CONTEXT, MQA_RANKS = 8, 4_096, 8
MISTRAL_WINDOW, MISTRAL_LONG, MISTRAL_PROMPT = 4_096, 32_768, 2_000
FALCON_CONTEXT = 2_048
EXPERTS_BATCH = 64
SHARE_CONTEXT, HAND_CONTEXT, HAND_BATCH = 4_096, 4_096, 16


@dataclass(frozen=True, kw_only=True)
class Figure:
    """text stands in the lesson; how is the arithmetic with its numbers, or the source."""

    text: str
    how: str


@cache
def figures() -> dict[str, Figure]:
    """Every figure by name."""
    groups = (
        _bottleneck(),
        _experts(),
        _formula(),
        _see(),
        _case_mqa(),
        _case_llama(),
        _case_mistral(),
        _case_falcon(),
        _pick(),
    )
    return {name: Figure(text=text, how=how) for group in groups for name, (text, how) in group.items()}


def texts() -> dict[str, str]:
    """What stands in the text, by name: for core.learning.lessons.fill."""
    return {name: figure.text for name, figure in figures().items()}


def milliseconds(seconds: float) -> str:
    """Two significant digits below 10 ms, else one decimal: '7.8 ms', '0.026 ms', '33.8 ms'."""
    value = 1000 * seconds
    return f"{value:.1f} ms" if value >= 1 else f"{value:.2g} ms"


Group = dict[str, tuple[str, str]]


def _bottleneck() -> Group:
    h100 = find_accelerator("h100-sxm")
    assert h100.ridge_flops_per_byte is not None
    one = sums.step_13b(40, 1, 1)
    params, weights = sums.PARAMETERS_13B, sums.BYTES_13B
    by_g = {g: sums.LAYOUT_13B.with_kv_heads(g).kv_bytes_per_token for g in (40, 8, 1)}
    parity = {g: sums.tokens_at_parity(weights, token) for g, token in by_g.items()}
    flop_seconds = one.weight_flops / (h100.bf16_dense_flops or 1)
    rate, speed = "989.4 TFLOP/s (dense BF16)", "3.35 TB/s"
    parts = analytic_count(LLAMA_2_13B).parts
    keys = parts["kv_projections"]
    return {
        "w13_bytes": (
            format_bytes(weights),
            f"{params:,} parameters × 2 bytes (Llama-2 13B's shape, its input embedding included)",
        ),
        "w13_ffn": _percent(parts["dense_ffn"], params, "40 layers × 3 × 5,120 × 13,824"),
        "w13_attention": _percent(parts["attention"] + keys, params, "40 layers × 4 × 5,120 × 5,120"),
        "w13_keys": _percent(keys, params, "40 layers × 2 × 5,120 × 5,120"),
        "h100_bandwidth": (speed, f"H100 SXM: {h100.sources.bandwidth}"),
        "w13_read_ms": (milliseconds(one.seconds_to_read(weights)), f"{format_bytes(weights, 2)} / {speed}"),
        "w13_flop_ms": (milliseconds(flop_seconds), f"2 × {params:,} FLOPs / {rate}"),
        "h100_ridge": (f"{h100.ridge_flops_per_byte:.0f}", f"{rate} / {speed}"),
        "share_context": (f"{SHARE_CONTEXT:,}", "chosen for the example"),
        "share_cache_mha": _tokens(by_g[40], SHARE_CONTEXT),
        "share_cache_g8": _tokens(by_g[8], SHARE_CONTEXT),
        "nstar_mha": (f"{parity[40]:,.0f}", f"{weights:,} B / {by_g[40]:,} B a token"),
        "nstar_g8": (f"{parity[8]:,.0f}", f"{weights:,} B / {by_g[8]:,} B a token"),
        "nstar_mqa": (f"{parity[1]:,.0f}", f"{weights:,} B / {by_g[1]:,} B a token"),
    }


def _percent(some: int, total: int, how: str) -> tuple[str, str]:
    return f"{100 * some / total:.0f} %", f"{how} = {some:,} of {total:,} parameters"


def _experts() -> Group:
    group = sums.EXPERTS_V3
    all_of, taken, batch = group.num_experts, group.experts_per_token, EXPERTS_BATCH
    one = f"{group.layers} layers × {group.parameters_each:,} B an expert"
    awake = sums.experts_woken(batch)
    routed = group.layers * all_of * group.parameters_each
    each = f"{group.layers} layers × {all_of} × {group.parameters_each:,}"
    return {
        "v3_in_experts": _percent(routed, sums.PARAMETERS_V3, each),
        "v3_experts": (f"{all_of}", "n_routed_experts of DeepSeek-V3's config.json"),
        "v3_taken": (f"{taken}", "num_experts_per_tok of DeepSeek-V3's config.json"),
        "v3_batch": (f"{batch}", "chosen for the example"),
        "v3_woken": (f"{awake:,.0f}", f"{all_of} × (1 - (1 - {taken} / {all_of})^{batch}), even routing"),
        "v3_read_alone": (format_bytes(sums.expert_bytes_read(1)), f"{taken} × {one}"),
        "v3_read_batch": (format_bytes(sums.expert_bytes_read(batch)), f"{awake:,.1f} × {one}"),
    }


def _formula() -> Group:
    token = sums.LAYOUT_13B.kv_bytes_per_token
    sequence = token * HAND_CONTEXT
    return {
        "kv13_product": ("2 × 40 × 40 × 128 × 2", "K and V × layers × KV heads × head_dim × bytes"),
        "kv13_token": (f"{token:,}", "2 × 40 × 40 × 128 × 2"),
        "kv13_token_kib": (format_binary(token, 0), f"{token:,} / 1,024"),
        "by_hand_context": (f"{HAND_CONTEXT:,}", "chosen for the example"),
        "kv13_sequence": _tokens(token, HAND_CONTEXT),
        "by_hand_batch": (f"{HAND_BATCH}", "chosen for the example"),
        "kv13_batch": (format_both(sequence * HAND_BATCH), f"{sequence:,} B × {HAND_BATCH}"),
        "kv70_token_kib": (format_binary(sums.LAYOUT_70B.kv_bytes_per_token, 0), "2 × 80 × 8 × 128 × 2 = 327,680 B"),
        "gqa8_range": (range_text(_dots(8)), _cited(_dots(8))),
    }


def _see() -> Group:
    latent = next(q for q in config_questions() if q.model == "DeepSeek-V3").config
    elements = latent["kv_lora_rank"] + latent["qk_rope_head_dim"]
    heads, width = latent["num_attention_heads"], latent["v_head_dim"]
    return {
        "head_layer_bytes": (f"{2 * 128 * 2}", "2 × 128 × 2 bytes"),
        "head70_kib": (format_binary(sums.LAYOUT_70B.with_kv_heads(1).kv_bytes_per_token, 0), "80 / 2"),
        "l70_kv": (f"{sums.LAYOUT_70B.num_kv_heads}", "num_key_value_heads"),
        "gib_over_gb": (f"{100 * (GIB / GB - 1):.0f} %", "2³⁰ / 10⁹ = 1.074"),
        "transformers_version": (TRANSFORMERS_VERSION, "the pinned library"),
        "mistral_default": (f"{MISTRAL_DEFAULT}", "class default in configuration_mistral.py"),
        "gemma3_default": (f"{GEMMA3_DEFAULT}", "class default in configuration_gemma3.py"),
        "dsv3_heads": (f"{latent['num_key_value_heads']}", "num_key_value_heads in its config.json"),
        "dsv3_elements": (f"{elements:,}", "kv_lora_rank 512 + qk_rope_head_dim 64"),
        "dsv3_width": (f"{width}", "v_head_dim in its config.json"),
        "dsv3_as_mha": (f"{2 * heads * width:,}", f"2 × {heads} × {width}"),
        "dsv3_factor": (f"{2 * heads * width / elements:.0f}", f"{2 * heads * width:,} / {elements}"),
    }


def _case_mqa() -> Group:
    g8, mqa = (sums.step_13b(g, MQA_BATCH, MQA_CONTEXT) for g in (8, 1))
    weights = format_bytes(g8.weight_bytes)
    both = f"({weights} + {format_bytes(g8.cache_bytes)}) / ({weights} + {format_bytes(mqa.cache_bytes)})"
    share = 100 * g8.cache_bytes / g8.weight_bytes
    return {
        "mqa_batch": (f"{MQA_BATCH}", "the situation"),
        "mqa_context": (f"{MQA_CONTEXT:,}", "the situation"),
        "mqa_factor": (f"{sums.LAYOUT_13B.num_query_heads}", "H / G = 40 / 1"),
        "mqa_g8_share": (f"{share:.0f} %", f"{format_bytes(g8.cache_bytes)} / {weights}"),
        "mqa_speedup": (f"{g8.read_seconds / mqa.read_seconds:.2f}", both),
        "mqa_tp": (f"{MQA_RANKS}", "one node of 8 GPUs"),
        "mqa_range": (range_text(_dots(1)), _cited(_dots(1))),
        "paging_gain": _paging_gain(),
        "cost_optimal_context": (COST_OPTIMAL_CONTEXT, "Cost-Optimal GQA, arXiv 2503.09579"),
    }


def _paging_gain() -> tuple[str, str]:
    use = published()["paged_use"]
    low, high = use["earlier_percent"]
    paged = use["paged_percent"]
    how = f"{paged} % / {high} % and {paged} % / {low} %: {use.source.citation}"
    return f"{paged / high:.1f} to {paged / low:.1f}", how


def _case_llama() -> Group:
    layout, ranks = sums.LAYOUT_70B, LLAMA_NODE.tensor_parallel
    head = layout.with_kv_heads(1).kv_bytes_per_token
    node = sums.node_bytes_per_token(layout, ranks)
    study = {study: {dot.variant: dot for dot in all_dots() if dot.study.id == study} for study in _STUDIES}
    found: Group = {
        "l70_layers": (f"{layout.num_layers}", "num_hidden_layers"),
        "l70_heads": (f"{layout.num_query_heads}", "num_attention_heads"),
        "l70_dim": (f"{layout.head_dim}", "hidden_size 8,192 / 64"),
        "l70_gpus": (f"{ranks}", "one node, Llama 2 paper, appendix A.2.1"),
        "l70_head_bytes": (f"{head:,}", "2 × 80 × 128 × 2"),
        "l70_node_bytes": (f"{node:,}", f"{head:,} × G × copies: 1 × 8 = 4 × 2 = 8 × 1"),
        "l70_context": (f"{LLAMA_NODE.context_length:,}", "max_position_embeddings"),
        "llama3_heads": ("32, 64 and 128", "Llama 3 (arXiv 2407.21783), Table 3"),
        "llama2_training": (study["llama2-30b"]["MQA"].study.training, _cited(study["llama2-30b"].values())),
        "dsv2_training": (study["deepseek-v2-7b"]["MQA"].study.training, _cited(study["deepseek-v2-7b"].values())),
    }
    for g, name in ((8, "l70_seq_g8"), (16, "l70_seq_g16"), (64, "l70_seq_mha")):
        found[name] = _node_sequences(g)
    for prefix, id in (("llama2", "llama2-30b"), ("t5", "t5-xxl"), ("dsv2", "deepseek-v2-7b")):
        for variant, name in (("GQA-8", f"{prefix}_gqa8"), ("MQA", f"{prefix}_mqa")):
            dot = study[id][variant]
            found[name] = (f"{signed(dot.change, 2)} points", _cited([dot]))
    gla, cla = ([dot for dot in _dots(4) if dot.study.id.startswith(prefix)] for prefix in ("gla-", "cla-"))
    found["gla_gqa4"] = (range_text(gla), _held(gla))
    found["cla_gqa4"] = (f"{signed(cla[0].change, 1)} %", _held(cla))
    return found


_STUDIES = ("llama2-30b", "t5-xxl", "deepseek-v2-7b")


def node_sequences(num_kv_heads: int) -> int:
    """4,096-token sequences that one 8 x A100 node holds beside Llama-2 70B's weights at that G."""
    made = plan(LLAMA_NODE.where(num_kv_heads=num_kv_heads, freed_parameters="spent"))
    return (made.budget_bytes - made.weight_bytes - made.runtime_bytes) // made.kv_reserved_bytes


def _node_sequences(num_kv_heads: int) -> tuple[str, str]:
    made = plan(LLAMA_NODE.where(num_kv_heads=num_kv_heads, freed_parameters="spent"))
    each = [format_bytes(part) for part in (made.budget_bytes, made.weight_bytes, made.runtime_bytes)]
    how = f"per GPU ({each[0]} − {each[1]} weights − {each[2]} reserve) / {made.kv_reserved_bytes:,} B a sequence"
    return f"{node_sequences(num_kv_heads)}", how


def _case_mistral() -> Group:
    layout = sums.LAYOUT_MISTRAL
    mha = layout.with_kv_heads(layout.num_query_heads)
    long_mha = mha.kv_bytes_per_token * MISTRAL_LONG
    both = layout.kv_bytes_per_token * MISTRAL_WINDOW
    return {
        "mi_layers": (f"{layout.num_layers}", "num_hidden_layers"),
        "mi_heads": (f"{layout.num_query_heads}", "num_attention_heads"),
        "mi_dim": (f"{layout.head_dim}", "hidden_size 4,096 / 32"),
        "mi_kv": (f"{layout.num_kv_heads}", "num_key_value_heads"),
        "mi_window": (f"{MISTRAL_WINDOW:,}", "sliding_window of v0.1"),
        "mi_prompt": (f"{MISTRAL_PROMPT:,}", "the situation"),
        "mi_token_mha": (format_binary(mha.kv_bytes_per_token, 0), "2 × 32 × 32 × 128 × 2 = 524,288 B"),
        "mi_token": (format_binary(layout.kv_bytes_per_token, 0), "2 × 32 × 8 × 128 × 2 = 131,072 B"),
        "mi_long": (f"{MISTRAL_LONG:,}", "32 × 1,024, the paper's example length"),
        "mi_long_mha": (format_binary(long_mha, 0), f"524,288 B × {MISTRAL_LONG:,}"),
        "mi_long_both": (format_binary(both, 0), f"131,072 B × {MISTRAL_WINDOW:,}"),
        "mi_long_factor": (f"{long_mha // both}", "4 by heads × 8 by the window"),
        "mi_span": (f"{MISTRAL_WINDOW * layout.num_layers:,}", "4,096 × 32"),
        "mi_trained": (f"{MISTRAL_TRAINED_ON:,}", "Mistral 7B (arXiv 2310.06825), Table 1"),
    }


def _case_falcon() -> Group:
    falcon, llama = sums.LAYOUT_FALCON_7B, sums.LAYOUT_LLAMA_7B
    own, peer = (layout.kv_bytes_per_token * FALCON_CONTEXT for layout in (falcon, llama))
    weights = 2 * FALCON_PARAMETERS
    kivi = published()["kivi"]
    coqa = {row["model"]: row["coqa"] for row in kivi["rows"]}
    saved = f"({format_bytes(peer)} − {format_bytes(own)}) / ({format_bytes(weights, 0)} + {format_bytes(peer)})"
    return {
        "fa_heads": (f"{falcon.num_query_heads}", "num_attention_heads"),
        "fa_dim": (f"{falcon.head_dim}", "hidden_size 4,544 / 71"),
        "fa_layers": (f"{falcon.num_layers}", "num_hidden_layers"),
        "fa_context": (f"{FALCON_CONTEXT:,}", "its training length"),
        "fa_factor": (f"{peer // own}", "524,288 B / 8,192 B a token"),
        "fa_cache": _tokens(falcon.kv_bytes_per_token, FALCON_CONTEXT),
        "llama7_cache": _tokens(llama.kv_bytes_per_token, FALCON_CONTEXT),
        "fa_weights": (format_bytes(weights, 0), "7 × 10⁹ parameters (nominal) × 2 bytes"),
        "fa_share": (f"{100 * (peer - own) / (weights + peer):.0f} %", saved),
        "fa_cross": (f"{weights / peer:.0f}", f"{format_bytes(weights, 0)} / {format_bytes(peer)}"),
        "f40_heads": ("128", "num_attention_heads of Falcon-40B"),
        **{name: (f"{coqa[model][bits]:.2f}", kivi.source.citation) for name, (model, bits) in _KIVI.items()},
    }


_KIVI = {
    "fa_coqa_16": ("Falcon-7B", 16),
    "fa_coqa_4": ("Falcon-7B", 4),
    "fa_coqa_2": ("Falcon-7B", 2),
    "l7_coqa_16": ("Llama-2-7B", 16),
    "l7_coqa_2": ("Llama-2-7B", 2),
}


def _pick() -> Group:
    job, layers, dim = CAPSTONE, 40, 128
    device, tokens = job.device, job.batch_size * job.context_length
    head = Layout(num_query_heads=40, num_kv_heads=1, head_dim=dim, num_layers=layers).kv_bytes_per_token
    fits = ", ".join(f"G = {g} in {bits} bits" for g, bits in CAPSTONE_CHOICES[:-1])
    last_g, last_bits = CAPSTONE_CHOICES[-1]
    memory = device.memory_bytes or 0
    return {
        "pk_context": (f"{job.context_length:,}", "64 × 1,024"),
        "pk_batch": (f"{job.batch_size}", "the job"),
        "pk_layers": (f"{layers}", "Llama-2 13B's shape"),
        "pk_heads": ("40", "Llama-2 13B's shape"),
        "pk_dim": (f"{dim}", "Llama-2 13B's shape"),
        "pk_memory": (f"{memory / MIB:,.0f} MiB = {memory / GB:.1f} GB", f"{device.sources.memory_reported}"),
        "pk_utilization": (f"{100 * job.memory_utilization:.0f} %", "vLLM's default, gpu_memory_utilization 0.9"),
        "pk_reserve": (format_bytes(job.runtime_reserve_bytes, 0), "an assumption of the sizing page"),
        "pk_head_token": (f"{head:,}", f"2 × {layers} × {dim} × 2"),
        "pk_tokens": (f"{tokens:,}", f"{job.batch_size} × {job.context_length:,}"),
        "pk_head_bytes": (f"{head * tokens / GIB:.0f} GiB", f"{head:,} B × {tokens:,}"),
        "pk_fits": (f"{fits} and G = {last_g} in {last_bits} bits", "each is 40 GiB; see the grid"),
        "pk_left": _left_for_the_cache(),
        **{name: _with_scales(group) for name, group in (("pk_group_fits", 64), ("pk_group_fails", 32))},
    }


def _left_for_the_cache() -> tuple[str, str]:
    made = plan(CAPSTONE.where(freed_parameters="spent"))
    left = made.budget_bytes - sums.BYTES_13B - made.runtime_bytes
    parts = [format_bytes(part) for part in (made.budget_bytes, sums.BYTES_13B, made.runtime_bytes)]
    return format_bytes(left), f"{parts[0]} − {parts[1]} − {parts[2]}"


def _with_scales(group: int) -> tuple[str, str]:
    """What four bits take at G = 4 with scales and zero points for groups of that size."""
    bits = stored_bits(4, group)
    tokens = CAPSTONE.batch_size * CAPSTONE.context_length
    taken = sums.LAYOUT_13B.with_kv_heads(4).kv_bytes_per_token * tokens * bits / 16
    return f"{group}", f"4 + 32 / {group} = {bits:g} bits an element: {format_bytes(taken)} for G = 4"


def _tokens(bytes_per_token: int, tokens: int) -> tuple[str, str]:
    return format_both(bytes_per_token * tokens), f"{bytes_per_token:,} B × {tokens:,} tokens"


def _dots(num_kv_heads: int) -> list[Dot]:
    return [dot for dot in all_dots() if dot.num_kv_heads == num_kv_heads]


def _held(dots: Iterable[Dot]) -> str:
    """The studies behind some dots, each with what it held fixed."""
    return "; ".join(f"{dot.study.label}: {dot.study.where}; {dot.study.how_held}" for dot in dots)


def _cited(dots: Iterable[Dot]) -> str:
    """The studies behind some dots, each once."""
    return "; ".join(dict.fromkeys(f"{dot.study.label}: {dot.study.where}" for dot in dots))
