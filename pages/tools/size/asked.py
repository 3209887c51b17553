"""What the page was asked, as a table for a report: what differs from the page's defaults first, the rest after it."""

from typing import Any

import streamlit as st

from core.reports.exports import Table
from core.serving.engine_words import NAMES
from pages.tools.size.inputs import CUSTOM, OF_AN_OWN_ACCELERATOR
from pages.tools.size.model import HEADLINE, OWN_SHAPE
from pages.tools.size.speed_aids import LINKS, METHODS, NOBODY
from pages.tools.size.stored import AS_PUBLISHED

# key, what it is called, and the value that the page opens on
FIRST = (
    ("size_model", "Model", HEADLINE),
    ("size_accelerator", "Accelerator", "H100 SXM5 80 GB"),
    ("size_engine", "Engine", next(iter(NAMES.values()))),
)
SERVE = (("size_serve_context", "Tokens of a request", 32_768),)
CHOOSE = (
    ("size_batch", "Batch", 32),
    ("size_context", "Context, tokens", 65_536),
    ("size_g", "G to look at", "Largest that fits"),
    ("size_wish", "G to make fit", "8"),
    ("size_freed", "K and V weights that a smaller G frees", "dropped"),
    ("size_windows", "Sliding windows", "The model's own"),
)
BOTH = (
    ("size_kv_bits", "KV cache, bits", 16),
    ("size_weight_bits", "Weights, bits", 16),
    ("size_weight_format", "Weights stored as", AS_PUBLISHED),
    ("size_parameters", "Parameters, 0 to count", 0),
    ("size_price", "Price per GPU-hour", 2.5),
    ("size_count", "Accelerators", 1),
    ("size_tp", "Tensor parallel", 1),
    ("size_pp", "Pipeline parallel", 1),
    ("size_dp", "Data parallel", 1),
    ("size_ep", "Expert parallel", False),
    ("size_utilisation", "Memory utilisation", 0.9),
    ("size_reserve", "Runtime reserve, GB", 2.0),
    ("size_block", "Block, tokens", 16),
    ("size_chunk", "Prefill chunk, tokens", 8_192),
    ("size_scale_bits", "Bits per scale", 0),
    ("size_scale_elements", "Elements per scale", 64),
    ("size_draft", "Draft model", NOBODY),
    ("size_draft_method", "Draft method", next(iter(METHODS))),
    ("size_draft_tokens", "Draft tokens per step", 3),
    ("size_prefix", "Shared prefix, tokens", 0),
    ("size_offload", "Cache offload, GB", 0.0),
    ("size_link", "Offload over", list(LINKS)[1]),
    ("size_left", "Measured for the cache, GiB (0: computed)", 0.0),
)
OF_A_SHAPE = (
    ("size_layers", "Layers", 40), ("size_heads", "Query heads H", 40), ("size_head_dim", "head_dim", 128),
    ("size_hidden", "Hidden size", 5120), ("size_ffn", "FFN width", 13_824), ("size_vocab", "Vocabulary", 32_000),
    ("size_tied", "Input and output embeddings are one matrix", False),
)  # fmt: skip
OF_ITS_OWN = (
    ("size_own_mib", "Memory that it reports, MiB"), ("size_own_bandwidth", "Bandwidth, GB/s"),
    ("size_own_flops", "Dense BF16, TFLOP/s"),
)  # fmt: skip
OF_WINDOWS = (
    ("size_global", "Global layers", 10), ("size_local", "Local layers", 30), ("size_window", "Window, tokens", 4_096),
)  # fmt: skip
OF_TRAFFIC = (
    ("size_traffic", "Context lengths", "Log-normal"), ("size_mean", "Mean context at the end, tokens", 16_384),
    ("size_p95", "95th percentile, tokens", 40_000), ("size_share", "Share of it that is generated", 0.25),
)  # fmt: skip
OF_ENGINES = {
    "_vllm_batched": ("Tokens batched at most", 2_048), "_vllm_type": ("Cache type", "by the bits"),
    "_vllm_prefix": ("Prefix caching", True), "_sg_most": ("Running requests at most, 0: its own", 0),
    "_sg_window": ("Window to full tokens", 0.8), "_sg_states": ("State memory ratio", 0.9),
    "_sg_prefix": ("Radix cache", True), "_ll_ubatch": ("ubatch, tokens", 512),
    "_ll_unified": ("One pool for all slots", False), "_ll_swa": ("Windows in full", False),
}  # fmt: skip


def asked_table(*, serving: bool) -> Table:
    """Input, value and default of every input that counts for the answer."""
    state: Any = st.session_state
    listed = [*FIRST, *(SERVE if serving else CHOOSE), *BOTH]
    if state.get("size_accelerator") == CUSTOM:
        listed += [(key, label, OF_AN_OWN_ACCELERATOR[key]) for key, label in OF_ITS_OWN]
    listed += OF_A_SHAPE if state.get("size_model") == OWN_SHAPE else ()
    if not serving:
        listed += OF_WINDOWS if state.get("size_windows") != "The model's own" else ()
        listed += OF_TRAFFIC if traffic_is_asked() else ()
    listed += [(f"size{key}", label, opens_on) for key, (label, opens_on) in OF_ENGINES.items()]
    found = ((label, state.get(key), opens_on) for key, label, opens_on in listed)
    rows = [row for row in found if row[1] is not None]
    rows.sort(key=lambda row: row[1] == row[2])  # stable: both halves stay in the page's order
    return ("Input", "Value", "Default"), tuple((label, _written(is_), _written(was)) for label, is_, was in rows)


def traffic_is_asked() -> bool:
    """Whether the Traffic tab is on screen, goes into the record, or has another value than it opens on."""
    state: Any = st.session_state
    shown = state.get("size_tab") == "Traffic" or bool(state.get("size_record_traffic"))
    return shown or any(state.get(key, opens_on) != opens_on for key, _, opens_on in OF_TRAFFIC)


def _written(value: Any) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return f"{value:,}" if isinstance(value, int) else f"{value:g}" if isinstance(value, float) else str(value)
