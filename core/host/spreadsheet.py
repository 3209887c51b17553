"""CSV that no spreadsheet takes for a formula.

A spreadsheet runs a cell that begins with =, +, -, @, a tab or a line's end (OWASP, "CSV Injection"), some also with
the wide forms of those signs: text that does gets an apostrophe before it, which spreadsheets take for "this is text".
Numbers stay as they are.
"""

import csv
import re
from collections.abc import Mapping, Sequence
from io import StringIO
from typing import Any

THOUSANDS = re.compile(r"[-+\N{MINUS SIGN}]?\d{1,3}(,\d{3})*(\.\d+)?")  # as pages write a number
STARTS_A_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
MARK = "'"


def csv_text(rows: Sequence[Mapping[str, Any]]) -> str:
    """The rows as CSV; the columns are the first row's, an absent value is empty."""
    written = StringIO()
    table = csv.writer(written)
    heads = list(rows[0]) if rows else []
    table.writerow([safe(head) for head in heads])
    table.writerows([safe(row.get(head)) for head in heads] for row in rows)
    return written.getvalue()


def safe(cell: Any) -> Any:
    """A cell that no spreadsheet runs: text gets an apostrophe where it would, a number written as text stays one,
    without the signs that a page puts between its thousands and before what is below zero."""
    if cell is None or is_nan(cell):
        return ""
    if isinstance(cell, str) and THOUSANDS.fullmatch(cell):
        return cell.replace(",", "").replace("\N{MINUS SIGN}", "-")
    return marked(cell)


def marked(cell: Any) -> Any:
    """The cell; text that a spreadsheet would run, or that looks marked already, gets an apostrophe before it."""
    if not isinstance(cell, str) or not cell.lstrip(MARK).startswith(STARTS_A_FORMULA) or _is_number(cell):
        return cell
    return f"{MARK}{cell}"


def as_written(cell: str) -> str:
    """The text that `marked` was given: for whoever reads such a file back."""
    return cell[1:] if cell.startswith(MARK) and cell.lstrip(MARK).startswith(STARTS_A_FORMULA) else cell


def is_nan(cell: Any) -> bool:
    """Whether it is an absent number: NaN, or pandas' NA, whose comparison is neither true nor false."""
    try:
        return bool(cell != cell)
    except TypeError:
        return True


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return "_" not in text and text == text.strip()
