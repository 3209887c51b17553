"""Scenarios side by side as bars: weights, cache and reserve of each against its own budget, on one scale."""

from collections.abc import Sequence
from textwrap import shorten
from typing import Any

from core.figures.drawing import alt
from core.figures.marks import Picture, boxes, lines, words
from core.figures.palette import Palette, mixed
from core.serving.scenarios import ScenarioRow
from core.units import GB, format_bytes

LEFT, RIGHT = 0.0, 0.86  # of the width: bars; their figures stand beside them
ROW_PX = 56
BUDGETS = 2.15  # the scale ends at so many of the largest budget: a longer bar is cut and says its size
FADED = 0.4
MOST_CHARACTERS = 100
ORDINALS = ("first", "second", "third", "fourth")  # of MOST_SCENARIOS


def scenarios_chart(rows: Sequence[ScenarioRow], colours: Palette) -> Picture:
    """A row a scenario: its name, its bar below, a line where its budget ends, and its total; faded: does not fit."""
    whole = scale_bytes(rows)
    hues = {"weights": colours.weights, "cache": colours.cache, "reserve": colours.reserve}
    layers: list[alt.Chart] = []
    for fits in (True, False):
        for part, hue in hues.items():
            found = [box for box in part_boxes(rows, whole) if box["part"] == part and box["fits"] is fits]
            fill = hue if fits else mixed(hue, colours.background, FADED)
            layers += [boxes(found, fill, radius=0, tooltip=True)] if found else []
    budgets, names, totals = _marks(rows, whole)
    layers += [
        lines(budgets, colours.text, width=2),
        words(names, colours.text, 13, align="left", bold=True),
        words(totals, colours.text, 12, align="left"),
        *_key(colours, len(rows)),
    ]
    return alt.layer(*layers).properties(width="container", height=ROW_PX * len(rows) + 26)


def scale_bytes(rows: Sequence[ScenarioRow]) -> int:
    """Where the scale ends: at the longest bar, but not beyond BUDGETS of the largest budget."""
    budget = max(row.plan.budget_bytes for row in rows)
    longest = max(max(row.plan.total_bytes for row in rows), budget)
    return max(round(min(longest, BUDGETS * budget)), 1)


def part_boxes(rows: Sequence[ScenarioRow], whole: int) -> list[dict[str, Any]]:
    """One box a part that shows: its edges on the picture's plane, what it is, and whether its job fits."""
    found = []
    for place, row in enumerate(rows):
        plan, ends = row.plan, 0
        parts = {
            "weights": plan.loaded_bytes,
            "cache": plan.cached_bytes,
            "reserve": plan.runtime_bytes,
        }
        for part, num_bytes in parts.items():
            start, ends = ends, ends + num_bytes
            if start < whole and num_bytes:
                edges = {"left": _place(start, whole), "right": _place(ends, whole)}
                top = _height(place, 0.46, len(rows))
                says = f"{part} {format_bytes(num_bytes, 2)}"
                found.append(
                    {"part": part, "fits": plan.fits, **edges, "top": top, "bottom": _height(place, 0.86, len(rows)),
                     "says": says}
                )  # fmt: skip
    return found


def _marks(rows: Sequence[ScenarioRow], whole: int) -> tuple[list[Any], list[Any], list[Any]]:
    """Budget lines, names and totals."""
    count = len(rows)
    budgets, names, totals = [], [], []
    for place, row in enumerate(rows):
        plan, middle = row.plan, _height(place, 0.66, count)
        at = _place(plan.budget_bytes, whole)
        budgets.append({"x": at, "x2": at, "y": _height(place, 0.38, count), "y2": _height(place, 0.94, count)})
        name = shorten(row.name, MOST_CHARACTERS, placeholder=" …")
        names.append({"x": LEFT, "y": _height(place, 0.22, count), "text": f"{place + 1}. {name}"})
        end = max(_place(plan.total_bytes, whole), at)
        cut = " →" if plan.total_bytes > whole else ""
        mark = "✓ " if plan.fits else ""
        totals.append({"x": end + 0.008, "y": middle, "text": f"{mark}{format_bytes(plan.total_bytes, 2)}{cut}"})
    return budgets, names, totals


def _key(colours: Palette, count: int) -> list[alt.Chart]:
    """Under the bars, what the colours and the line are."""
    y = 1 - 10 / (ROW_PX * count + 26)
    half = 5 / (ROW_PX * count + 26)
    entries = (("weights", colours.weights, 0.0), ("cache", colours.cache, 0.1), ("reserve", colours.reserve, 0.185))
    swatches = [
        boxes([{"left": x, "right": x + 0.012, "top": y - half, "bottom": y + half}], hue, radius=0)
        for _, hue, x in entries
    ]
    said = [{"x": x + 0.018, "y": y, "text": name} for name, _, x in entries]
    said.append({"x": 0.29, "y": y, "text": "line: the budget; what is faded does not fit"})
    return [*swatches, words(said, colours.text, 12, align="left")]


def _place(num_bytes: int, whole: int) -> float:
    return LEFT + (RIGHT - LEFT) * min(num_bytes / whole, 1)


def _height(place: int, part: float, count: int) -> float:
    return (place + part) * ROW_PX / (ROW_PX * count + 26)


def scenarios_sentence(rows: Sequence[ScenarioRow]) -> str:
    """How many fit; and each one's G where it moved without being named: it moves the bytes as much as what is."""
    fitting = [row for row in rows if row.plan.fits]
    devices = {row.plan.job.device.name for row in rows}
    device = "accelerator" if len(devices) > 1 else rows[0].plan.job.device.name
    if len(fitting) == len(rows):
        said = f"What fills one {device} in each scenario. {'All of them fit.' if len(rows) > 1 else 'It fits.'}"
    else:
        fit = f"{len(fitting)} of {len(rows)} fit{'s' if len(fitting) == 1 else ''}."
        said = f"What fills one {device} in each scenario. {fit}"
    heads = [row.option.num_kv_heads for row in rows]
    if all(g in (None, heads[0]) or f"G = {g}" in row.name for g, row in zip(heads, rows, strict=True)):
        return said
    each = [f"{g} in the {place}" for g, place in zip(heads, ORDINALS, strict=False) if g is not None]
    return f"{said} G is not the same: {', '.join(each)}."


def scenarios_alt_text(rows: Sequence[ScenarioRow]) -> str:
    """Every bar in words."""
    said = [
        f"{place}. {row.name}: weights {row.plan.loaded_bytes / GB:,.2f} GB, cache "
        f"{row.plan.cached_bytes / GB:,.2f} GB, reserve "
        f"{row.plan.runtime_bytes / GB:,.2f} GB of a budget of {row.plan.budget_bytes / GB:,.2f} GB, {row.verdict}"
        for place, row in enumerate(rows, start=1)
    ]
    return f"Memory of one accelerator side by side. {'; '.join(said)}."
