"""What the command lines of measuring read alike."""

import argparse


def gigabytes(text: str) -> float:
    """'2.5' -> 2.5. Raises argparse.ArgumentTypeError for what no memory is."""
    try:
        found = float(text)
    except ValueError:
        found = 0.0
    if not 0 < found < 1e9:
        raise argparse.ArgumentTypeError(f"{text!r}: give gigabytes, above 0")
    return found


def integers(text: str) -> tuple[int, ...]:
    """'40,8,1' -> (40, 8, 1). Raises argparse.ArgumentTypeError."""
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError as e:
        raise argparse.ArgumentTypeError(f"{text!r}: give whole numbers separated by commas") from e
