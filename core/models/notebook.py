"""How an object of the public face shows itself in a notebook: a small table, every value escaped."""

from collections.abc import Iterable
from html import escape

LEFT = "style='text-align:left'"


def html_table(title: str, rows: Iterable[tuple[str, object]]) -> str:
    """A titled table of two columns; whole numbers with separators, a None left out."""
    shown = "".join(
        f"<tr><th {LEFT}>{escape(name)}</th><td {LEFT}>{escape(_said(value))}</td></tr>"
        for name, value in rows
        if value is not None
    )
    return f"<table><caption {LEFT}><b>{escape(title)}</b></caption>{shown}</table>"


def _said(value: object) -> str:
    whole = isinstance(value, int) and not isinstance(value, bool) and type(value).__str__ is int.__str__
    return f"{value:,}" if whole else str(value)
