"""How wide words run in the widest font that a machine is likely to put in the place of Arial: DejaVu Sans.

An office that has neither Arial nor Liberation Sans, which measures the same, falls back to it. What fits here fits in
Arial too, which is a tenth narrower. Widths are advances in hundredths of an em, read from DejaVu Sans 2.37.
"""

import re
from collections.abc import Iterator
from functools import lru_cache

FONT = "Arial"
LINE_EM = 1.2  # height of a line: DejaVu Sans needs 1.164, Arial 1.15
OTHER, WIDE_OTHER = 84, 105  # a sign, a letter of another script, at the widest; from U+1100 on, a square
NO_BREAK = "\N{NO-BREAK SPACE}"

# of the characters from U+0020 to U+007E
REGULAR = (
    32, 41, 46, 84, 64, 96, 78, 28, 40, 40, 50, 84, 32, 37, 32, 34, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 34, 34,
    84, 84, 84, 54, 100, 69, 69, 70, 77, 64, 58, 78, 76, 30, 30, 66, 56, 87, 75, 79, 61, 79, 70, 64, 62, 74, 69, 99,
    69, 62, 69, 40, 34, 40, 84, 50, 50, 62, 64, 55, 64, 62, 36, 64, 64, 28, 28, 58, 28, 98, 64, 62, 64, 64, 42, 53,
    40, 64, 60, 82, 60, 60, 53, 64, 34, 64, 84,
)  # fmt: skip
BOLD = (
    35, 46, 53, 84, 70, 101, 88, 31, 46, 46, 53, 84, 38, 42, 38, 37, 70, 70, 70, 70, 70, 70, 70, 70, 70, 70, 40, 40,
    84, 84, 84, 58, 100, 78, 77, 74, 83, 69, 69, 83, 84, 38, 38, 78, 64, 100, 84, 85, 74, 85, 77, 73, 69, 82, 78, 111,
    78, 73, 73, 46, 37, 46, 84, 50, 50, 68, 72, 60, 72, 68, 44, 72, 72, 35, 35, 67, 35, 105, 72, 69, 72, 72, 50, 60,
    48, 72, 66, 93, 65, 66, 59, 72, 37, 72, 84,
)  # fmt: skip


def width_in(text: str, points: float, *, bold: bool = False) -> float:
    """Inches of one line."""
    return inches(hundredths(text, bold=bold), points)


def hundredths(text: str, *, bold: bool = False) -> int:
    """Of an em, of one line: what does not change with the size of the type."""
    return sum(_word(word, bold) for word in _pieces(text))


def inches(hundredths_em: int, points: float) -> float:
    """Of so many hundredths of an em in that type."""
    return hundredths_em / 100 * points / 72


def wrap(text: str, across_in: float, points: float, *, bold: bool = False) -> list[str]:
    """Lines no wider than that, broken between words; a word wider than a line stays whole. A line break is kept."""
    room = across_in * 72 / points * 100
    lines: list[str] = []
    for part in text.split("\n"):
        line, used = "", 0.0
        for word in part.split(" "):
            needed = _word(word, bold)
            space = _word(" ", bold) if line else 0.0
            if line and used + space + needed > room:
                lines.append(line)
                line, used, space = "", 0.0, 0.0
            line, used = f"{line} {word}" if line else word, used + space + needed
        lines.append(line)
    return lines


def folded(text: str, across_in: float, points: int) -> str:
    """An address that is longer than a line goes on below, broken before an '&', or anywhere where there is none."""
    lines = [""]
    for part in re.split(r"(?=[& ])", text):
        if lines[-1] and width_in(lines[-1] + part, points) > across_in:
            lines.append("")
        for letter in part if lines[-1] else part.lstrip():
            if width_in(lines[-1] + letter, points) > across_in:
                lines.append("")
            lines[-1] += letter
    return "\n".join(lines)


def fitting_points(words: str, *, across_in: float, height_in: float, most: int, least: int = 10) -> int:
    """The largest type, from `most` down to `least` points, at which the paragraphs stay within the box."""
    for points in range(most, least, -1):
        if words_height(words, across_in, points) <= height_in:
            return points
    return least


def words_height(words: str, across_in: float, points: float, *, bold: bool = False) -> float:
    """Inches of the paragraphs, half a line apart; a blank line begins one."""
    paragraphs = words.split("\n\n")
    lines = sum(len(wrap(part, across_in, points, bold=bold)) for part in paragraphs)
    return (lines * LINE_EM + 0.5 * (len(paragraphs) - 1)) * points / 72


def _pieces(text: str) -> Iterator[str]:
    for place, word in enumerate(text.split(" ")):
        if place:
            yield " "
        yield word


@lru_cache(maxsize=8192)
def _word(word: str, bold: bool) -> int:
    table = BOLD if bold else REGULAR
    return sum(_character(ord(character), table) for character in word)


def _character(code: int, table: tuple[int, ...]) -> int:
    if 32 <= code < 127:
        return table[code - 32]
    if code == ord(NO_BREAK):
        return table[0]
    return OTHER if code < 0x1100 or 0x2000 <= code < 0x2E80 else WIDE_OTHER
