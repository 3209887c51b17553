"""Where the weights go: one bar a model, a segment a part, in the bytes that they are stored in.

The K and V projections, the only part that a change of G drops or adds, have the colour of keys and values: what it
adds is paler, and what it drops stays as a dashed outline that counts for nothing. The rest are shades of the weights'
own, and a cache beside them is in its own colour. A segment that is wide enough carries its name; all of them stand in
the alt text.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from core.figures.drawing import alt
from core.figures.marks import where_they_fit
from core.figures.palette import Palette, mixed
from core.units import GB

PARTS = {
    "embedding": "embedding", "attention": "attention", "kv_projections": "K and V", "kv_added": "added",
    "kv_dropped": "dropped", "dense_ffn": "FFN",
    "routed_experts": "experts", "shared_experts": "shared experts", "recurrent": "recurrent", "towers": "towers",
    "head": "head", "norms": "small parts", "routers": "small parts", "other": "small parts", "cache": "cache",
}  # fmt: skip
ORDER = tuple(dict.fromkeys(PARTS.values()))
SHARES = (0.45, 0.7, 1.0, 0.55, 0.0, 0.9, 0.9, 0.6, 0.7, 0.5, 0.45, 0.35, 1.0)
DROPPED = PARTS["kv_dropped"]
ROOM = 1.1  # of the longest bar: its weight stands behind it


def weight_rows(bytes_by_part: Mapping[str, Mapping[str, int]]) -> list[dict[str, Any]]:
    """bytes_by_part: model -> part -> bytes. Segments left to right in the order of PARTS, in GB."""
    rows = []
    for model, parts in bytes_by_part.items():
        named: dict[str, int] = {}
        for part, num_bytes in parts.items():
            name = PARTS.get(part, "small parts")
            named[name] = named.get(name, 0) + num_bytes
        ends = 0.0
        for name in ORDER:
            if named.get(name):
                start, ends = ends, ends + named[name] / GB
                rows.append({"model": model, "part": name, "left": start, "right": ends, "gb": named[name] / GB})
    return rows


def marked_change(parts: Mapping[str, int], own: Mapping[str, int]) -> dict[str, int]:
    """The bytes of a model with another G, what it drops or adds of its own K and V projections apart."""
    projected, before = parts.get("kv_projections", 0), own.get("kv_projections", 0)
    marked = {**parts, "kv_projections": min(projected, before)}
    return marked | {"kv_added": max(0, projected - before), "kv_dropped": max(0, before - projected)}


def weights_chart(rows: Sequence[Mapping[str, Any]], palette: Palette) -> alt.LayerChart | alt.FacetChart:
    """The bars of weight_rows, one below the other."""
    farthest = max((row["right"] for row in rows), default=1.0)
    x_scale = alt.Scale(domain=[0, farthest * ROOM], nice=False)
    models = list(dict.fromkeys(row["model"] for row in rows))
    values = [dict(row) for row in rows]
    y_axis = alt.Axis(title=None, ticks=False, domain=False, labelFontSize=14, labelPadding=8)
    y = alt.Y("model:N", sort=models, axis=y_axis, scale=alt.Scale(paddingInner=0.3))
    x = alt.X("left:Q", scale=x_scale, title="GB", axis=alt.Axis(grid=False, tickCount=10))
    keys = dict.fromkeys(("K and V", "added", DROPPED), palette.keys_values)
    hues = [{**keys, "cache": palette.cache}.get(name, palette.weights) for name in ORDER]
    shades = [mixed(hue, palette.background, share) for hue, share in zip(hues, SHARES, strict=True)]
    colour = alt.Color("part:N", legend=None, scale=alt.Scale(domain=list(ORDER), range=shades))
    base = alt.Chart(alt.Data(values=values)).transform_calculate(middle="(datum.left + datum.right) / 2")
    hover = [alt.Tooltip("model:N"), alt.Tooltip("part:N"), alt.Tooltip("gb:Q", format=",.2f", title="GB")]
    totals = [{"model": model, "right": max(r["right"] for r in rows if r["model"] == model)} for model in models]
    for total in totals:
        kept = sum(row["gb"] for row in rows if row["model"] == total["model"] and row["part"] != DROPPED)
        total["label"] = f"{kept:,.1f} GB"
    layers = [
        base.transform_filter(f"datum.part != '{DROPPED}'")
        .mark_bar(height={"band": 1}, stroke=mixed(palette.text, palette.background, 0.25))
        .encode(y=y, x=x, x2="right:Q", color=colour, tooltip=hover),
        base.transform_filter(where_they_fit("part", f"(datum.right - datum.left) / {farthest * ROOM}"))
        .mark_text(color=palette.text, fontWeight=600)
        .encode(y=y, x=alt.X("middle:Q", scale=x_scale), text="part:N"),
        alt.Chart(alt.Data(values=totals))
        .mark_text(align="left", dx=8, fontWeight=700, color=palette.text)
        .encode(y=y, x=alt.X("right:Q", scale=x_scale), text="label:N"),
    ]
    if any(row["part"] == DROPPED for row in rows):  # a layer of nothing is an unnamed picture to a screen reader
        layers.append(
            base.transform_filter(f"datum.part == '{DROPPED}'")
            .mark_bar(height={"band": 0.9}, filled=False, stroke=palette.keys_values, strokeWidth=2, strokeDash=[4, 3])
            .encode(y=y, x=x, x2="right:Q", tooltip=hover)
        )
    return alt.layer(*layers).properties(height=44 * len(models) + 30)


def weights_alt_text(rows: Sequence[Mapping[str, Any]]) -> str:
    """Every segment in words."""
    said = "; ".join(f"{row['model']}, {row['part']} {row['gb']:,.2f} GB" for row in rows)
    return f"Bytes of weights by part: {said}."
