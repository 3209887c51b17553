"""What fills each rank of one copy of a model: a bar a kind of rank under the budget, the fullest on a panel.

Ranks that hold the same are one row with their number, so that 64 ranks stay a picture of a few bars.
"""

from collections.abc import Sequence
from typing import Any

from core.figures.drawing import alt
from core.figures.palette import Palette
from core.serving.ranks import RankPlan, kind_words, kinds_of_rank
from core.units import GB, format_bytes

ROW_HEIGHT, HEAD = 46, 26
LABELS_TO, BARS_TO = 0.30, 0.88  # of the width: words left of the bars, the total at their right


def rank_plan_rows(ranks: Sequence[RankPlan]) -> list[dict[str, Any]]:
    """One row a stretch of a bar, from 0 to 1 of the width; the budget lies at what bar_scale says."""
    rows: list[dict[str, Any]] = []
    per_byte = bar_scale(ranks)
    for place, kind in enumerate(kinds_of_rank(ranks)):
        first, left = kind[0], LABELS_TO
        for part in ("weights", "cache", "runtime"):
            size = getattr(first, f"{part}_bytes" if part != "weights" else "weight_bytes")
            right = left + size * per_byte
            label = f"{size / GB:,.1f}" if right - left > 0.055 else ""
            rows.append({"row": place, "part": part, "left": left, "right": right, "label": label,
                         "size": format_bytes(size), "middle": (left + right) / 2})  # fmt: skip
            left = right
    return rows


def bar_scale(ranks: Sequence[RankPlan]) -> float:
    """Share of the width that a byte takes."""
    return (BARS_TO - LABELS_TO) / max(ranks[0].budget_bytes, *(rank.total_bytes for rank in ranks))


def rank_plans_chart(ranks: Sequence[RankPlan], palette: Palette) -> alt.LayerChart | alt.FacetChart:
    """The picture."""
    kinds = kinds_of_rank(ranks)
    budget = LABELS_TO + ranks[0].budget_bytes * bar_scale(ranks)
    words = [
        {"row": place, "name": name, "holds": holds, "fullest": any(rank.is_fullest for rank in kind),
         "total": f"{kind[0].total_bytes / GB:,.1f} GB", "end": BARS_TO + 0.01}
        for place, kind in enumerate(kinds) for name, holds in [kind_words(kind)]
    ]  # fmt: skip
    height = HEAD + ROW_HEIGHT * len(kinds)
    scale = alt.Scale(domain=[0, 1], nice=False)
    rows = alt.Scale(domain=list(range(len(kinds))), range=[HEAD, height], paddingInner=0.25, paddingOuter=0.1)
    y = alt.Y("row:O", axis=None, scale=rows)
    x, end = alt.X("left:Q", scale=scale, axis=None), alt.X("end:Q", scale=scale, axis=None)
    bars = alt.Chart(alt.Data(values=rank_plan_rows(ranks)))
    text = alt.Chart(alt.Data(values=words))
    names = ["weights", "cache", "runtime"]
    colours = alt.Color(
        "part:N", legend=None, scale=alt.Scale(domain=names, range=[palette.weights, palette.cache, palette.reserve])
    )
    line = alt.Chart(alt.Data(values=[{"at": budget, "says": f"budget {ranks[0].budget_bytes / GB:,.2f} GB"}]))
    at = alt.X("at:Q", scale=scale, axis=None)
    return alt.layer(
        text.transform_filter("datum.fullest")
        .transform_calculate(left="-0.01", right="1.0")
        .mark_bar(height={"band": 1.2}, fill=palette.panel, stroke=palette.exceeds, cornerRadius=4)
        .encode(y=y, x=x, x2="right:Q"),
        bars.mark_bar(stroke=palette.background).encode(
            y=y, x=x, x2="right:Q", color=colours, tooltip=[alt.Tooltip("part:N"), alt.Tooltip("size:N")]
        ),
        bars.transform_filter("datum.part != 'runtime'")
        .mark_text(fontWeight=600, color=palette.on_fill)
        .encode(y=y, x=alt.X("middle:Q", scale=scale, axis=None), text="label:N"),
        text.mark_text(align="left", dy=-8, fontSize=14, fontWeight=600, color=palette.text).encode(
            y=y, x=alt.value(2), text="name:N"
        ),
        text.mark_text(align="left", dy=9, fontSize=12, color=palette.muted).encode(
            y=y, x=alt.value(2), text="holds:N"
        ),
        text.mark_text(align="left", dx=6, fontWeight=600, color=palette.text).encode(y=y, x=end, text="total:N"),
        line.mark_rule(color=palette.text, strokeWidth=2).encode(x=at, y=alt.value(HEAD - 8), y2=alt.value(height)),
        line.mark_text(align="right", fontWeight=600, color=palette.text).encode(x=at, y=alt.value(8), text="says:N"),
    ).properties(height=height)


def rank_plans_alt_text(ranks: Sequence[RankPlan]) -> str:
    """Every kind of rank in words."""
    said = []
    for kind in kinds_of_rank(ranks):
        name, holds = kind_words(kind)
        mark = ", the fullest" if any(rank.is_fullest for rank in kind) else ""
        first = kind[0]
        sizes = f"weights {format_bytes(first.weight_bytes)}, cache {format_bytes(first.cache_bytes)}"
        said.append(f"{name}{mark}: {holds}; {sizes}, {format_bytes(first.total_bytes)} in all")
    return f"{len(ranks)} ranks of one copy under a budget of {format_bytes(ranks[0].budget_bytes)}. {'. '.join(said)}."
