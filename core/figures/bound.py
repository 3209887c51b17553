"""Intensity against the ridge: what a read of the cache does at k query tokens, by layout, and the same measured."""

from typing import Any

from core.figures.drawing import alt
from core.figures.lessons import Picture, made
from core.figures.palette import Palette
from core.hardware.accelerators import find_accelerator
from core.learning.bound import (
    HEADS,
    KV_HEADS,
    QUERIES,
    absorbed_intensity,
    grouped_intensity,
    measured,
    weight_intensity,
)
from core.models.attention import kind_of

Row = dict[str, Any]
MLA = "MLA, absorbed"
WEIGHTS = "weights"


def ridge_picture(colours: Palette, *, accelerator: str, batch_size: int, chunk: int) -> Picture:
    """Rows of layouts, a dot for each k, and the ridge. Raises ValueError where the accelerator has no known ridge."""
    device = find_accelerator(accelerator)
    ridge = device.ridge_flops_per_byte
    if ridge is None:
        raise ValueError(f"{device.name} has no known rate or bandwidth: choose another accelerator.")
    rows = _rows(batch_size, chunk, colours)
    names = list(dict.fromkeys(row["name"] for row in rows))
    x_scale = alt.Scale(type="log", domain=[0.7, max(6_000, *(1.3 * row["value"] for row in rows))], nice=False)
    x = alt.X("value:Q", title="FLOPs for each byte read", scale=x_scale,
              axis=alt.Axis(values=[1, 10, 100, 1000], format=",", grid=True))  # fmt: skip
    y = alt.Y("name:N", sort=names, title=None, axis=alt.Axis(labelFontSize=14, ticks=False, domain=False))
    base = alt.Chart(alt.Data(values=rows))
    lines = base.mark_line(strokeWidth=2, opacity=0.5).encode(x=x, y=y, color=alt.Color("hue:N", scale=None))
    dots = base.mark_circle(size=330, opacity=1).encode(
        x=x, y=y, color=alt.Color("hue:N", scale=None),
        tooltip=[alt.Tooltip("name:N"), alt.Tooltip("k:Q"), alt.Tooltip("said:N", title="FLOPs a byte")],
    )  # fmt: skip
    numbers = base.mark_text(fontSize=12, fontWeight="bold", color=colours.on_fill).encode(x=x, y=y, text="k:Q")
    edge = alt.Chart(alt.Data(values=[{"value": ridge, "text": f"ridge {ridge:,.0f}"}]))
    rule = edge.mark_rule(color=colours.text, strokeDash=[5, 4], strokeWidth=2).encode(x=x)
    named = edge.mark_text(align="left", dx=6, fontSize=13, color=colours.text).encode(
        x=x, y=alt.value(8), text="text:N"
    )
    chart = alt.layer(rule, lines, dots, numbers, named).properties(height=62 * len(names) + 30)
    past = {name: [row["k"] for row in rows if row["name"] == name and row["value"] >= ridge] for name in names}
    return made(chart, _sentence(device.name, ridge, past), _alt_text(rows, ridge))


def _rows(batch_size: int, chunk: int, colours: Palette) -> list[Row]:
    rows: list[Row] = []
    for num_kv_heads in KV_HEADS:
        kind = kind_of(HEADS, num_kv_heads)
        for k in QUERIES:
            value = grouped_intensity(HEADS, num_kv_heads, k)
            rows.append({"name": f"{kind}, G = {num_kv_heads}", "k": k, "value": value, "hue": colours.kind(kind)})
    rows += [{"name": MLA, "k": k, "value": absorbed_intensity(k), "hue": colours.mla} for k in QUERIES]
    rows += [
        {"name": WEIGHTS, "k": k, "value": weight_intensity(batch_size, k, chunk), "hue": colours.queries}
        for k in QUERIES
    ]
    return [{**row, "said": f"{row['value']:,.3g}"} for row in rows]


def _sentence(device: str, ridge: float, past: dict[str, list[int]]) -> str:
    crossing = [f"{name} from k = {min(ks)}" for name, ks in past.items() if ks and name != WEIGHTS]
    reach = f"Past it: {', '.join(crossing)}" if crossing else "No read of a cache reaches it"
    weights = f"; the weights {'from k = ' + str(min(past[WEIGHTS])) if past[WEIGHTS] else 'stay left of it'}"
    return (
        f"**The ridge of {device} lies at {ridge:,.0f} FLOPs a byte. {reach}{weights}.** A dot is k query tokens that "
        "share one read. Right of the ridge a smaller cache buys no time, only room."
    )


def _alt_text(rows: list[Row], ridge: float) -> str:
    said = "; ".join(f"{row['name']} at k = {row['k']}: {row['said']}" for row in rows)
    return f"FLOPs a byte read, ridge at {ridge:,.0f}. {said}."


def measured_picture(colours: Palette) -> Picture:
    """How much longer k tokens took than one, against the same cache, on the recorded machine."""
    found = measured()
    rows: list[Row] = []
    for num_kv_heads in KV_HEADS:
        kind = kind_of(HEADS, num_kv_heads)
        for k in QUERIES:
            times = found.times(num_kv_heads, k)
            rows.append({"name": f"G = {num_kv_heads}", "k": k, "times": times, "hue": colours.kind(kind)})
    x = alt.X("k:O", title="query tokens k against one read of the cache", axis=alt.Axis(labelAngle=0))
    y = alt.Y("times:Q", title="time, in times that of k = 1", scale=alt.Scale(domain=[0, 8.5], nice=False))
    base = alt.Chart(alt.Data(values=rows))
    hue = alt.Color("hue:N", scale=None)
    lines = base.mark_line(strokeWidth=2.5, point=alt.OverlayMarkDef(size=90)).encode(
        x=x, y=y, color=hue, detail="name:N"
    )
    ends = base.transform_filter(f"datum.k == {QUERIES[-1]}").mark_text(align="left", dx=10, fontSize=13)
    each: list[Row] = [{"k": k, "times": float(k)} for k in QUERIES]
    unshared = alt.Chart(alt.Data(values=each)).mark_line(color=colours.line, strokeDash=[5, 4]).encode(x=x, y=y)
    chart = alt.layer(unshared, lines, ends.encode(x=x, y=y, text="name:N", color=hue)).properties(height=300)
    last = {g: found.times(g, QUERIES[-1]) for g in KV_HEADS}
    said = ", ".join(f"{times:.1f} times at G = {g}" for g, times in last.items())
    sentence = (
        f"**Measured: {QUERIES[-1]} query tokens took {said}.** Dashed: each token paying for its own read. "
        f"{found.tokens:,} tokens, 32 bits, {found.machine}."
    )
    words = "; ".join(f"{row['name']}, k = {row['k']}: {row['times']:.2f}" for row in rows)
    return made(chart, sentence, f"Time of k query tokens in times that of one. {words}.")
