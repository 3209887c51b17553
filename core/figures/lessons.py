"""Pictures of the lessons: each a function of plain numbers and a palette that returns the chart, what it shows in a
sentence, and the same in words for people who do not see it.

The pictures stand in the modules named below; `picture` finds one by its name, so that pages can keep the finished
specs in a cache.
"""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from core.figures.drawing import alt, written
from core.figures.palette import Palette, mixed

Row = dict[str, Any]
MODULES = (
    "lesson_bytes",
    "lesson_formula",
    "lesson_levers",
    "lesson_layouts",
    "lesson_cases",
    "lesson_falcon",
    "lesson_pick",
)


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A Vega-Lite spec, the sentence that stands above it, and its alt text."""

    spec: dict[str, Any]
    sentence: str
    alt_text: str


def picture(name: str, colours: Palette, **inputs: Any) -> Picture:
    """The lessons' picture of that name. Raises ValueError for an unknown name or inputs that it refuses."""
    return _drawers()[name](colours, **inputs)


def _drawers() -> dict[str, Callable[..., Picture]]:
    found: dict[str, Callable[..., Picture]] = {}
    for module in MODULES:
        found |= import_module(f"core.figures.{module}").PICTURES
    return found


def data(rows: list[Row]) -> alt.Data:
    return alt.Data(values=rows)


def made(chart: Any, sentence: str, alt_text: str) -> Picture:
    return Picture(spec=written(chart), sentence=sentence, alt_text=alt_text)


def label(rows: list[Row], colour: str, **mark: Any) -> alt.Chart:
    """Text marks at the rows' `text`; x and y are the caller's to encode."""
    return alt.Chart(data(rows)).mark_text(color=colour, **mark).encode(text="text:N")


def haloed(rows: list[Row], colour: str, colours: Palette, **mark: Any) -> list[alt.Chart]:
    """The same text marks over an edge of the page's colour, so that no line runs through the words."""
    edge = label(rows, colours.background, stroke=colours.background, strokeWidth=5, strokeJoin="round", **mark)
    return [edge, label(rows, colour, **mark)]


def stacked_bars(
    rows: list[Row],
    ends: list[Row],
    order: list[str],
    widest: float,
    title: str,
    colours: Palette,
    chosen: str = "",
    room_px: int = 330,
) -> Any:
    """Horizontal bars of parts with a text behind each, in room_px; beside the chosen one the others are pale."""
    x_scale = alt.Scale(domain=[0, widest], nice=False)
    axis = alt.Axis(labelFontSize=14, ticks=False, domain=False, labelFontWeight="bold")
    y = alt.Y("bar:N", sort=order, title=None, axis=axis)
    x = alt.X("from:Q", scale=x_scale, title=title, axis=alt.Axis(grid=False, tickCount=5))
    shown = [
        {**row, "hue": mixed(row["hue"], colours.background, 0.55)} if chosen and row["bar"] != chosen else row
        for row in rows
    ]
    step = min(84, room_px // len(order))  # few bars are drawn thick, many still fit
    bars = (
        alt.Chart(data(shown))
        .mark_bar(height=round(0.62 * step))
        .encode(x=x, x2="to:Q", y=y, color=alt.Color("hue:N", scale=None))
    )
    words = label(ends, colours.text, align="left", dx=8, fontSize=14).encode(x=alt.X("at:Q", scale=x_scale), y=y)
    return alt.layer(bars, words).properties(height=step * len(order) + 50)


def plain_axis() -> alt.Axis:
    return alt.Axis(labelFontSize=14, ticks=False, domain=False)


def top_axis() -> alt.Axis:
    return alt.Axis(labelFontSize=14, ticks=False, domain=False, orient="top", labelAngle=0)
