"""Exact parameter counts kept with the code, so that a page need not build an architecture to size a registered model.

core/data/parameter_counts.yaml holds the models that weights.py does not add up; a test builds each again.
"""

from functools import cache
from pathlib import Path
from typing import Any

import yaml

from core.errors import SizingError
from core.serving.weights import ParameterCount

COUNTS_PATH = Path(__file__).parents[1] / "data" / "parameter_counts.yaml"
_FIELDS: dict[str, type] = {"repository": str, "parameters": int, "architecture": str}


def recorded_count(repository: str) -> ParameterCount | None:
    """The recorded count of a registered model's repository, instantly; None where none is recorded."""
    return _counts().get(repository)


@cache
def _counts() -> dict[str, ParameterCount]:
    return load_counts(COUNTS_PATH.read_text(encoding="utf-8"))


def load_counts(text: str) -> dict[str, ParameterCount]:
    """YAML text -> counts by repository. Raises SizingError that names entry and field."""
    entries = yaml.safe_load(text)
    if not isinstance(entries, list):
        raise SizingError(f"parameter_counts.yaml: expected a list of entries, found {type(entries).__name__}")
    counts: dict[str, ParameterCount] = {}
    for number, entry in enumerate(entries, start=1):
        _check(entry, f"parameter_counts.yaml entry {number}")
        if entry["repository"] in counts:
            raise SizingError(f"parameter_counts.yaml: {entry['repository']} appears twice; keep one")
        sentence = f"{entry['architecture']}, built on the meta device from the facts recorded of its config.json."
        count = ParameterCount(parameters=entry["parameters"], source="meta device", sentence=sentence)
        counts[entry["repository"]] = count
    return counts


def _check(entry: Any, where: str) -> None:
    if not isinstance(entry, dict) or set(entry) != set(_FIELDS):
        raise SizingError(f"{where}: give exactly {', '.join(_FIELDS)}")
    for field, kind in _FIELDS.items():
        if type(entry[field]) is not kind:
            raise SizingError(f"{where}: {field} is {entry[field]!r}, not of type {kind.__name__}")
