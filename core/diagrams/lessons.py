"""Pictures of the lessons: each a function of plain numbers and a palette that returns the chart, what it shows in a
sentence, and the same in words for people who do not see it.

The pictures stand in the modules named below; `picture` finds one by its name, so that pages can keep the finished
specs in a cache.
"""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import altair as alt

from core.palette import Palette

Row = dict[str, Any]
MODULES = ("lesson_bytes", "lesson_formula", "lesson_levers", "lesson_layouts", "lesson_cases", "lesson_pick")


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
        found |= import_module(f"core.diagrams.{module}").PICTURES
    return found


def data(rows: list[Row]) -> alt.Data:
    return alt.Data(values=rows)


def made(chart: Any, sentence: str, alt_text: str) -> Picture:
    return Picture(spec=chart.to_dict(), sentence=sentence, alt_text=alt_text)


def label(rows: list[Row], colour: str, **mark: Any) -> alt.Chart:
    """Text marks at the rows' `text`; x and y are the caller's to encode."""
    return alt.Chart(data(rows)).mark_text(color=colour, **mark).encode(text="text:N")
