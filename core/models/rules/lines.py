"""Which lines of a config.json decided a figure: the page marks them."""

import re
from collections.abc import Iterable, Iterator

from core.models.rules.facts import Provenance

# A string (possibly cut off), a bracket, a comma, a colon; possessive, so that hostile quotes stay linear
_TOKEN = re.compile(r'\n|"(?:[^"\\]++|\\.)*+(?:"|\Z)|[{}\[\],:]', re.DOTALL)
MAX_CHARACTERS = 4 * 2**20


def deciding_lines(text: str, provenance: Iterable[Provenance]) -> dict[int, tuple[Provenance, ...]]:
    """Line number (from 1) -> the figures that the key on that line decided.

    text is the file as people see it; a key counts where its own object opens, so text_config.head_dim never marks
    vision_config.head_dim. Lines of keys that decided nothing are not in the mapping; text that is no JSON has none.
    """
    wanted: dict[str, list[Provenance]] = {}
    for item in provenance:
        for key in item.keys:
            wanted.setdefault(key, []).append(item)
    lines: dict[int, tuple[Provenance, ...]] = {}
    for number, key in _keys(text[:MAX_CHARACTERS]):
        if key in wanted:
            lines[number] = lines.get(number, ()) + tuple(wanted[key])
    return lines


def _keys(text: str) -> Iterator[tuple[int, str]]:
    """(line, dotted key) for every key in order; entries of a list count as their index."""
    steps: list[str] = []  # names of the open objects and lists, from the outside in
    counters: list[int | None] = []  # the index in each open list; None in an object
    line, name, last, last_line = 1, "", "", 1
    for match in _TOKEN.finditer(text):
        token = match.group()
        if token == "\n":
            line += 1
        elif token in "{[":
            steps.append(name if not counters or counters[-1] is None else str(counters[-1]))
            counters.append(0 if token == "[" else None)
            name = ""
        elif token in "}]" and steps:
            steps.pop()
            counters.pop()
        elif token == ":":
            name = last
            yield last_line, ".".join([*steps[1:], name])
        elif token == ",":
            name = ""
            if counters and counters[-1] is not None:
                counters[-1] += 1
        elif token.startswith('"'):
            last, last_line = token[1:-1], line
            line += token.count("\n")
