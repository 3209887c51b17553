"""A table as Markdown, for a design document or a pull request."""

from collections.abc import Mapping, Sequence
from typing import Any

from core.host.spreadsheet import is_nan
from core.reports.exports import Table


def markdown_rows(rows: Sequence[Mapping[str, Any]]) -> str:
    """The rows as a Markdown table under the first row's names; whole numbers have their thousands apart."""
    heads = tuple(rows[0]) if rows else ()
    return markdown_table((heads, tuple(tuple(_written(row.get(head)) for head in heads) for row in rows)))


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
