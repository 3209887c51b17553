"""What one request pins of an engine's pool: the groups as rows, their pages as boxes.

A page is solid as far as the request's tokens or states fill it and hatched where it is only pinned; a frame in dashes
is room that the group has for layers that do not exist. Where groups have pages of several sizes a row is as long as
its bytes; a row of more pages than can be told apart is cut, or one stretch.
"""

from typing import Any

from core.engines.plan import CacheGroup, EnginePlan
from core.figures.drawing import alt
from core.figures.marks import Picture, boxes, lines, words
from core.figures.palette import Palette
from core.units import format_bytes

MOST_ROWS, MOST_BOXES = 9, 24
LEFT, RIGHT = 0.30, 0.86
LEAST = 0.012  # of the picture: a box that is narrower is no box
GAP = 0.006  # on either side of a box, at most
CUT = "…"
NARROW_PX = 400  # below it, as on a phone, a row is named "full, 32 layers"
ROW_PX = 44
WIDE_PX, HATCH_PX = 900, 8  # the picture as it is mostly drawn, and from one line of the hatching to the next


def pages_rows(plan: EnginePlan) -> list[dict[str, Any]]:
    """One row a group that has pages: how many are pinned, what share of them is filled, and its layers."""
    found = [group for group in plan.groups if group.pages_per_request and group.page_bytes]
    return [_row(group) for group in found[:MOST_ROWS]]


def _row(group: CacheGroup) -> dict[str, Any]:
    pages, page_bytes = group.pages_per_request or 0, group.page_bytes or 0
    pinned = pages * page_bytes
    filled = pinned if group.filled_bytes is None else min(group.filled_bytes, pinned)
    places = group.num_layers + group.padded_layers
    return {
        "name": f"{group.kind}, {group.num_layers} layer{'s' if group.num_layers != 1 else ''}",
        "pages": pages,
        "page_bytes": page_bytes,
        "filled": filled / pinned if pinned else 0.0,
        "padded": group.padded_layers / places if places else 0.0,
        "pinned": pinned,
        "place_bytes": page_bytes * places // max(group.num_layers, 1),  # of a page with the places of no layer
    }


def pages_chart(plan: EnginePlan, colours: Palette) -> Picture:
    """The picture; rows as pages_rows has them."""
    rows = pages_rows(plan)
    marks: dict[str, list[dict[str, Any]]] = {"pinned": [], "filled": [], "padded": [], "hatched": []}
    texts: list[dict[str, Any]] = []
    figures: list[dict[str, Any]] = []
    cuts: list[dict[str, Any]] = []
    for place, row in enumerate(rows):
        top, bottom = (place + 0.14) / len(rows), (place + 0.86) / len(rows)
        middle = (top + bottom) / 2
        name = row["name"]
        texts.append({"x": LEFT - 0.015, "y": middle, "text": name, "short": name.replace(" attention", "")})
        drawn, width = _boxes(row, rows)
        gap = min(0.06 * width, GAP)
        cut = drawn - 2 if 1 < drawn < row["pages"] else None  # the place of what is left out
        figures.append({"x": LEFT + drawn * width + 0.012, "y": middle, "text": _figure(row)})
        if row["padded"]:
            frame = {"left": LEFT + gap, "right": LEFT + drawn * width - gap}
            marks["padded"].append({**frame, "top": bottom - (bottom - top) * row["padded"], "bottom": bottom})
        for box in range(drawn):
            left = LEFT + box * width + gap
            if box == cut:
                cuts.append({"x": LEFT + (box + 0.5) * width, "y": middle, "text": CUT})
            else:
                _page(marks, row, box / drawn, drawn, left, width - 2 * gap, top, bottom)
    looks: tuple[tuple[str, str, dict[str, Any]], ...] = (
        ("pinned", "transparent", {"stroke": colours.cache, "strokeWidth": 1}),
        ("filled", colours.cache, {}),
        ("padded", "transparent", {"stroke": colours.muted, "strokeWidth": 1.5, "strokeDash": [4, 3]}),
    )
    layers = [
        # a layer without marks would be an unnamed picture to a screen reader
        *(boxes(marks[name], fill, **look) for name, fill, look in looks if marks[name]),
        *([lines(marks["hatched"], colours.cache, width=1)] if marks["hatched"] else []),
        words(texts, colours.text, 13, align="right", narrow_px=NARROW_PX),
        words(figures, colours.muted, 12, align="left"),
        *([words(cuts, colours.text, 13, bold=True)] if cuts else []),
    ]
    return alt.layer(*layers).properties(width="container", height=ROW_PX * max(len(rows), 1))


def _boxes(row: dict[str, Any], rows: list[dict[str, Any]]) -> tuple[int, float]:
    """How many boxes a row has and how wide one is: as many as pages where every group has pages of one size, else
    as long as its bytes, and so where several rows would be cut."""
    long_rows = sum(other["pages"] > MOST_BOXES for other in rows)
    if len({other["place_bytes"] for other in rows}) == 1 and long_rows < 2:
        most = min(max(other["pages"] for other in rows), MOST_BOXES)
        return min(row["pages"], most), (RIGHT - LEFT) / most
    taken = [other["pages"] * other["place_bytes"] for other in rows]
    long = max((RIGHT - LEFT) * row["pages"] * row["place_bytes"] / max(taken), LEAST / 2)
    drawn = row["pages"] if long / row["pages"] >= LEAST else 1
    return drawn, long / drawn


def _page(
    marks: dict[str, list[dict[str, Any]]], row: dict[str, Any], begins: float, drawn: int, left: float, width: float,
    top: float, bottom: float,
) -> None:  # fmt: skip
    """One page: the part that is filled, from the left of the whole row on, and below it the places of no layer."""
    deep = bottom - top
    padded = top + deep * (1 - row["padded"])
    marks["pinned"].append({"left": left, "right": left + width, "top": top, "bottom": padded})
    share = min(max((row["filled"] / (1 - row["padded"]) - begins) * drawn, 0.0), 1.0)
    if share:
        marks["filled"].append({"left": left, "right": left + share * width, "top": top, "bottom": padded})
    if share < 1:
        marks["hatched"] += hatching(left + share * width, left + width, top, padded, deep)


def hatching(left: float, right: float, top: float, bottom: float, row_deep: float) -> list[dict[str, Any]]:
    """Slanted lines that fill a rectangle, cut at its edges; row_deep is 0.72 of a row's height on the plane."""
    across, down = 1 / WIDE_PX, row_deep / (0.72 * ROW_PX)
    wide, deep = (right - left) / across, (bottom - top) / down
    found = []
    for step in range(1, int((wide + deep) // HATCH_PX) + 1):
        at = step * HATCH_PX
        begins, ends = max(0.0, at - deep), min(at, wide)  # from the lower left to the upper right
        if ends - begins > 1:
            line = {"x": left + begins * across, "y": top + (at - begins) * down}
            found.append({**line, "x2": left + ends * across, "y2": top + (at - ends) * down})
    return found


def _figure(row: dict[str, Any]) -> str:
    return f"{row['pages']:,} × {format_bytes(row['page_bytes'])}"


def pages_alt_text(plan: EnginePlan) -> str:
    """The same in words."""
    said = [
        f"{row['name']}: {row['pages']:,} pages of {format_bytes(row['page_bytes'])}, {row['filled']:.0%} filled"
        for row in pages_rows(plan)
    ]
    return f"What one request takes in {plan.version}: {'; '.join(said)}."
