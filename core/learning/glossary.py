"""Key terms: what each one means here, other names for it, the page that explains it, and links from running text."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

from core.models.formats.yaml_text import read_own

PATH = Path(__file__).parents[1] / "data" / "glossary.yaml"
_FIELDS = {"term", "aliases", "related", "text", "see", "plain"}
_OPTIONAL = {"related", "plain"}
# Links, code, formulas in dollars or in bold, and headings
_UNTOUCHED = re.compile(r"(?m)(\[[^\]]*\]\([^)]*\)|`[^`]*`|\$[^$]*\$|\*\*[^*\n]*=[^*\n]*\*\*|^#.*$)")


class GlossaryError(ValueError):
    """An entry of glossary.yaml is not what it should be: the message names it."""


@dataclass(frozen=True, kw_only=True)
class Term:
    """aliases are names of the same thing, related words only lead to it. plain marks an everyday word.

    see is the key of the page that explains the term.
    """

    term: str
    aliases: tuple[str, ...]
    related: tuple[str, ...]
    text: str
    see: str
    plain: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """Every word under which the term is found."""
        return (self.term, *self.aliases, *self.related)

    @property
    def link(self) -> str:
        """Address of the entry, relative to any page."""
        return f"glossary?glossary_find={quote(self.term)}"


@cache
def terms() -> tuple[Term, ...]:
    """Every term, in alphabetical order. Raises GlossaryError."""
    entries = [parse(entry) for entry in read_own(PATH)]
    names = [name.lower() for entry in entries for name in entry.names]
    for name in names:
        if names.count(name) > 1:
            raise GlossaryError(f"glossary.yaml: '{name}' is the name of two terms")
    return tuple(sorted(entries, key=lambda entry: entry.term.lower()))


def parse(entry: Mapping[str, Any]) -> Term:
    """One entry of the file. Raises GlossaryError naming the entry."""
    name = entry.get("term", "an entry without term")
    if set(entry) | _OPTIONAL != _FIELDS:
        raise GlossaryError(
            f"glossary.yaml, {name}: its keys must be term, aliases, text, see, and perhaps related and plain"
        )
    return Term(
        term=entry["term"],
        aliases=tuple(entry["aliases"]),
        related=tuple(entry.get("related", ())),
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
    """The text with the first mention of each term linked to its entry; code, formulas, headings and links stay.

    Everyday words are left alone: a text that links every token and every head cannot be read.
    """
    mentioned: set[str] = set()

    def link(match: re.Match[str]) -> str:
        term = _linkable()[match[1].lower()]
        if term.term in mentioned:
            return match[0]
        mentioned.add(term.term)
        return f"[{match[0]}]({term.link})"

    parts = _UNTOUCHED.split(markdown)
    return "".join(part if place % 2 else _mention().sub(link, part) for place, part in enumerate(parts))


@cache
def _linkable() -> dict[str, Term]:
    """Names that stand in running text, in lower case, and their terms."""
    return {name.lower(): term for term in terms() if not term.plain for name in (term.term, *term.aliases)}


@cache
def _mention() -> re.Pattern[str]:
    """Any linkable name as a whole word, the longest one that stands there, also in the plural."""
    names = sorted(_linkable(), key=len, reverse=True)
    return re.compile(rf"(?i)(?<![\w-])({'|'.join(map(re.escape, names))})s?(?![\w-])")


def _everything(term: Term) -> str:
    return " ".join([*term.names, term.text]).lower()
