"""MLA: what a latent layer caches, which G that equals, and what happens to it over several GPUs."""

import pandas as pd
import streamlit as st

from core.learning.techniques.published import published
from core.units import format_count
from pages.learn.screens import technique

HEADS = (1, 2, 4, 8, 16, 32, 64, 128)
RANKS = (1, 2, 4, 8, 16)


def equal() -> None:
    """GQA with a G of one's own beside MLA."""
    g = st.select_slider("G of the GQA layer", HEADS, 8, key="latent_g", bind="query-params")
    technique.picture("split_shares", num_query_heads=128, num_kv_heads=g, head_dim=128, tensor_parallel=1)


def ranks() -> None:
    """The same over several GPUs."""
    first, second = st.columns(2)
    g = first.select_slider("G of the split GQA layer", HEADS, 8, key="latent_rank_g", bind="query-params")
    tp = second.select_slider("GPUs (tensor parallel)", RANKS, 8, key="latent_tp", bind="query-params")
    technique.picture(
        "split_shares", name="ranks", num_query_heads=128, num_kv_heads=g, head_dim=128, tensor_parallel=tp
    )


def evidence() -> None:
    """DeepSeek-V2's own comparison."""
    table = published()["mla"]
    rows = [
        {
            "model": row["model"],
            "attention": row["kind"],
            "cached elements per token": format_count(row["kv_elements_per_token"]),
            **{name: f"{row[key]:.1f}" for name, key in
               (("BBH", "bbh"), ("MMLU", "mmlu"), ("C-Eval", "ceval"), ("CMMLU", "cmmlu"))},
        }
        for row in table["rows"]
    ]  # fmt: skip
    st.markdown("**MLA keeps a small part of MHA's cache and scores at or above it on most benchmarks.**")
    st.table(pd.DataFrame(rows), hide_index=True, border="horizontal")
    technique.cite(table.source)


technique.page(
    "latent",
    {"cached": lambda: technique.picture("kept_by_mla"), "equal": equal, "ranks": ranks, "published": evidence},
)
