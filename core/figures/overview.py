"""The headline as one picture: bytes on the accelerator for every G and precision, the budget as a line."""

from typing import Any

from core.figures.drawing import alt
from core.figures.palette import Palette
from core.serving.headline import HeadlinePoint
from core.units import GB


def headline_chart(points: list[HeadlinePoint], colours: Palette, *, height_px: int = 290) -> alt.LayerChart:
    """Rows are G, x is GB on a log scale, each disc says its bits; what fits is solid, what does not fit fades."""
    rows = [_row(point) for point in points]
    order = list(dict.fromkeys(row["G"] for row in rows))
    y = alt.Y("G:N", sort=order, title=None, axis=alt.Axis(grid=True, domain=False, ticks=False, labelPadding=8))
    x = alt.X(
        "GB:Q",
        scale=alt.Scale(type="log", domain=[25, 2_500], nice=False),
        axis=alt.Axis(values=[25, 50, 100, 250, 500, 1_000, 2_000], grid=False, title="GB on one H100, log scale"),
    )
    base = alt.Chart(alt.Data(values=rows)).encode(x=x, y=y)
    discs = base.mark_circle(size=430, opacity=1).encode(
        color=alt.condition("datum.fits", alt.value(colours.cache), alt.value(colours.ghost)),
        tooltip=[alt.Tooltip("G:N", title="KV heads"), alt.Tooltip("says:N", title="total")],
    )
    bits = base.mark_text(fontSize=12, fontWeight="bold").encode(
        text="bits:N", color=alt.condition("datum.fits", alt.value(colours.on_fill), alt.value(colours.muted))
    )
    layers = [*_budget(points[0].budget_bytes / GB, x, colours), discs, bits]
    return alt.LayerChart(layer=layers).properties(width="container", height=height_px)


def _row(point: HeadlinePoint) -> dict[str, Any]:
    names = {1: "G = 1 · MQA", 40: "G = 40 · MHA"}
    gb = point.total_bytes / GB
    return {
        "G": names.get(point.num_kv_heads, f"G = {point.num_kv_heads}"),
        "GB": gb,
        "bits": str(point.kv_bits),
        "fits": point.fits,
        "says": f"{gb:,.1f} GB with a {point.kv_bits}-bit cache: {'fits' if point.fits else 'does not fit'}",
    }


def _budget(budget_gb: float, x: alt.X, colours: Palette) -> list[alt.Chart]:
    """The line that decides, named where it stands."""
    data = alt.Data(values=[{"GB": budget_gb, "label": f"budget {budget_gb:.1f} GB"}])
    line = alt.Chart(data).mark_rule(color=colours.exceeds, strokeDash=[5, 4], strokeWidth=1.5).encode(x=x)
    label = alt.Chart(data).mark_text(color=colours.exceeds, align="left", dx=6, dy=-8, baseline="bottom", fontSize=13)
    return [line, label.encode(x=x, y=alt.value(0), text="label:N")]
