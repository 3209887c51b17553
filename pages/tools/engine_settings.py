"""Each engine's own few settings as inputs, in the URL, for any page: keys begin with the page's name."""

from typing import Any

import streamlit as st

from core.serving.engine_words import NAMES

VLLM_TYPES = ["by the bits", "fp8_e5m2", "fp8_per_token_head", "nvfp4", "turboquant_4bit_nc"]


def engine_input(column: Any, page: str) -> None:
    """The control: vLLM unless another is chosen."""
    column.selectbox(
        "Engine",
        list(NAMES.values()),
        key=f"{page}_engine",
        bind="query-params",
        help="Whose allocation is counted. Payload alone is what the attention pattern needs.",
    )


def engine_id(page: str, state: Any = None) -> str:
    """The engine chosen, by its id; of state where it is given, else of the page's inputs."""
    chosen = (st.session_state if state is None else state)[f"{page}_engine"]
    return next(engine for engine, name in NAMES.items() if name == chosen)


def settings_inputs(page: str) -> None:
    """The engine's own settings, each at its default; they are drawn for the engine that is chosen."""
    engine = engine_id(page)
    if engine not in _INPUTS:
        return
    _INPUTS[engine](page)
    st.caption(_WORDS[engine])


def _vllm(page: str) -> None:
    one, two, three, _ = st.columns(4)
    one.number_input("Tokens batched at most", value=2_048, step=1_024, key=f"{page}_vllm_batched", bind="query-params")
    two.selectbox("Cache type", VLLM_TYPES, key=f"{page}_vllm_type", bind="query-params")
    three.toggle("Prefix caching", value=True, key=f"{page}_vllm_prefix", bind="query-params")


def _sglang(page: str) -> None:
    one, two, three, four = st.columns(4)
    one.number_input(
        "Running requests at most, 0: its own", value=0, step=1, key=f"{page}_sg_most", bind="query-params"
    )
    two.number_input("Window to full tokens", value=0.8, step=0.1, key=f"{page}_sg_window", bind="query-params")
    three.number_input("State memory ratio", value=0.9, step=0.1, key=f"{page}_sg_states", bind="query-params")
    four.toggle("Radix cache", value=True, key=f"{page}_sg_prefix", bind="query-params")


def _llama_cpp(page: str) -> None:
    one, two, three, _ = st.columns(4)
    one.number_input("ubatch, tokens", value=512, step=128, key=f"{page}_ll_ubatch", bind="query-params")
    two.toggle("One pool for all slots", value=False, key=f"{page}_ll_unified", bind="query-params")
    three.toggle("Windows in full", value=False, key=f"{page}_ll_swa", bind="query-params")


_WORDS = {
    "vllm": "`--max-num-batched-tokens`: tokens of all requests in one step. `--kv-cache-dtype`: how the cache stores "
    "a number. `--enable-prefix-caching`: prompts that begin alike share what is cached of their beginning.",
    "sglang": "`--max-running-requests`. `--swa-full-tokens-ratio`: window tokens set aside for each token. "
    "`--mamba-full-memory-ratio`: memory for recurrent states, to that for tokens. Off: `--disable-radix-cache`, "
    "which shares the beginnings of prompts.",
    "llama.cpp": "`-ub`: tokens computed at once. `--kv-unified`: all slots share one context. `--swa-full`: layers "
    "with a window keep every token.",
}
_INPUTS = {"vllm": _vllm, "sglang": _sglang, "llama.cpp": _llama_cpp}


def cache_type(page: str) -> str:
    """The type of vLLM's cache that is chosen or that the link names, also before its control is drawn; or empty."""
    key = f"{page}_vllm_type"
    chosen = st.session_state.get(key) or st.query_params.get(key)
    return chosen if engine_id(page) == "vllm" and chosen in VLLM_TYPES[1:] else ""


def settings(page: str, state: Any = None) -> tuple[tuple[str, Any], ...]:
    """What differs from the engine's defaults, as pairs of its own keys."""
    state, found = st.session_state if state is None else state, {}
    engine = engine_id(page, state)
    if engine == "vllm":
        found = {"max_batched_tokens": state[f"{page}_vllm_batched"]}
        if state[f"{page}_vllm_type"] != VLLM_TYPES[0]:
            found["cache_type"] = state[f"{page}_vllm_type"]
        if not state[f"{page}_vllm_prefix"]:
            found["prefix_caching"] = False
    elif engine == "sglang":
        found = {
            "swa_full_tokens_ratio": state[f"{page}_sg_window"],
            "mamba_full_memory_ratio": state[f"{page}_sg_states"],
            "prefix_caching": state[f"{page}_sg_prefix"],
        }
        if state[f"{page}_sg_most"]:
            found["max_running_requests"] = state[f"{page}_sg_most"]
    elif engine == "llama.cpp":
        found = {
            "n_ubatch": state[f"{page}_ll_ubatch"],
            "kv_unified": state[f"{page}_ll_unified"],
            "swa_full": state[f"{page}_ll_swa"],
        }
    return tuple(found.items())
