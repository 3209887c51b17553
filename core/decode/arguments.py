"""What the command lines of measuring read alike."""

import argparse


def integers(text: str) -> tuple[int, ...]:
    """'40,8,1' -> (40, 8, 1). Raises argparse.ArgumentTypeError."""
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError as e:
        raise argparse.ArgumentTypeError(f"{text!r}: give whole numbers separated by commas") from e
