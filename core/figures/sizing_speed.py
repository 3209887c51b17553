"""The bound on a decode step as two bars: the time to read weights and cache, and the time to compute."""

from typing import Any

from core.figures.drawing import alt
from core.figures.marks import where_they_fit
from core.figures.palette import Palette
from core.serving.roofline import StepBound

ROOM = 1.16  # of the longer bar: its time stands behind it


def step_rows(bound: StepBound) -> list[dict[str, Any]]:
    """Segments in milliseconds; sides whose rate is unknown are left out."""
    rows: list[dict[str, Any]] = []
    sides = (
        ("read memory", bound.bandwidth_bytes_per_s, (("weights", bound.weight_read_bytes), ("KV cache", _kv(bound)))),
        ("compute", bound.flops_per_s, (("weights", bound.weight_flops), ("KV cache", bound.attention_flops))),
    )
    for side, rate, parts in sides:
        ends = 0.0
        for part, amount in parts:
            if rate is None:
                continue
            start, ends = ends, ends + 1_000 * amount / rate
            label = f"{part} {ends - start:.1f} ms" if side == "read memory" else ""
            rows.append({"side": side, "part": part, "left": start, "right": ends, "label": label})
        if rate is not None:
            rows[-1]["total"] = f"{ends:.1f} ms"
    return rows


def step_chart(bound: StepBound, palette: Palette) -> alt.LayerChart | alt.FacetChart:
    """The longer bar is the least time that one step takes. The bound must have a known bandwidth or rate."""
    rows = step_rows(bound)
    farthest = max(row["right"] for row in rows)
    x_scale = alt.Scale(domain=[0, farthest * ROOM], nice=False)
    x = alt.X(
        "left:Q",
        scale=x_scale,
        title="Milliseconds of one decode step, at the least",
        axis=alt.Axis(grid=False, tickCount=10),
    )
    axis = alt.Axis(title=None, ticks=False, domain=False, labelFontSize=14, labelPadding=10)
    y = alt.Y("side:N", sort=["read memory", "compute"], axis=axis, scale=alt.Scale(paddingInner=0.35))
    colours = alt.Color(
        "part:N", legend=None, scale=alt.Scale(domain=["weights", "KV cache"], range=[palette.weights, palette.cache])
    )
    base = alt.Chart(alt.Data(values=rows)).transform_calculate(middle="(datum.left + datum.right) / 2")
    return alt.layer(
        base.mark_bar(height={"band": 1}).encode(y=y, x=x, x2="right:Q", color=colours),
        base.transform_filter(where_they_fit("label", f"(datum.right - datum.left) / {farthest * ROOM}"))
        .mark_text(color=palette.on_fill, fontWeight=600)
        .encode(y=y, x=alt.X("middle:Q", scale=x_scale), text="label:N"),
        base.transform_filter("isValid(datum.total)")
        .mark_text(align="left", dx=8, fontWeight=700, color=palette.text)
        .encode(y=y, x=alt.X("right:Q", scale=x_scale), text="total:N"),
    ).properties(height=110)


def _kv(bound: StepBound) -> int:
    return bound.kv_read_bytes + bound.state_read_bytes
