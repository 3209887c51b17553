"""The one error of sizing, and the checks that raise it: what is wrong, which value, and what to do."""

from math import isfinite
from operator import index
from typing import Any


class SizingError(ValueError):
    """A job that cannot be sized as asked. The message is meant for the person who typed it."""


def require_whole(name: str, value: Any, smallest: int, largest: int) -> None:
    """Whole numbers of any integer type; bools and floats are refused, 16.0 too."""
    try:
        whole = None if isinstance(value, bool) else index(value)
    except TypeError:
        whole = None
    if whole is None or not smallest <= whole <= largest:
        raise SizingError(f"{name} is {value!r}: give a whole number from {smallest:,} to {largest:,}")


def require_number(name: str, value: Any, smallest: float, largest: float) -> None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not isfinite(value) or not smallest <= value <= largest:
        raise SizingError(f"{name} is {value!r}: give a number from {smallest:,.12g} to {largest:,.12g}")
