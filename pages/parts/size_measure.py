"""The benchmark button for the job on the page: one layer's decode attention, measured on this host."""

import streamlit as st

from core.attention import GroupedAttention
from core.decode.records import RunRecord
from core.decode.store import StoreUnavailable, history, load
from core.serving.options import OptionGrid
from pages.parts import share
from pages.parts.decode_panel import benchmark_panel

MEASURED = 4  # layouts that one run measures
LOOKED_AT = 20  # newest runs among which one with the same heads is looked for


def show_measure(grid: OptionGrid) -> None:
    """Measured beside the bound of this host, at G = 1, some between and H; models without one shape say so."""
    job = grid.job
    shapes = {
        (layer.num_query_heads, layer.head_dim)
        for layer in job.model.layers
        if isinstance(layer, GroupedAttention) and layer.head_dim == layer.value_dim
    }
    choices = [g for g in grid.kv_heads if g is not None]
    if len(shapes) != 1 or not choices:
        st.info("The kernels measure layers of grouped attention with one shape; this model has others.")
        return
    heads, head_dim = shapes.pop()
    benchmark_panel(
        num_query_heads=heads,
        head_dim=head_dim,
        context_length=job.context_length,
        batch_size=job.batch_per_replica,
        num_layers=len(job.model.layers),
        kv_heads=measured_kv_heads(choices),
        key_prefix="size_decode",
    )


def measured_kv_heads(choices: list[int]) -> tuple[int, ...]:
    """G = 1, H, and the customary 8 with one more between, descending; every G where there are few."""
    if len(choices) <= MEASURED:
        return tuple(reversed(choices))
    between = choices[1:-1]
    usual = 8 if 8 in between else between[len(between) // 2]
    other = next((g for g in between if 2 * g >= usual and g != usual), between[0])
    return tuple(sorted({choices[0], other, usual, choices[-1]}, reverse=True))


def show_last_measurement(grid: OptionGrid) -> None:
    """What this host measured last for a layer with these heads, beside its own bound; nothing where it never did."""
    heads = {layer.num_query_heads for layer in grid.job.model.layers if isinstance(layer, GroupedAttention)}
    try:
        record = latest_run(heads)
    except StoreUnavailable as error:
        st.caption(str(error))
        return
    if record is None:
        st.caption("This host has measured no layer with these heads yet: the Measure tab does.")
        return
    job = record.job
    rows = [
        {
            "G": kv_heads,
            "Measured, ms": (best.median_seconds or 0) * 1e3,
            "Bound of this host, ms": best.roofline_seconds * 1e3,
            "Bound / measured": f"{best.roofline_fraction or 0:.0%}",
            "Kernel": best.kernel,
        }
        for kv_heads, best in sorted(record.best().items())
    ]
    st.markdown(
        f"**Measured on this host** ({record.device_name}, {record.date[:10]}): one layer's decode attention, "
        f"{job['batch_size']:,} sequences of {job['context_length']:,} tokens in {job['dtype']}, beside the bound from "
        "bandwidth measured in the same run."
    )
    st.dataframe(rows, hide_index=True, alt="Measured and bound of one layer's step for every G that was measured.")
    share.save_csv(rows, key="size_measured_csv", file_name="headroom-measured.csv")


def latest_run(num_query_heads: set[int]) -> RunRecord | None:
    """The newest complete run of a layer with that many query heads. Raises StoreUnavailable."""
    for line in history(limit=LOOKED_AT):
        record = load(line.run_id) if line.status == "complete" else None
        if record is not None and record.job["num_query_heads"] in num_query_heads and record.best():
            return record
    return None
