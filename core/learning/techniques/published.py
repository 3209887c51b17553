"""Published figures that the technique pages draw, each with its source: data/techniques/published.yaml."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from core.evidence.records import CONFIDENCES, EvidenceError, Source
from core.models.formats.yaml_text import read_own

PATH = Path(__file__).parents[2] / "data" / "techniques" / "published.yaml"


@dataclass(frozen=True, kw_only=True)
class Published:
    """Figures of one source, under the names of the file."""

    source: Source
    values: Mapping[str, Any]

    def __getitem__(self, name: str) -> Any:
        return self.values[name]


@cache
def published() -> Mapping[str, Published]:
    """Every source of the file by name. Raises EvidenceError for one without a source or with an unknown confidence."""
    document = read_own(PATH)
    return MappingProxyType({name: _read(name, entry) for name, entry in document.items()})


def _read(name: str, entry: Mapping[str, Any]) -> Published:
    try:
        source = Source(**entry["source"])
    except (KeyError, TypeError) as error:
        raise EvidenceError(f"{PATH.name}, {name}: its source is missing or has a wrong field ({error})") from error
    if source.confidence not in CONFIDENCES:
        raise EvidenceError(f"{PATH.name}, {name}: confidence '{source.confidence}' cannot be shown")
    return Published(source=source, values={key: value for key, value in entry.items() if key != "source"})
