"""MLA: what a latent layer caches, which G that equals, and what happens to it over several GPUs."""

import pandas as pd
import streamlit as st

from core.learning.techniques.published import published
from core.learning.techniques.tables import MLA_SENTENCE, mla_rows
from core.units import format_count
from pages.learn.screens import technique
from pages.shell import share

HEADS = (1, 2, 4, 8, 16, 32, 64, 128)
ELEMENTS = "Cached elements per token"
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
    rows = mla_rows()
    shown = [{head: f"{cell:.1f}" if isinstance(cell, float) else cell for head, cell in row.items()}
             | {ELEMENTS: format_count(int(row[ELEMENTS]))} for row in rows]  # fmt: skip
    st.markdown(f"**{MLA_SENTENCE}**")
    st.table(pd.DataFrame(shown), hide_index=True, border="horizontal")
    share.save_csv(rows, key="latent_published_csv", file_name="headroom-mla.csv", shown=shown)
    technique.cite(published()["mla"].source)


technique.page(
    "latent",
    {"cached": lambda: technique.picture("kept_by_mla"), "equal": equal, "ranks": ranks, "published": evidence},
)
