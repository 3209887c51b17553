"""Key terms: what each one means here, other names for it, the page that explains it, and links from running text."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

import yaml

PATH = Path(__file__).parents[1] / "data" / "glossary.yaml"
_FIELDS = {"term", "aliases", "text", "see", "plain"}
_UNTOUCHED = re.compile(r"(\[[^\]]*\]\([^)]*\)|`[^`]*`|\$[^$]*\$|\*\*[^*]*\*\*)")


class GlossaryError(ValueError):
    """An entry of glossary.yaml is not what it should be: the message names it."""


@dataclass(frozen=True, kw_only=True)
class Term:
    """plain marks an everyday word. see is the key of the page that explains the term."""

    term: str
    aliases: tuple[str, ...]
    text: str
    see: str
    plain: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        return (self.term, *self.aliases)

    @property
    def link(self) -> str:
        """Address of the entry, relative to any page."""
        return f"glossary?glossary_find={quote(self.term)}"


@cache
def terms() -> tuple[Term, ...]:
    """Every term, in alphabetical order. Raises GlossaryError."""
    entries = [parse(entry) for entry in yaml.safe_load(PATH.read_text(encoding="utf-8"))]
    names = [name.lower() for entry in entries for name in entry.names]
    for name in names:
        if names.count(name) > 1:
            raise GlossaryError(f"glossary.yaml: '{name}' is the name of two terms")
    return tuple(sorted(entries, key=lambda entry: entry.term.lower()))


def parse(entry: Mapping[str, Any]) -> Term:
    """One entry of the file. Raises GlossaryError naming the entry."""
    name = entry.get("term", "an entry without term")
    if set(entry) | {"plain"} != _FIELDS:
        raise GlossaryError(f"glossary.yaml, {name}: its keys must be term, aliases, text, see and perhaps plain")
    return Term(
        term=entry["term"],
        aliases=tuple(entry["aliases"]),
        text=entry["text"],
        see=entry["see"],
        plain=entry.get("plain", False),
    )


def find(words: str) -> tuple[Term, ...]:
    """Terms whose name, other names or meaning hold all the words; every term for no words."""
    wanted = words.lower().split()
    matching = [term for term in terms() if all(word in _everything(term) for word in wanted)]
    exact = [term for term in matching if words.strip().lower() in [name.lower() for name in term.names]]
    return tuple(exact + [term for term in matching if term not in exact])


def linked(markdown: str) -> str:
    """The text with the first mention of each term linked to its entry; code, formulas, bold and links stay."""
    parts = _UNTOUCHED.split(markdown)
    for term in _by_length():
        pattern = re.compile(rf"(?<![\w-])({'|'.join(map(re.escape, _linkable(term)))})(?![\w-])")
        for i in range(0, len(parts), 2):
            replaced, count = pattern.subn(lambda match, term=term: f"[{match[1]}]({term.link})", parts[i], count=1)  # type: ignore[misc]
            if count:
                parts[i : i + 1] = _UNTOUCHED.split(replaced)
                break
    return "".join(parts)


def _linkable(term: Term) -> list[str]:
    """Names that stand in running text; single letters and everyday words are left alone."""
    return [] if term.plain else sorted(term.names, key=len, reverse=True)


@cache
def _by_length() -> tuple[Term, ...]:
    return tuple(sorted((term for term in terms() if not term.plain), key=lambda term: -len(term.term)))


def _everything(term: Term) -> str:
    return " ".join([*term.names, term.text]).lower()
