"""Decode measurements as pictures: each G's fastest kernel and whole step against the roofline, and every kernel."""

from typing import Any

from core.decode.records import KernelResult, StepResult, share_in_words
from core.figures.drawing import alt
from core.figures.palette import Palette, mixed
from core.models.attention import kind_of

Row = dict[str, Any]
CHARACTER_PX = 5.8  # of a label of 13 px, as Chromium draws "0.25 ms · 17% of the roofline · host_kernel"
NARROWEST_PX = 745  # of the bars in a window of 1,280 pixels


def best_rows(results: tuple[KernelResult, ...], num_query_heads: int, palette: Palette) -> list[Row]:
    """One row per G, in milliseconds of one layer's step: measured, its quartiles, and what the roofline allows."""
    rows = []
    for r in results:
        seconds, spread, fraction = r.median_seconds, r.spread_seconds, r.roofline_fraction
        if not r.best or seconds is None or spread is None or fraction is None:
            continue
        kind = kind_of(num_query_heads, r.kv_heads)
        rows.append(
            {
                "name": f"G = {r.kv_heads} · {kind}", "measured": seconds * 1e3, "predicted": r.roofline_seconds * 1e3,
                "low": spread[0] * 1e3, "high": spread[1] * 1e3, "fill": palette.kind(kind),
                "label": "  ·  ".join((_milliseconds(seconds), _of_roofline(r.share), _named(r))),
            }
        )  # fmt: skip
    return rows


def _of_roofline(share: str) -> str:
    return f"{share} of the roofline" if share.endswith("%") else share


def _named(r: KernelResult) -> str:
    return f"{r.kernel}, equal to {', '.join(r.equal_to)}" if r.equal_to else r.kernel


def best_chart(
    results: tuple[KernelResult, ...], num_query_heads: int, palette: Palette
) -> alt.LayerChart | alt.FacetChart:
    """Bars are measured medians, the thin line their quartiles; the upright tick is the roofline's prediction.

    results must hold at least one best kernel.
    """
    return _bars(best_rows(results, num_query_heads, palette), "milliseconds of one layer's decode attention", palette)


def step_rows(steps: tuple[StepResult, ...], num_query_heads: int, palette: Palette) -> list[Row]:
    """One row per G, in milliseconds of a whole decode step: measured, its quartiles, and the roofline's."""
    rows = []
    for s in steps:
        seconds, fraction = s.step_seconds, s.roofline_fraction
        low, high = s.spread_seconds or (seconds, seconds)
        kind = kind_of(num_query_heads, s.kv_heads)
        said = "" if fraction is None else f"  ·  {_of_roofline(share_in_words(fraction))}"
        rows.append(
            {
                "name": f"G = {s.kv_heads} · {kind}", "measured": seconds * 1e3, "predicted": s.roofline_seconds * 1e3,
                "forecast": s.own_rates_seconds * 1e3,
                "low": low * 1e3, "high": high * 1e3, "fill": palette.kind(kind),
                "label": f"{_milliseconds(seconds)}{said}",
            }
        )  # fmt: skip
    return rows


def step_chart(
    steps: tuple[StepResult, ...], num_query_heads: int, palette: Palette
) -> alt.LayerChart | alt.FacetChart:
    """The whole step of each G, drawn as best_chart draws one layer's attention. steps must hold one at least."""
    return _bars(step_rows(steps, num_query_heads, palette), "milliseconds of a whole decode step", palette)


def _bars(rows: list[Row], title: str, palette: Palette) -> alt.LayerChart | alt.FacetChart:
    farthest = max(max(row["high"], row["predicted"], row.get("forecast", 0)) for row in rows)
    x_scale = alt.Scale(domain=[0, farthest * _room(max(len(row["label"]) for row in rows))], nice=False)
    axis = alt.Axis(grid=False, values=_ticks(farthest))
    x = alt.X("measured:Q", scale=x_scale, title=title, axis=axis)
    names = [row["name"] for row in rows]
    label_axis = alt.Axis(title=None, ticks=False, domain=False, labelFontSize=14, labelPadding=10, labelLimit=220)
    y = alt.Y("name:N", sort=names, axis=label_axis, scale=alt.Scale(paddingInner=0.4))
    base = alt.Chart(alt.Data(values=rows)).encode(y=y)
    at_end = "max(datum.high, datum.predicted, datum.forecast || 0)"
    forecast = base.transform_filter("datum.forecast > 0").mark_tick(
        color=mixed(palette.text, palette.background, 0.45), thickness=4, height={"band": 1.3}
    )
    forecasts = [forecast.encode(x=alt.X("forecast:Q", scale=x_scale))] if any(r.get("forecast") for r in rows) else []
    return alt.layer(
        base.mark_bar(height={"band": 1}).encode(x=x, color=alt.Color("fill:N", scale=None)),
        base.mark_rule(color=palette.text, strokeWidth=1.5).encode(x=alt.X("low:Q", scale=x_scale), x2="high:Q"),
        base.mark_tick(color=palette.text, thickness=4, height={"band": 1.3}).encode(
            x=alt.X("predicted:Q", scale=x_scale)
        ),
        *forecasts,
        base.transform_calculate(end=at_end)
        .mark_text(align="left", dx=10, fontSize=13, color=palette.text)
        .encode(x=alt.X("end:Q", scale=x_scale), text="label:N"),
    ).properties(height=max(120, 46 * len(rows)))


def _room(characters: int) -> float:
    """How many times as far as its farthest mark an axis goes, so that the longest label stands behind it.

    Of the narrowest plot on a desk, NARROWEST_PX wide, at CHARACTER_PX a character and its distance from the mark.
    """
    share = (characters * CHARACTER_PX + 12) / NARROWEST_PX
    return max(1.75, 1 / (1 - min(share, 0.7)))


def kernel_rows(results: tuple[KernelResult, ...]) -> list[Row]:
    """One row per kernel and G that gave a time; refused kernels have none."""
    return [
        {
            "name": r.kernel, "panel": f"G = {r.kv_heads}", "ms": seconds * 1e3, "best": r.best,
            "label": _milliseconds(seconds), "roofline": r.roofline_seconds * 1e3,
        }
        for r in results
        if (seconds := r.median_seconds) is not None and r.status == "accepted"
    ]  # fmt: skip


def kernels_chart(results: tuple[KernelResult, ...], palette: Palette) -> alt.VConcatChart:
    """Every correct kernel on one logarithmic axis of time, a panel for each G; the line is the roofline."""
    rows = kernel_rows(results)
    low = min(min(row["ms"], row["roofline"]) for row in rows) * 0.8
    high = max(row["ms"] for row in rows) * 2.2
    panels = list(dict.fromkeys(row["panel"] for row in rows))
    scale = alt.Scale(type="log", domain=[low, high], nice=False)
    charts = [_panel([r for r in rows if r["panel"] == name], name, scale, palette) for name in panels]
    return alt.vconcat(*charts, spacing=14)


def _panel(rows: list[Row], name: str, scale: alt.Scale, palette: Palette) -> alt.LayerChart | alt.FacetChart:
    axis = alt.Axis(grid=False, tickCount=5, format="~r")
    x = alt.X("ms:Q", scale=scale, axis=axis, title="milliseconds, each step ten times the one before")
    label_axis = alt.Axis(title=None, ticks=False, domain=False, labelFontSize=12, labelLimit=260)
    y = alt.Y("name:N", sort=alt.EncodingSortField("ms", order="ascending"), axis=label_axis)
    base = alt.Chart(alt.Data(values=rows), title=alt.Title(name, anchor="start", color=palette.text))
    colour = alt.condition("datum.best", alt.value(palette.keys_values), alt.value(palette.weights))
    return alt.layer(
        base.mark_rule(color=palette.text, strokeDash=[4, 3]).encode(x=alt.X("roofline:Q", scale=scale)),
        base.mark_circle(size=110, opacity=1).encode(x=x, y=y, color=colour),
        base.mark_text(align="left", dx=9, fontSize=12, color=palette.text).encode(x=x, y=y, text="label:N"),
    ).properties(height=max(60, 22 * len(rows)), width="container")


def _ticks(farthest: float) -> list[float]:
    """At most five round values from zero to the longest bar: the space beyond belongs to the labels."""
    step = next(m * 10.0**e for e in range(-6, 9) for m in (1, 2, 5) if farthest / (m * 10.0**e) <= 5)
    return [round(i * step, 9) for i in range(int(farthest / step) + 1)]


def _milliseconds(seconds: float) -> str:
    ms = seconds * 1e3
    return f"{ms:,.0f} ms" if ms >= 100 else f"{ms:.1f} ms" if ms >= 10 else f"{ms:.2f} ms"
