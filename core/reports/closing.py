"""What every report and deck holds beside its pictures: the answer first, and at its end what it rests on.

A page says its answer in a sentence and, where someone asks for a file, what stands behind it: formulas with their
numbers, evidence with its source, what was assumed. Size and Models lay out reports of their own.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from platform import python_version

from core.evidence.records import CONFIDENCES, Source
from core.reports.asked_words import words_for
from core.reports.exports import Section, plain
from core.reports.tables import markdown_table
from core.version import VERSION

SAID = {"transformers": "class defaults and the cache check", "vl-convert-python": "pictures"}
OPENS = "Everything is as the page opens."
DIFFERS = "What was asked and differs from how the page opens; everything else is as it opens."


@dataclass(frozen=True, kw_only=True)
class Sourced:
    """One thing that was published or recorded, with where it can be looked up."""

    says: str
    source: str


@dataclass(frozen=True, kw_only=True)
class Rests:
    """What a page's answer rests on. formulas are (figure, formula with its numbers, result); assumed is sentences.

    said goes on from the answer; body is what the page says beside its pictures, a section an idea.
    """

    said: str = ""
    formulas: tuple[tuple[str, str, str], ...] = ()
    evidence: tuple[Sourced, ...] = ()
    assumed: tuple[str, ...] = ()
    body: tuple[Section, ...] = ()


def cited(record: Source, says: str) -> Sourced:
    """A record of the evidence under what it says, with citation, address and how it was read."""
    read = CONFIDENCES[record.confidence]
    parts = (record.citation, record.link, f"{read[:1].upper()}{read[1:]}")
    return Sourced(says=f"{says} {record.caveat}".strip(), source=". ".join(filter(None, parts)))


def opening_section(answer: str, said: str, path: str, query: Mapping[str, str | list[str]]) -> Section:
    """The answer as the title, and under it what was asked: every input that is not the page's default."""
    rows = asked_rows(path, query)
    return Section(
        title=answer,
        text="\n\n".join(filter(None, (said, DIFFERS if rows else OPENS))),
        table=(("Input", "Value"), rows) if rows else None,
    )


def asked_rows(path: str, query: Mapping[str, str | list[str]]) -> tuple[tuple[str, str], ...]:
    """Every input of the address by its name on the page, with its value."""
    return tuple(
        (words_for(key), ", ".join(value) if isinstance(value, list) else value)
        for key, value in query.items()
        if key != path  # a walk's own key is the step on screen: the file has every step
    )


def asked_section(path: str, query: Mapping[str, str | list[str]]) -> tuple[Section, ...]:
    """The inputs alone, for a page that has no answer to put above them; nothing where all are as they open."""
    rows = asked_rows(path, query)
    return (Section(title="What was asked", text=DIFFERS, table=(("Input", "Value"), rows)),) if rows else ()


def answer_markdown(
    answer: str, said: Sequence[str], path: str, query: Mapping[str, str | list[str]], link: str
) -> str:
    """The answer for a design document: in bold, what was asked under it, and the link to the view."""
    rows = asked_rows(path, query)
    asked = [markdown_table((("Input", "Value"), rows))] if rows else [OPENS]
    return "\n\n".join([f"**{plain(answer)}**", *map(plain, said), *asked, f"Headroom, {link}"]) + "\n"


def rest_sections(rests: Rests) -> tuple[Section, ...]:
    """Formulas, evidence and assumptions, each where there is one."""
    found = []
    if rests.formulas:
        found.append(Section(title="The formula with its numbers",
                             table=(("Figure", "With its numbers", "Result"), rests.formulas)))  # fmt: skip
    if rests.evidence:
        rows = tuple((each.says, each.source) for each in rests.evidence)
        found.append(Section(title="Evidence and where it stands", table=(("What it says", "Source"), rows)))
    if rests.assumed:
        found.append(Section(title="What was assumed", text="\n\n".join(rests.assumed)))
    return tuple(found)


def points(sentences: Sequence[str]) -> str:
    """Sentences as a numbered list, a paragraph each."""
    return "\n\n".join(f"{number}. {sentence}" for number, sentence in enumerate(sentences, start=1))


def versions_section(*, link: str, written: str) -> Section:
    """Version, date and link: what makes the figures reproducible."""
    rows = [("Headroom", VERSION), ("Python", python_version())]
    for package, what in SAID.items():
        try:
            rows.append((f"{package} ({what})", version(package)))
        except PackageNotFoundError:  # an installation to look at has no transformers
            continue
    rows += [("Written", written), ("The view", link)]
    return Section(title="Versions and date", table=(("What", "Which"), tuple(rows)))
