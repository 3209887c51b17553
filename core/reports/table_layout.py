"""A table's columns, rows and type on a page, before any format is written: nothing short is broken, nothing is lost.

Widths are inches, reckoned at the widest likely font; a cell's text wraps between words alone.
"""

from functools import lru_cache

from core.reports.exports import Table
from core.reports.text_width import LINE_EM, hundredths, inches, words_height, wrap

CELL_SIDE_IN, CELL_TOP_IN = 0.08, 0.05  # what a cell keeps free at each side, and above and below
LONGEST_LINE = 26  # characters of a cell that stay on one line, so that a figure is never parted from its unit


def parts_of(row: tuple[str, ...], widths: tuple[float, ...], points: int, tall_in: float) -> list[tuple[str, ...]]:
    """The row, or where it is taller than a page its lines as rows that follow each other."""
    if row_height(row, widths, points) <= tall_in:
        return [row]
    lines = [wrap(cell, across - 2 * CELL_SIDE_IN, points) for cell, across in zip(row, widths, strict=True)]
    count = max(int((tall_in - 2 * CELL_TOP_IN) * 72 / points / LINE_EM), 1)
    starts = range(0, max(map(len, lines)), count)
    return [tuple(" ".join(cell[start : start + count]).strip() for cell in lines) for start in starts]


def columns_that_fit(table: Table, across_in: float, points: int) -> list[Table]:
    """The table, or parts of its columns that each begin with the first, none with a broken figure."""
    heads, _ = table
    if wide_enough(table, across_in, points) or len(heads) < 3:
        return [table]
    parts: list[list[int]] = [[0]]
    for column in range(1, len(heads)):
        tried = [*parts[-1], column]
        if len(parts[-1]) > 1 and not wide_enough(_chosen(table, tried), across_in, points):
            parts.append([0, column])
        else:
            parts[-1] = tried
    return [_chosen(table, part) for part in parts]


def _chosen(table: Table, columns: list[int]) -> Table:
    heads, rows = table
    return tuple(heads[c] for c in columns), tuple(tuple(row[c] for c in columns) for row in rows)


def whole_points(table: Table, across_in: float, tall_in: float, sizes: tuple[int, int]) -> int:
    """The largest type at which the whole table stands in the room; 0 where none does."""
    for points in range(sizes[0], sizes[1] - 1, -1):
        if (
            wide_enough(table, across_in, points)
            and sum(row_heights(table, column_widths(table, across_in, points), points)) <= tall_in
        ):
            return points
    return 0


def wide_enough(table: Table, across_in: float, points: int) -> bool:
    """Whether all columns fit side by side in that type with no figure and no word broken."""
    return sum(_needed(table, points)) <= across_in


def row_heights(table: Table, widths: tuple[float, ...], points: int) -> tuple[float, ...]:
    """Inches of the head and of each row."""
    heads, rows = table
    return row_height(heads, widths, points, bold=True), *(row_height(row, widths, points) for row in rows)


def row_height(row: tuple[str, ...], widths_in: tuple[float, ...], points: int, *, bold: bool = False) -> float:
    """Inches of the row's tallest cell."""
    heights = (
        words_height(cell, max(across - 2 * CELL_SIDE_IN, 0.1), points, bold=bold)
        for cell, across in zip(row, widths_in, strict=True)
    )
    return max(heights, default=0.0) + 2 * CELL_TOP_IN


def column_widths(table: Table, across_in: float, points: int) -> tuple[float, ...]:
    """What each column needs so that nothing short is broken, and the more beyond it the more its longest cell holds.

    No column is wider than its longest cell while another one breaks its own.
    """
    needed = _needed(table, points)
    if sum(needed) >= across_in:
        return tuple(need * across_in / sum(needed) for need in needed)
    wanted = [max(inches(widest, points) + 2 * CELL_SIDE_IN, need)
              for (_, widest), need in zip(_widest(table), needed, strict=True)]  # fmt: skip
    spare = across_in - sum(wanted)
    if spare >= 0:
        return tuple(want + spare * want / sum(wanted) for want in wanted)
    least, most = 0.0, max(wanted)
    for _ in range(24):  # halves the bracket: to a millionth of the longest cell
        middle = (least + most) / 2
        widths = _levelled(needed, wanted, middle)
        least, most = (middle, most) if sum(widths) < across_in else (least, middle)
    return tuple(_levelled(needed, wanted, least))


def _levelled(needed: list[float], wanted: list[float], level: float) -> list[float]:
    """Widths that grow with the level and with what a column holds, between what it needs and what it wants."""
    return [min(max(need, level * want**0.7), want) for need, want in zip(needed, wanted, strict=True)]


def _needed(table: Table, points: int) -> list[float]:
    """Inches of each column in which every short cell is one line and every word is whole."""
    return [inches(unbroken, points) + 2 * CELL_SIDE_IN for unbroken, _ in _widest(table)]


@lru_cache(maxsize=64)
def _widest(table: Table) -> tuple[tuple[int, int], ...]:
    """Of each column, in hundredths of an em: what may not be broken, and its longest cell on one line."""
    heads, rows = table
    return tuple(
        (
            max(
                *(hundredths(word, bold=True) for word in head.split() or [""]),
                *(hundredths(piece) for row in rows for line in row[at].split("\n") for piece in _unbroken(line)),
                0,
            ),
            max(hundredths(cell) for cell in (head, *(row[at] for row in rows))),
        )
        for at, head in enumerate(heads)
    )


def _unbroken(line: str) -> list[str]:
    return [line] if len(line) <= LONGEST_LINE else line.split()
