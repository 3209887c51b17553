"""KV-cache quantisation: bits with their scales, the error of rounding on sample data, and what KIVI published."""

import pandas as pd
import streamlit as st

from core.learning.techniques.published import published
from core.learning.techniques.tables import stored_rows, stored_sentence
from core.units import format_binary
from pages.learn.screens import technique
from pages.shell import share

GROUPS = (16, 32, 64, 128)


def bits() -> None:
    """Stored bits for a group size, and what a token of a model keeps with each G."""
    group = st.select_slider("Group, elements", GROUPS, 32, key="quantisation_group", bind="query-params")
    rows = stored_rows(group)
    shown = [{_short(head): _in_words(head, cell) for head, cell in row.items()} for row in rows]
    st.markdown(f"**{stored_sentence(group)}**")
    st.table(pd.DataFrame(shown), hide_index=True, border="horizontal")
    share.save_csv(rows, key="quantisation_bits_csv", file_name="headroom-stored-bits.csv", shown=shown)


def _short(head: str) -> str:
    return head.split(" (")[0].lower() if head.startswith(("Bits", "With")) else head.split(" (")[0]


def _in_words(head: str, cell: float) -> str:
    return format_binary(cell) if head.startswith("G =") else f"{cell:g}"


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
