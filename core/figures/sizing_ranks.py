"""Who holds which KV head when one model is split over several accelerators: rows of G, columns of ranks.

A solid block is a head's first copy, an outlined one is the same head again. The bar at the right is what all ranks
together keep per token, copies included: it stops shrinking where G falls below the number of ranks.
"""

from collections.abc import Sequence
from typing import Any

from core.figures.drawing import alt
from core.figures.palette import Palette
from core.serving.tensor_parallel import HeadSplit, split_heads
from core.units import KIB

MOST_BLOCKS = 8  # KV heads drawn in one rank; above, the rank says its number
ROW_HEIGHT = 46
BAR_FROM, BAR_TO = 0.70, 0.90  # the last part of the width is for the bars and their figures


def splits(num_query_heads: int, kv_heads: Sequence[int], tensor_parallel: int) -> tuple[HeadSplit, ...]:
    """One split a G; every G must divide over the ranks."""
    return tuple(split_heads(num_query_heads, g, tensor_parallel) for g in kv_heads)


def node_bytes_per_token(split: HeadSplit, *, bytes_per_head: int) -> int:
    """KV bytes per token over all ranks, copies included; bytes_per_head is of one KV head over all layers."""
    return split.kv_heads_per_rank * split.tensor_parallel * bytes_per_head


def rank_rows(found: Sequence[HeadSplit]) -> list[dict[str, Any]]:
    """One row a drawn KV head, in a plane where all ranks together are BAR_FROM wide."""
    rows: list[dict[str, Any]] = []
    for split in found:
        seen: set[int] = set()
        width = BAR_FROM / split.tensor_parallel
        for rank in split.ranks:
            left, inner = rank.index * width, 0.86 * width
            drawn = rank.kv_heads if len(rank.kv_heads) <= MOST_BLOCKS else rank.kv_heads[:1]
            step = inner / len(drawn)
            for place, head in enumerate(drawn):
                whole = len(drawn) == len(rank.kv_heads)
                rows.append(
                    {
                        "g": f"G = {split.num_kv_heads}",
                        "left": left + place * step + 0.04 * step,
                        "right": left + (place + 1) * step - 0.04 * step,
                        "middle": left + (place + 0.5) * step,
                        "label": _block_label(split, head, len(rank.kv_heads), whole),
                        "first": head not in seen,
                    }
                )
                seen.add(head)
    return rows


def ranks_chart(
    found: Sequence[HeadSplit], palette: Palette, *, bytes_per_head: int, chosen: int | None = None
) -> alt.LayerChart | alt.FacetChart:
    """The picture; chosen gets a panel behind its row."""
    ranks = found[0].tensor_parallel
    order = [f"G = {split.num_kv_heads}" for split in found]
    totals = [node_bytes_per_token(split, bytes_per_head=bytes_per_head) for split in found]
    bars = [
        {
            "g": label,
            "left": BAR_FROM + 0.01,
            "right": BAR_FROM + 0.01 + (BAR_TO - BAR_FROM) * total / max(totals),
            "label": f"{total / KIB:,.0f} KiB",
        }
        for label, total in zip(order, totals, strict=True)
    ]
    x_scale = alt.Scale(domain=[0, 1], nice=False)
    axis = alt.Axis(title=None, ticks=False, domain=False, labelPadding=10, labelFontSize=14, labelFontWeight=600)
    y = alt.Y("g:N", sort=order, axis=axis, scale=alt.Scale(domain=order, paddingInner=0.3, paddingOuter=0.15))
    left = alt.X("left:Q", scale=x_scale, axis=None)
    blocks = alt.Chart(alt.Data(values=rank_rows(found)))
    totals_chart = alt.Chart(alt.Data(values=bars))
    layers = []
    if chosen in [split.num_kv_heads for split in found]:
        panel = alt.Chart(alt.Data(values=[{"g": f"G = {chosen}", "left": -0.01, "right": 1.0}]))
        layers.append(
            panel.mark_bar(height={"band": 1.25}, fill=palette.panel, stroke=palette.queries, cornerRadius=4).encode(
                y=y, x=left, x2="right:Q"
            )
        )
    middle = alt.X("middle:Q", scale=x_scale, axis=None)
    layers += [
        blocks.transform_filter("datum.first")
        .mark_bar(height={"band": 1}, color=palette.keys_values, cornerRadius=2)
        .encode(y=y, x=left, x2="right:Q"),
        blocks.transform_filter("!datum.first")
        .mark_bar(
            height={"band": 1}, fill=palette.background, stroke=palette.keys_values, strokeDash=[4, 3], cornerRadius=2
        )
        .encode(y=y, x=left, x2="right:Q"),
        blocks.transform_filter("datum.first")
        .mark_text(fontSize=12, color=palette.on_fill, fontWeight=600)
        .encode(y=y, x=middle, text="label:N"),
        blocks.transform_filter("!datum.first")
        .mark_text(fontSize=12, color=palette.keys_values)
        .encode(y=y, x=middle, text="label:N"),
        totals_chart.mark_bar(height={"band": 0.55}, color=palette.cache).encode(y=y, x=left, x2="right:Q"),
        totals_chart.mark_text(align="left", dx=6, fontWeight=600, color=palette.text).encode(
            y=y, x=alt.X("right:Q", scale=x_scale, axis=None), text="label:N"
        ),
        *_headers(ranks, x_scale, palette),
    ]
    return alt.layer(*layers).properties(height=ROW_HEIGHT * len(order))


def ranks_alt_text(found: Sequence[HeadSplit], *, bytes_per_head: int) -> str:
    """Every G in words."""
    said = [
        f"G = {split.num_kv_heads}: KV heads on each {split.kv_heads_per_rank}, copies of each {split.copies}, "
        f"{node_bytes_per_token(split, bytes_per_head=bytes_per_head) / KIB:,.0f} KiB per token over all"
        for split in found
    ]
    return f"KV heads over {found[0].tensor_parallel} accelerators. {'; '.join(said)}."


def _block_label(split: HeadSplit, head: int, held: int, whole: bool) -> str:
    if not whole:
        return f"{held} heads"
    return str(head + 1) if held * split.tensor_parallel <= 2 * MOST_BLOCKS else ""


def _headers(ranks: int, x_scale: alt.Scale, palette: Palette) -> list[alt.Chart]:
    width = BAR_FROM / ranks
    name = "GPU " if ranks <= 8 else ""
    rows = [{"x": (rank + 0.43) * width, "says": f"{name}{rank + 1}"} for rank in range(ranks)]
    ranks_named = alt.Chart(alt.Data(values=rows)).mark_text(dy=-12, fontSize=12, color=palette.muted)
    total = alt.Chart(alt.Data(values=[{"x": BAR_FROM + 0.01, "says": "KV per token, all GPUs"}]))
    x = alt.X("x:Q", scale=x_scale, axis=None)
    return [
        ranks_named.encode(x=x, y=alt.value(0), text="says:N"),
        total.mark_text(dy=-12, fontSize=12, align="left", color=palette.muted).encode(
            x=x, y=alt.value(0), text="says:N"
        ),
    ]
