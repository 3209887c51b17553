"""A table that leaves: as Markdown for a document, and with plain numbers and units in its heads for a spreadsheet."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from core.host.spreadsheet import is_nan
from core.reports.exports import Table


def markdown_rows(rows: Sequence[Mapping[str, Any]]) -> str:
    """The rows as a Markdown table under the first row's names; whole numbers have their thousands apart."""
    return markdown_table(table_of(rows))


_NUMBER = r"[-−+]?\d[\d,]*(?:\.\d+)?(?:e[-+]?\d+)?"
_PERCENT = re.compile(rf"({_NUMBER}) ?%")
_RANGE = re.compile(rf"({_NUMBER}) to ({_NUMBER})")
_AMOUNT = re.compile(rf"({_NUMBER}) ([A-Za-z%][\w/ ]*)")


def spreadsheet_rows(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The rows with each figure a plain number: '67%' is 67 under '… (%)', '1.2 to 1.4' two columns, from and to.

    Words in such a column say why there is no number, and stay as they are.
    """
    heads = {head: [row.get(head) for row in rows] for head in (rows[0] if rows else ())}
    columns: dict[str, list[Any]] = {}
    for head, cells in heads.items():
        columns |= _columns(head, cells)
    return [{head: cells[at] for head, cells in columns.items()} for at in range(len(rows))]


def _columns(head: str, cells: list[Any]) -> dict[str, list[Any]]:
    if any(_found(_PERCENT, cell) for cell in cells):
        return {_with_unit(head, "%"): [found[1] if (found := _found(_PERCENT, cell)) else cell for cell in cells]}
    if any(_found(_RANGE, cell) for cell in cells):
        pairs = [(found[1], found[2]) if (found := _found(_RANGE, cell)) else (cell, cell) for cell in cells]
        return {_before_unit(head, ", from"): [low for low, _ in pairs],
                _before_unit(head, ", to"): [high for _, high in pairs]}  # fmt: skip
    return {head: cells}


def _found(form: re.Pattern[str], cell: Any) -> re.Match[str] | None:
    return form.fullmatch(cell) if isinstance(cell, str) else None


def _with_unit(head: str, unit: str) -> str:
    return head if head.endswith(f"({unit})") else f"{head} ({unit})"


def _before_unit(head: str, words: str) -> str:
    """'Half of the samples (ms)' -> 'Half of the samples, from (ms)'."""
    return re.sub(r"( \([^()]*\))?$", lambda unit: f"{words}{unit[0]}", head, count=1)


def amount_and_unit(text: str) -> tuple[str, str]:
    """'63.44 GiB' -> ('63.44', 'GiB'); a text that is no amount stays whole, without a unit."""
    found = _AMOUNT.fullmatch(text)
    return (found[1], found[2]) if found else (text, "")


def table_of(rows: Sequence[Mapping[str, Any]]) -> Table:
    """The rows as heads and words, for a report: whole numbers have their thousands apart."""
    heads = tuple(rows[0]) if rows else ()
    return heads, tuple(tuple(_written(row.get(head)) for head in heads) for row in rows)


def _written(cell: Any) -> str:
    if cell is None or is_nan(cell):
        return "–"
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    if isinstance(cell, int):
        return f"{cell:,}"
    return f"{cell:,.6g}" if isinstance(cell, float) else str(cell)


def markdown_table(table: Table) -> str:
    """Heads and rows as Markdown: bars escaped, a line break inside a cell as <br>."""
    heads, rows = table
    lines = [heads, tuple("---" for _ in heads), *rows]
    return "\n".join(f"| {' | '.join(_cell(cell) for cell in line)} |" for line in lines)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", "<br>")
