"""What fills one accelerator that serves a model: one bar from its first byte to its last, each request a box."""

from typing import Any, Literal

from core.figures.drawing import alt
from core.figures.marks import where_they_fit
from core.figures.palette import Palette, mixed
from core.serving.budget import is_another_server_s
from core.serving.serve import MemoryPart, Served, device_words, memory_parts
from core.units import GB, format_bytes

MOST_BOXES = 64  # requests beyond it are drawn as one stretch
TOP, FOOT = 32, 88  # px of the bar


def part_rows(served: Served) -> list[dict[str, Any]]:
    """One row a stretch, in GB: where it begins and ends, its name and its size, and the room of its words: all of it,
    or the longer piece beside the budget's line, which would cross them."""
    rows, ends, budget = [], 0.0, served.plan.budget_bytes / GB
    parts = memory_parts(served)
    whole = sum(part.num_bytes for part in parts if part.name != "missing")
    for part in parts:
        start, ends = ends, ends + part.num_bytes / GB
        if part.name == "missing":  # it lies within the stretches before, beyond the budget
            start, ends = budget, whole / GB
        words = (start, ends)
        if start < budget < ends:
            words = max((start, budget), (budget, ends), key=lambda piece: piece[1] - piece[0])
        rows.append(
            {
                "part": part.name,
                "left": start,
                "right": ends,
                "words_left": words[0],
                "words_right": words[1],
                "size": format_bytes(part.num_bytes),
                "says": part.says,
                "label": _label(part) if part.name != "missing" else "",
            }
        )
    return rows


def _label(part: MemoryPart) -> str:
    short = {"outside": "not the engine's", "reserve": "runtime", "unseen": "unseen"}
    return f"{short.get(part.name, part.name)} {format_bytes(part.num_bytes)}"


def request_rows(served: Served) -> list[dict[str, Any]]:
    """The edges between requests inside the cache, in GB; none where there are too many to tell apart."""
    made = served.plan
    count = made.job.batch_per_replica
    if not 1 < count <= MOST_BOXES:
        return []
    each = made.cached_bytes / count
    return [{"place": (made.loaded_bytes + each * number) / GB} for number in range(1, count)]


def memory_chart(served: Served, palette: Palette) -> alt.LayerChart | alt.FacetChart:
    """The bar under its budget line; what lies outside the engine's share is pale."""
    rows = [row for row in part_rows(served) if row["part"] != "missing"]
    right = max(row["right"] for row in rows)
    longest = max(right, served.plan.budget_bytes / GB) * 1.002
    scale = alt.Scale(domain=[0, longest], nice=False)
    names = ["weights", "cache", "reserve", "free", "outside", "unseen"]
    fills = [palette.weights, palette.cache, palette.reserve, palette.panel, palette.ghost, palette.line]
    solid = served.plan.headroom_bytes >= 0
    shown = fills if solid else [mixed(fill, palette.background, 0.45) for fill in fills]
    colours = alt.Color("part:N", legend=None, scale=alt.Scale(domain=names, range=shown))
    x = alt.X("left:Q", scale=scale, axis=None)
    bars = alt.Chart(alt.Data(values=rows))
    text = bars.transform_calculate(middle="(datum.words_left + datum.words_right) / 2")
    text = text.transform_filter(where_they_fit("label", f"(datum.words_right - datum.words_left) / {longest}"))
    middle = alt.X("middle:Q", scale=scale, axis=None)
    filled = "datum.part == 'weights' || datum.part == 'cache'"
    budget = alt.Chart(alt.Data(values=[{"at": served.plan.budget_bytes / GB, "says": _budget_words(served)}]))
    at = alt.X("at:Q", scale=scale, axis=None)
    side: Literal["left", "right"] = "left" if served.plan.budget_bytes / GB < right / 3 else "right"
    top, foot, line = alt.value(TOP), alt.value(FOOT), alt.value((TOP + FOOT) / 2)
    return alt.layer(
        bars.mark_bar(stroke=palette.background).encode(
            x=x,
            x2="right:Q",
            y=top,
            y2=foot,
            color=colours,
            tooltip=[alt.Tooltip("says:N"), alt.Tooltip("size:N")],
        ),
        alt.Chart(alt.Data(values=request_rows(served)))
        .mark_rule(color=palette.background, strokeWidth=1)
        .encode(x=alt.X("place:Q", scale=scale, axis=None), y=top, y2=foot),
        text.transform_filter("datum.part == 'cache'")
        .mark_text(fontWeight=600, stroke=shown[1], strokeWidth=6, strokeJoin="round", color=shown[1])
        .encode(x=middle, y=line, text="label:N"),
        text.transform_filter(filled)
        .mark_text(fontWeight=600, color=palette.on_fill if solid else palette.text)
        .encode(x=middle, y=line, text="label:N"),
        text.transform_filter(f"!({filled})").mark_text(color=palette.text).encode(x=middle, y=line, text="label:N"),
        budget.mark_rule(color=palette.text, strokeWidth=2).encode(x=at, y=alt.value(TOP - 10), y2=alt.value(FOOT + 8)),
        budget.mark_text(align=side, dx=-4 if side == "left" else 4, fontWeight=600, color=palette.text).encode(
            x=at, y=alt.value(TOP - 20), text="says:N"
        ),
    ).properties(height=FOOT + 8)


def _budget_words(served: Served) -> str:
    return f"budget {served.plan.budget_bytes / GB:,.2f} GB"


def memory_alt_text(served: Served) -> str:
    """Every stretch with its size, in order."""
    said = ", ".join(f"{part.says} {format_bytes(part.num_bytes)}" for part in memory_parts(served))
    whole = f"One {served.job.device.name}"
    if is_another_server_s(served.job):
        words = device_words(served.job)
        whole = f"{words[:1].upper()}{words[1:]}"
    return f"{whole}: {said}; the budget is {format_bytes(served.plan.budget_bytes)}."
