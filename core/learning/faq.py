"""Questions that people ask, with short answers; one of them is answered from the registry as it stands."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from core.learning.techniques.figures import filled
from core.models.formats.yaml_text import read_own

PATH = Path(__file__).parents[1] / "data" / "faq.yaml"
REGISTRY_MARK = "{registry_table}"
_FIELDS = {"id", "question", "see", "answer"}


class FaqError(ValueError):
    """An entry of faq.yaml is not what it should be: the message names it."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """see holds keys of pages that say more. shows_registry: the page draws the registry's models under the answer."""

    id: str
    question: str
    answer: str
    see: tuple[str, ...]
    shows_registry: bool


@cache
def entries() -> tuple[Entry, ...]:
    """Every question in the order of the file. Raises FaqError."""
    return tuple(parse(entry) for entry in read_own(PATH))


def parse(entry: Mapping[str, Any]) -> Entry:
    """One entry of the file. Raises FaqError naming the entry."""
    name = entry.get("id", "an entry without id")
    if set(entry) != _FIELDS:
        raise FaqError(f"faq.yaml, {name}: its keys must be {', '.join(sorted(_FIELDS))}")
    return Entry(
        id=name,
        question=entry["question"],
        answer=filled(entry["answer"].replace(REGISTRY_MARK, "").strip()),
        see=tuple(entry["see"]),
        shows_registry=REGISTRY_MARK in entry["answer"],
    )
