"""KV-cache quantisation: bits with their scales, the error of rounding on sample data, and what KIVI published."""

import pandas as pd
import streamlit as st

from core.learning.techniques.published import published
from core.learning.techniques.quantisation import BITS, stored_bits
from core.models.head_sharing import Layout
from core.units import format_binary
from pages.learn.screens import technique

GROUPS = (16, 32, 64, 128)


def bits() -> None:
    """Stored bits for a group size, and what a token of a model keeps with each G."""
    group = st.select_slider("Group, elements", GROUPS, 32, key="quantisation_group", bind="query-params")
    token = Layout(num_query_heads=32, num_kv_heads=32, head_dim=128, num_layers=32)
    rows = []
    for width in (16, *BITS):
        stored = stored_bits(width, group)
        row = {"bits": str(width), "with scales": f"{stored:g}"}
        for g in (32, 8, 4, 1):
            row[f"G = {g}"] = format_binary(token.with_kv_heads(g).kv_bytes_per_token * stored / 16)
        rows.append(row)
    st.markdown(f"**Bytes of one token, for 32 layers and head_dim 128, with groups of {group}.**")
    st.table(pd.DataFrame(rows), hide_index=True, border="horizontal")


def error() -> None:
    """Two ways to group keys on sample data with large channels."""
    first, second = st.columns(2)
    group = first.select_slider("Group on the sample", GROUPS, 32, key="quantisation_sample", bind="query-params")
    scale = second.slider("Size of the large channels", 1.0, 30.0, 8.0, 0.5, key="quantisation_scale",
                          bind="query-params")  # fmt: skip
    technique.picture("rounding", group=group, outlier_scale=scale)


def evidence() -> None:
    """KIVI's table as changes from 16 bits."""
    task = st.segmented_control("Task", ["CoQA", "GSM8K"], default="CoQA", required=True, key="quantisation_task",
                                bind="query-params")  # fmt: skip
    technique.picture("kivi", task=(task or "CoQA").lower())
    technique.cite(published()["kivi"].source)


technique.page("quantisation", {"bits": bits, "error": error, "published": evidence})
