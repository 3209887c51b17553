"""Byte counts as people type them: '40 GiB', '1,024 MB', '1.7T', '512 KiB', '1,7 GB', '~2e9 bytes'.

Units are read without regard to case and always as bytes. With i they are binary (GiB = 2^30), without it decimal
(GB = 10^9). A bare letter (1.7T, 512k) does not say which it means, so it is read both ways and the closer reading
counts. A number from 1,000 on may stand alone: 42,949,672,960 and 42.9e9 are bytes written out. What is not understood
is refused in words; nothing is guessed.
"""

import math
import re
from dataclasses import dataclass

LARGEST_BYTES = 10.0**24  # far above any cache; keeps typing errors such as 1e300 out of the arithmetic
WRITTEN_OUT = 1_000  # a number from here on needs no unit; a small one alone may be GB as well as GiB

_PREFIXES = "kmgtp"
_WORDS = {"kilo": "k", "mega": "m", "giga": "g", "tera": "t", "peta": "p"}
_BINARY_WORDS = {"kibi": "k", "mebi": "m", "gibi": "g", "tebi": "t", "pebi": "p"}
_NUMBER = r"\.?[0-9][0-9.,_ \u00a0\u2009\u202f'\u2019]*(?:e\+?[0-9]{1,3})?"  # with each sign that parts thousands
_ANSWER = re.compile(rf"^[~≈=\s]*(?P<number>{_NUMBER})\s*(?P<unit>[a-z]*)[.\s]*$")


class AnswerNotUnderstood(ValueError):
    """The typed answer cannot be read as a byte count; the message says what to type instead."""


@dataclass(frozen=True, kw_only=True)
class TypedBytes:
    """What was typed and the byte counts that it may mean (two where the unit is a bare letter)."""

    typed: str
    readings: tuple[float, ...]

    def closest_to(self, exact: int) -> float:
        """The reading nearest to exact, in bytes."""
        return min(self.readings, key=lambda reading: abs(reading - exact))


def parse_bytes(typed: str) -> TypedBytes:
    """typed in any of the spellings of the module's first line -> bytes. Raises AnswerNotUnderstood."""
    match = _ANSWER.match(typed.strip().lower())
    if not typed.strip():
        raise AnswerNotUnderstood("Nothing is typed yet: give a number and a unit, such as 1.5 GB or 40 GiB.")
    if match is None:
        raise AnswerNotUnderstood(f"'{typed.strip()}' is not a size: give a number and a unit, such as 40 GiB.")
    number = _number(match["number"], typed)
    unit = match["unit"] or ("b" if number >= WRITTEN_OUT else "")
    readings = tuple(number * factor for factor in _factors(unit, typed))
    if not all(math.isfinite(reading) and reading <= LARGEST_BYTES for reading in readings):
        raise AnswerNotUnderstood(f"'{typed.strip()}' is beyond any cache: check the exponent and the unit.")
    return TypedBytes(typed=typed.strip(), readings=readings)


def _factors(unit: str, typed: str) -> tuple[int, ...]:
    """Bytes in one unit: one figure, or the decimal and the binary one where only a letter is given."""
    if unit in ("b", "byte", "bytes"):
        return (1,)
    if unit == "":
        raise AnswerNotUnderstood(f"'{typed.strip()}' has no unit: add B, kB, KiB, MB, MiB, GB, GiB, TB or TiB.")
    if len(unit) == 1 and unit in _PREFIXES:
        power = _PREFIXES.index(unit) + 1
        return (1000**power, 1024**power)
    for words, base in ((_WORDS, 1000), (_BINARY_WORDS, 1024)):
        for word, letter in words.items():
            if unit in (f"{word}byte", f"{word}bytes"):
                return (int(base ** (_PREFIXES.index(letter) + 1)),)
    if unit[0] in _PREFIXES and unit[1:] in ("b", "ib", "i"):
        base = 1024 if unit[1] == "i" else 1000
        return (int(base ** (_PREFIXES.index(unit[0]) + 1)),)
    raise AnswerNotUnderstood(f"The unit '{unit}' is not known: use B, kB, KiB, MB, MiB, GB, GiB, TB or TiB.")


def _number(digits: str, typed: str) -> float:
    """'1,024' -> 1024, '1,7' -> 1.7, '0,512' -> 0.512, '1.5e3' -> 1500, '1.048.576' -> 1048576.

    Spaces, underscores and apostrophes only group digits.
    """
    plain = re.sub(r"[\s_'\u2019]", "", digits)
    mantissa, _, exponent = plain.partition("e")
    if re.fullmatch(r"[1-9]\d{0,2}(,\d{3})+(\.\d*)?", mantissa):
        mantissa = mantissa.replace(",", "")
    elif re.fullmatch(r"[1-9]\d{0,2}(\.\d{3}){2,}(,\d*)?", mantissa):  # one group alone is a decimal: 1.024 is 1.024
        mantissa = mantissa.replace(".", "").replace(",", ".")
    elif re.fullmatch(r"\d+,\d*", mantissa):
        mantissa = mantissa.replace(",", ".")
    try:
        return float(f"{mantissa}e{exponent}" if exponent else mantissa)
    except ValueError:
        raise AnswerNotUnderstood(
            f"'{typed.strip()}' is not a number that can be read: write it as 1,024 or 1.5."
        ) from None
