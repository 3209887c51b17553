"""The text of the technique pages: one Markdown file each in core/data/techniques, in the lessons' format.

---
key: paging
title: PagedAttention
promise: What the reader can do afterwards.
---
# table: A section's slug and title
Sentences with {figures}, which core.learning.techniques.figures computes or takes from the evidence.
"""

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).parents[2] / "data" / "techniques"
ORDER = ("uptraining", "paging", "eviction", "quantisation", "latent")
_HEAD = re.compile(r"---\nkey: (?P<key>[a-z]+)\ntitle: (?P<title>.+)\npromise: (?P<promise>.+)\n---\n")
_SECTION = re.compile(r"(?m)^# (?P<slug>[a-z]+): (?P<title>.+)$")


class TechniqueError(ValueError):
    """A page's text is not what it should be: the message names the file and what is wrong."""


@dataclass(frozen=True, kw_only=True)
class Section:
    """One part of a page; title and text hold {placeholders}."""

    slug: str
    title: str
    text: str


@dataclass(frozen=True, kw_only=True)
class Topic:
    """One page. key is also the page's script, learn/<key>.py, and its address, /<key>."""

    key: str
    title: str
    promise: str
    sections: tuple[Section, ...]

    def section(self, slug: str) -> Section:
        """The section of that slug. Raises TechniqueError where there is none."""
        for found in self.sections:
            if found.slug == slug:
                return found
        raise TechniqueError(f"{self.key}.md has no section '{slug}'")


@cache
def topics() -> tuple[Topic, ...]:
    """Every page in the order of the sidebar. Raises TechniqueError."""
    return tuple(parse((FOLDER / f"{key}.md").read_text(encoding="utf-8"), f"{key}.md") for key in ORDER)


def topic(key: str) -> Topic:
    """The page of that key. Raises TechniqueError for an unknown one."""
    for found in topics():
        if found.key == key:
            return found
    raise TechniqueError(f"there is no page '{key}' beside the lessons: choose one of {', '.join(ORDER)}")


def parse(text: str, name: str) -> Topic:
    """One file. Raises TechniqueError naming the file and what is missing."""
    head = _HEAD.match(text)
    if head is None or f"{head['key']}.md" != name:
        raise TechniqueError(f"{name}: it must begin with key (the file's name), title and promise between ---")
    body = text[head.end() :]
    headings = list(_SECTION.finditer(body))
    if not headings or body[: headings[0].start()].strip():
        raise TechniqueError(f"{name}: its text must begin with '# slug: Title'")
    ends = [heading.start() for heading in headings[1:]] + [len(body)]
    sections = tuple(
        Section(slug=heading["slug"], title=heading["title"], text=body[heading.end() : end].strip())
        for heading, end in zip(headings, ends, strict=True)
    )
    return Topic(key=head["key"], title=head["title"], promise=head["promise"], sections=sections)
