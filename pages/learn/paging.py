"""PagedAttention: a block table filled step by step, what reserving wastes, and what both have to do with G."""

import streamlit as st

from core.learning.techniques import paging, server_pages
from core.learning.techniques.published import published
from pages.learn.screens import technique


def table() -> None:
    """The small pool, a step at a time."""
    step = st.slider("Step", 0, paging.last_step(), 3, key="paging_step", bind="query-params")
    technique.picture("pool", step=step)


def fragmentation() -> None:
    """Lengths, block size, and the share that each policy uses."""
    first, second, third = st.columns(3)
    prompt = first.number_input("Median prompt, tokens", value=160, key="paging_prompt", bind="query-params")
    output = second.number_input("Median answer, tokens", value=200, key="paging_output", bind="query-params")
    limit = third.number_input("Context limit", value=2_048, step=256, key="paging_limit", bind="query-params")
    first, second = st.columns(2)
    spread = first.slider("Spread of lengths", 0.0, 2.0, 0.9, 0.1, key="paging_spread", bind="query-params",
                          help="Sigma of the logarithm: 0 is one length for all, 1 is a long tail.")  # fmt: skip
    block = second.select_slider(
        "Block size, tokens", (1, 8, 16, 32, 64, 128, 256), 16, key="paging_block", bind="query-params"
    )
    technique.picture(
        "fragmentation",
        prompt_median=prompt,
        output_median=output,
        spread=spread,
        context_limit=limit,
        block_size=block,
    )
    technique.cite(published()["paged_use"].source)


def meaning() -> None:
    """Slots by G times the share that is live."""
    g = st.segmented_control("KV heads G of 40", (40, 20, 8, 4, 1), default=8, required=True, key="paging_g",
                             bind="query-params")  # fmt: skip
    technique.picture("multiply", num_kv_heads=g or 8)
    technique.cite(published()["paged_use"].source)


def server() -> None:
    """The pages that one request of a hybrid model pins."""
    tokens = st.segmented_control("Tokens of the request", server_pages.LENGTHS, default=server_pages.SHORT,
                                  required=True, format_func="{:,}".format, key="paging_tokens",
                                  bind="query-params")  # fmt: skip
    technique.picture("server_request", context_length=tokens or server_pages.SHORT)


technique.page("paging", {"table": table, "fragmentation": fragmentation, "meaning": meaning, "server": server})
