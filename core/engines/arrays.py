"""Whole-number arithmetic that takes ints and numpy columns alike, so that one rule answers one job and many.

numpy is imported where a column is at hand: a job asked from a shell has none.
"""

from typing import Any


def ceiling(number: Any, unit: Any) -> Any:
    """ceil(number / unit) in whole numbers."""
    return -(-number // unit)


def smaller(one: Any, other: Any) -> Any:
    """The smaller of both, element by element where one is a column."""
    if isinstance(one, int) and isinstance(other, int):
        return min(one, other)
    import numpy as np  # noqa: PLC0415

    return np.minimum(one, other)


def larger(one: Any, other: Any) -> Any:
    """The larger of both, element by element where one is a column."""
    if isinstance(one, int) and isinstance(other, int):
        return max(one, other)
    import numpy as np  # noqa: PLC0415

    return np.maximum(one, other)
