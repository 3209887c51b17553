"""What the command lines of measuring read alike."""

import argparse
from collections.abc import Sequence
from pathlib import Path

LENGTHS_AT_ONCE = 10_000  # at most 90,000 letters of one argument: Linux takes 131,072 bytes (execve(2))


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


def contexts(text: str) -> tuple[int, ...]:
    """The numbers themselves, or @ and the file that holds them: a batch of thousands is too long for a command."""
    if not text.startswith("@"):
        return integers(text)
    try:
        return integers(Path(text[1:]).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as e:
        raise argparse.ArgumentTypeError(f"{text[1:]!r} cannot be read: {e}") from e


def with_contexts(arguments: Sequence[str], lengths: Sequence[int]) -> list[str]:
    """What was asked, with contexts of a file written out, which may be gone when the run is read: in as many
    --lengths as a shell takes, each LENGTHS_AT_ONCE contexts."""
    kept: list[str] = []
    asked: list[str] = []
    rest = iter(arguments)
    for given in rest:
        name, equals, value = given.partition("=")
        if name.startswith("--l") and "--lengths".startswith(name):  # argparse takes what begins it
            asked.append(value if equals else next(rest))
        else:
            kept.append(given)
    if not any(value.startswith("@") for value in asked):
        return list(arguments)
    for at in range(0, len(lengths), LENGTHS_AT_ONCE):
        kept += ["--lengths", ",".join(map(str, lengths[at : at + LENGTHS_AT_ONCE]))]
    return kept
