"""Which lines of a file decided a figure, in JSON and in YAML."""

from collections.abc import Iterable, Iterator

import yaml

from core.models.formats.parsed import MAX_YAML_BYTES, is_json
from core.models.formats.yaml_text import LOADER
from core.models.rules.facts import Provenance
from core.models.rules.lines import deciding_lines


def marked_lines(text: str, provenance: Iterable[Provenance]) -> dict[int, tuple[Provenance, ...]]:
    """Line number (from 1) -> the figures that the key on that line decided; none where the text cannot be read."""
    notes = tuple(provenance)
    if is_json(text.encode("utf-8", "replace")):
        return deciding_lines(text, notes)
    wanted: dict[str, tuple[Provenance, ...]] = {}
    for note in notes:
        for key in note.keys:
            wanted[key] = (*wanted.get(key, ()), note)
    lines: dict[int, tuple[Provenance, ...]] = {}
    for number, key in _keys(text):
        if key in wanted:
            lines[number] = (*lines.get(number, ()), *wanted[key])
    return lines


def _keys(text: str) -> Iterator[tuple[int, str]]:
    """(line, dotted key) for every key of a YAML mapping; entries of a list count as their index."""
    if len(text) > MAX_YAML_BYTES:
        return
    path: list[tuple[str, int | None]] = []  # name of the open node, and its next index (None in a mapping)
    key: str | None = None
    try:
        for event in yaml.parse(text, Loader=LOADER):
            if isinstance(event, yaml.CollectionEndEvent):
                path.pop()
                key = None
            elif isinstance(event, yaml.NodeEvent):
                listing = bool(path) and path[-1][1] is not None
                if listing:
                    name, index = path[-1]
                    path[-1] = (name, (index or 0) + 1)
                    key = str(index)
                elif path and key is None:
                    key = event.value if isinstance(event, yaml.ScalarEvent) else ""
                    line = event.start_mark.line + 1 if event.start_mark is not None else 0
                    yield line, ".".join([*(step for step, _ in path[1:]), key])
                    continue
                if isinstance(event, yaml.CollectionStartEvent):
                    path.append((key or "", 0 if isinstance(event, yaml.SequenceStartEvent) else None))
                key = None
    except yaml.YAMLError:
        return
