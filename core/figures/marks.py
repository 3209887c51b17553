"""Pieces that the hand-laid pictures share: boxes, words and lines on a plane from 0 to 1, y downwards."""

from typing import Any, Literal

from core.figures.drawing import alt

Row = dict[str, Any]
Align = Literal["left", "center", "right"]
Picture = alt.LayerChart | alt.FacetChart
LETTER_EM, BESIDE_PX = 0.58, 6  # how wide a letter is at the most on average, and what words in a box keep free
UNIT = alt.Scale(domain=[0, 1], nice=False, zero=False)
DOWN = alt.Scale(domain=[0, 1], nice=False, zero=False, reverse=True)


def x_of(field: str) -> alt.X:
    return alt.X(f"{field}:Q", scale=UNIT, axis=None)


def y_of(field: str) -> alt.Y:
    return alt.Y(f"{field}:Q", scale=DOWN, axis=None)


def boxes(rows: list[Row], colour: str, *, radius: int = 3, tooltip: bool = False, **mark: Any) -> alt.Chart:
    """One rectangle a row, from left, right, top and bottom; with tooltip, the row's 'says'."""
    chart = alt.Chart(alt.Data(values=rows)).mark_rect(color=colour, cornerRadius=radius, **mark)
    chart = chart.encode(x=x_of("left"), x2="right:Q", y=y_of("top"), y2="bottom:Q")
    return chart.encode(tooltip=alt.Tooltip("says:N", title=" ")) if tooltip else chart


def words(
    rows: list[Row], colour: str, size: int, *, align: Align = "center", bold: bool = False, narrow_px: int = 0
) -> alt.Chart:
    """One line of text a row, from x, y and text; where the picture is below narrow_px wide, from short."""
    chart = alt.Chart(alt.Data(values=rows)).mark_text(
        color=colour, fontSize=size, align=align, baseline="middle", fontWeight="bold" if bold else "normal"
    )
    text = alt.value(alt.ExprRef(f"width < {narrow_px} ? datum.short : datum.text")) if narrow_px else "text:N"
    return chart.encode(x=x_of("x"), y=y_of("y"), text=text)


def lines(rows: list[Row], colour: str, *, width: float = 1.8) -> alt.Chart:
    """One straight line a row, from x, y to x2, y2."""
    chart = alt.Chart(alt.Data(values=rows)).mark_rule(color=colour, strokeWidth=width)
    return chart.encode(x=x_of("x"), y=y_of("y"), x2="x2:Q", y2="y2:Q")


def strips(rows: list[Row], colour: str, *, cell: float, gap: float, high: float) -> alt.Chart:
    """Cells of one height in lines, a row from x to x2 at y: a line as thick as a cell is high, dashed where gaps are.

    cell and gap are shares of the picture's width and high one of its height. A browser draws a line for each row,
    where it would draw a rectangle for each cell.
    """
    dash, thick = alt.ExprRef(f"[width * {cell}, width * {gap}]"), alt.ExprRef(f"height * {high}")
    chart = alt.Chart(alt.Data(values=rows)).mark_rule(
        color=colour,
        strokeDash=dash,
        strokeWidth=thick,
        clip=True,  # else half of it is room beside the picture too
    )
    return chart.encode(x=x_of("x"), y=y_of("y"), x2="x2:Q")


def with_room_for_names(chart: Picture, names_px: float, until: float) -> Picture:
    """The plane goes on to the left of 0 where what lies left of `until`, a place on it, is less than names_px wide."""
    domain: list[Any] = [alt.ExprRef(f"min(0, ({until} * width - {names_px:.0f}) / max(width - {names_px:.0f}, 1))"), 1]
    layered: Any = chart
    for layer in layered.layer:
        layer.encoding.x.scale = alt.Scale(domain=domain, nice=False, zero=False)
    return chart


def words_px(text: str, size: int = 13) -> str:
    """A Vega expression: px that the words of that expression take, with the room that they keep free beside them."""
    return f"({LETTER_EM * size:.2f} * length({text}) + {BESIDE_PX})"


def where_they_fit(field: str, share: str, size: int = 13) -> str:
    """A filter: rows whose words stand in their box at the width that the picture has, on a desk, a phone, on paper.

    share is a Vega expression: the box's width as a share of the plot's.
    """
    return f"width * ({share}) >= {words_px(f'datum.{field}', size)}"
