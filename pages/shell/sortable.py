"""A table that sorts on a click on a column's head, drawn in one go: assets/sortable.js.

Streamlit's grid is a canvas, which stands a third of a second after the rest of its page and holds its words for nobody
but a screen reader (benchmarks/interface.md). This is a table of the page: it is found by the browser's search, copied,
and read out. A click on a row shows whole what its columns cut off; Enter does for every row.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import streamlit as st

from pages.shell import present

ROW_PX = 35  # 2.1875rem in headroom.css
Cell = str | int | float | None

_component = st.components.v2.component(
    "headroom_sortable",
    html='<div class="headroom-sortable" role="region" tabindex="0"></div>',
    js=(Path(__file__).parents[1] / "assets" / "sortable.js").read_text(encoding="utf-8"),
    isolate_styles=False,  # its style sheet is the page's, which the browser has: a further one is all worked out again
)


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column's head, what it means, its width, the digits after the point of its numbers, and what orders it."""

    name: str
    help: str = ""
    width: int | None = None  # px; where no column says it, each is as wide as what is in it
    digits: int | None = None
    by: str = ""  # the column whose figures this one writes in words: it is sorted by those


def show(
    columns: Sequence[Column], rows: Sequence[Sequence[Cell]], *, key: str, alt: str, tallest_px: int | None = None
) -> None:
    """The table, no taller than that: the rest of it scrolls. In a room a table without that is as tall as it is."""
    whole_px = ROW_PX * (len(rows) + 1) + 2
    height = None if tallest_px is None and present.in_a_room() else min(whole_px, tallest_px or whole_px)
    cells = {"columns": [asdict(column) for column in columns], "rows": [list(row) for row in rows]}
    _component(key=key, data={**cells, "alt": alt, "height": height}, height=height or "content")
