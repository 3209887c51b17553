"""Lines of a long text that hold a word, without looking at the others."""

import re
from collections.abc import Iterator

from core.engines.logs.figures import LogError, LogFigure

MOST_HITS = 512  # lines of one kind: a start prints a few for each rank
MOST_NAME = 300  # characters of a model's name that are taken
MOST_LINE = 65_536  # characters: a line of all arguments is long, a dump is longer

_RANK = re.compile(r"\b(?:TP|rank[ =]?)(\d+)\b")


def lines_with(text: str, word: str) -> Iterator[str]:
    """Each line that holds the word, in order."""
    at = text.find(word)
    for _ in range(MOST_HITS):
        if at < 0:
            return
        begin = max(text.rfind("\n", max(at - MOST_LINE, 0), at) + 1, at - MOST_LINE, 0)
        end = text.find("\n", at, at + MOST_LINE)
        end = min(at + MOST_LINE, len(text)) if end < 0 else end
        yield text[begin:end].strip()
        at = text.find(word, end)


def first_rank(lines: Iterator[str]) -> list[str]:
    """Lines of one rank alone where several print the same."""
    found = list(lines)
    ranks = [match[1] for line in found if (match := _RANK.search(line[:200]))]
    if len(ranks) != len(found) or not ranks:
        return found
    return [line for line in found if (match := _RANK.search(line[:200])) and match[1] == ranks[0]]


def number(printed: str, *, scale: float = 1, line: str = "") -> LogFigure:
    """'7.71' -> 7.71 to half of its last digit; '290,864' -> a count, exact. Raises LogError for '8.28.23'."""
    plain = printed.replace(",", "").replace("_", "")
    digits = len(plain.partition(".")[2])
    half = 0.5 * 10.0**-digits * scale if digits or scale != 1 else 0.0
    try:
        value = float(plain) * scale
    except ValueError as e:
        raise LogError(f"{printed[:40]!r} is no number, in the line {line[:80]!r}: paste it as it was printed.") from e
    return LogFigure(value=value, half_step=half, line=line[:400])


def model_named(line: str, key: str) -> str:
    """What key='...' names in a line of arguments; empty where it does not."""
    found = re.search(rf"\b{key}='([^']{{1,{MOST_NAME}}})'", line)
    return found[1] if found else ""
