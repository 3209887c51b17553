"""Which lines of a config.json decided a figure: the page marks them."""

import re
from collections.abc import Iterable

from core.config_rules.facts import Provenance

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\]:,]|[^\s{}\[\]:,"]+')


def deciding_lines(text: str, provenance: Iterable[Provenance]) -> dict[int, tuple[Provenance, ...]]:
    """Line number (from 1) -> the figures that the key on that line decided.

    text is the file as people see it; a key counts where its own object opens, so text_config.head_dim never marks
    vision_config.head_dim. Lines of keys that decided nothing are not in the mapping.
    """
    wanted: dict[str, list[Provenance]] = {}
    for item in provenance:
        for key in item.keys:
            wanted.setdefault(key, []).append(item)
    lines: dict[int, tuple[Provenance, ...]] = {}
    for number, key in _keys(text):
        if key in wanted:
            lines[number] = lines.get(number, ()) + tuple(wanted[key])
    return lines


def _keys(text: str) -> Iterable[tuple[int, str]]:
    """(line, dotted key) for every key, in order; tolerant of broken JSON."""
    path: list[str] = []
    pending = ""
    tokens = [(match.group(), text.count("\n", 0, match.start()) + 1) for match in _TOKEN.finditer(text)]
    for index, (token, line) in enumerate(tokens):
        if token in "{[":
            path.append(pending)
            pending = ""
        elif token in "}]":
            path = path[:-1]
        elif token.startswith('"') and index + 1 < len(tokens) and tokens[index + 1][0] == ":":
            pending = token[1:-1]
            yield line, ".".join([*filter(None, path), pending])
        elif token == ",":
            pending = ""
