"""Engines: what each takes for a request of every registry model, and how many it serves, at three lengths."""

from functools import partial
from typing import TYPE_CHECKING, Any

import streamlit as st

from core.figures.comparison import plain
from core.reports.tables import markdown_rows
from core.serving.engine_table import CONTEXTS, ENGINES, TableRow, engine_table, table_csv
from core.serving.engine_words import NAMES
from core.units import format_bytes
from pages.shell import cached, share, sortable
from pages.shell.sortable import Column

if TYPE_CHECKING:
    from core.reports.closing import Rests

EVERY = "Every engine"
COLUMNS = (
    Column(name="Model", width=162),
    Column(name="Engine", width=145),
    Column(name="Tokens", width=63),
    Column(name="One request", width=94, by="Bytes"),
    Column(name="Bytes", width=113),
    Column(name="Times payload", width=107, digits=2),
    Column(name="In 40 GiB", width=68),
    Column(name="In 70 GiB", width=68),
    Column(name="Not served because", width=420),
)


@st.cache_data(show_spinner="Every model is planned on every engine", max_entries=1)
def rows() -> tuple[TableRow, ...]:
    """The whole table, computed once for all viewers."""
    return tuple(engine_table(cached.registered_models()))


def shown(row: TableRow) -> dict[str, Any]:
    """A row as people read it, by the names of COLUMNS; what sorts stays a number."""
    return {
        "Model": row.model,
        "Engine": row.version,
        "Tokens": row.context_length,
        "One request": "–" if row.request_bytes is None else format_bytes(row.request_bytes, 2),
        "Bytes": row.request_bytes,
        "Times payload": row.times_payload,
        "In 40 GiB": row.requests_40_gib,
        "In 70 GiB": row.requests_70_gib,
        "Not served because": row.refused,
    }


def most(found: list[TableRow]) -> str:
    """The sentence above the table: where an engine takes most beyond the payload."""
    served = [row for row in found if row.times_payload is not None]
    if not served:
        return "None of these engines serves these models."
    far = max(served, key=lambda row: row.times_payload or 0)
    return (
        f"{far.version} takes most against the payload here: {far.times_payload:,.3g} times as much, for "
        f"{far.model} at {far.context_length:,} tokens."
    )


def rests(found: list[TableRow], _colours: object) -> "Rests":
    """What the answer rests on, for a file."""
    from core.reports.rests.engines import engines_rests  # noqa: PLC0415  with the first file

    return engines_rests(found)


st.title("What each engine takes")
st.markdown(
    "Every model of the registry on every engine, computed when this page opens: one accelerator, a 16-bit cache, the "
    "engine's defaults. The **payload** is what the attention pattern needs by itself. Requests are what "
    "a memory of 40 or 70 GiB **for the cache** serves at once. `python -m core engines` prints the same table; *Size* "
    "answers for your own job."
)
left, middle, right = st.columns([2, 2, 3])
engine = left.selectbox(
    "Engine", [EVERY, *(NAMES[name] for name in ENGINES)], key="engines_engine", bind="query-params"
)
context = middle.segmented_control(
    "Tokens", CONTEXTS, default=CONTEXTS[1], required=True, format_func="{:,}".format, key="engines_context",
    bind="query-params",
)  # fmt: skip
sought = right.text_input("Model", key="engines_model", bind="query-params", placeholder="Qwen3", max_chars=100)
found = [
    row
    for row in rows()
    if engine in (EVERY, NAMES[row.engine])
    and row.context_length == context
    and (sought or "").strip().lower() in row.model.lower()
]
if not found:
    st.info(
        f"No model of the registry has “{plain((sought or '').strip())}” in its name. Clear the field to see all, or "
        "size it by its config.json on Size."
    )
else:
    st.markdown(most(found))
    share.remember_answer(most(found), partial(rests, found))
    sortable.show(
        COLUMNS,
        [list(shown(row).values()) for row in found],
        key="engines_table",
        alt=f"{len(found)} rows: bytes of a request, times its payload, requests in 40 and 70 GiB.",
        tallest_px=560,
    )
st.download_button(
    "The whole table as CSV",
    data=lambda: table_csv(rows()).encode(),
    file_name="headroom-engine-table.csv",
    mime="text/csv",
    on_click="ignore",
    icon=":material/download:",
)
if found:
    share.copy_markdown("engines_markdown", lambda: markdown_rows([shown(row) for row in found]))
