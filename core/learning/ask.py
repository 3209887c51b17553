"""Answers from the lessons' own text: the nearest passages with links, or a plain refusal.

Every step of a lesson, section of a page, FAQ answer, glossary entry and published finding is a passage. They are
indexed in memory with SQLite's FTS5 (porter stems, bm25 ranking), which ships with Python: no network, no model, no
dependency. A question is declined when too little of what it asks about stands in the best passage: words count by
their rarity, and a word that no passage has counts as much as the rarest.

What this cannot do: combine passages, do arithmetic, or answer what the text does not say.
"""

import math
import re
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

from core.evidence import published
from core.learning import faq, glossary, lessons
from core.learning.ask_words import SAID_AS, STOP
from core.model_registry import load_registry
from core.neighbours import texts as neighbours
from core.neighbours.figures import filled

MAX_QUESTION = 400
SHOWN = 3
COVERED = 0.6  # of the question's weight must stand in the best passage
COVERED_WITH_TERM = 0.2  # the same where the question names a term of the field
TITLE_WEIGHT, NAMES_WEIGHT, TEXT_WEIGHT = 4.0, 2.0, 1.0
# Short entries outrank the lessons that explain them: what counts is where a reader learns it.
PRIOR = {"glossary": 0.55, "evidence": 0.6}
EXPLAINS_A_TERM = 1.5  # for the page that a term of the question is explained on
NEXT_ONES = (1.0, 0.3, 0.15)  # how much a page's best, second and third passage count
EVERYDAY_FAMILIES = {"command", "opt"}
KIN_SHARE = 0.35  # of words that the lessons use for a word of the question
_WORD = re.compile(r"[a-z0-9*_-]+")


class AskError(ValueError):
    """A question that cannot be asked: the message says why and what to do."""


@dataclass(frozen=True, kw_only=True)
class Passage:
    """A piece of text and where it stands. page is the page's key; script and query lead to the very place."""

    page: str
    page_title: str
    title: str
    text: str
    script: str  # relative to pages/
    query: tuple[tuple[str, str], ...] = ()
    names: str = ""  # other words for what it is about, searched and not shown


@dataclass(frozen=True, kw_only=True)
class Answer:
    """Passages, the best first, from different pages; none where the question was declined."""

    question: str
    passages: tuple[Passage, ...]
    covered: float  # share of the question's weight that the best passage holds, 0 to 1

    @property
    def is_declined(self) -> bool:
        return not self.passages


DECLINED = (
    "The lessons do not answer that. Ask about attention heads, the KV cache, its size, its cost in memory and time, "
    "or the choice of G."
)


def ask(question: str) -> Answer:
    """The passages that answer a question, at most SHOWN. Raises AskError for an empty or overlong question."""
    text = question.strip()
    if not text:
        raise AskError("The question is empty: type one.")
    if len(text) > MAX_QUESTION:
        raise AskError(f"The question has {len(text)} characters: shorten it to {MAX_QUESTION}.")
    words = content_words(text)
    explained = {term.see for term in _terms_in(text)}
    found = _index().pages(words, explained)[:SHOWN] if words else ()
    covered = max((_index().coverage(words, passage) for passage in found), default=0.0)
    enough = COVERED_WITH_TERM if _is_of_the_field(text) else COVERED
    return Answer(question=text, passages=found if covered >= enough else (), covered=covered)


def content_words(question: str) -> tuple[str, ...]:
    """Words that carry the question, lower case, each once; names of terms add the term's own name."""
    lowered = question.lower().replace("’", "'").replace("'s", "")
    words = [word.strip("-_") for word in _WORD.findall(lowered)]
    kept = [word for word in words if word and word not in STOP]
    for term in _terms_in(lowered):
        kept += [word for word in _WORD.findall(term.term.lower()) if word not in STOP]
    return tuple(dict.fromkeys(kept))


@cache
def passages() -> tuple[Passage, ...]:
    """Everything that Ask may answer from, in the order of the sidebar."""
    return (*_lessons(), *_topics(), *_faq(), *_glossary(), *_evidence())


class _Index:
    """The passages in an FTS5 table; searched from any thread of the server, since it never changes."""

    def __init__(self, found: Iterable[Passage]) -> None:
        self.passages = tuple(found)
        self.database = sqlite3.connect(":memory:", check_same_thread=False)
        self.database.execute("CREATE VIRTUAL TABLE p USING fts5(title, names, text, tokenize='porter unicode61')")
        self.database.executemany(
            "INSERT INTO p(rowid, title, names, text) VALUES (?, ?, ?, ?)",
            [
                (number, f"{passage.page_title} {passage.title}", passage.names, passage.text)
                for number, passage in enumerate(self.passages)
            ],
        )

    def pages(self, words: tuple[str, ...], explained: Iterable[str] = ()) -> tuple[Passage, ...]:
        """The best passage of each page that has any of the words, best page first.

        A page's score is its best passage's bm25 with a share of its next two, weighed by PRIOR and by explained.
        """
        boosts = {**PRIOR, **dict.fromkeys(explained, EXPLAINS_A_TERM)}
        by_page: dict[str, list[tuple[float, int]]] = {}
        for number, score in self._scores(words):
            by_page.setdefault(self.passages[number].page, []).append((score, number))
        totals = []
        for page, scored in by_page.items():
            scored.sort(key=lambda pair: (-pair[0], pair[1]))
            total = sum(weight * score for weight, (score, _) in zip(NEXT_ONES, scored, strict=False))
            totals.append((total * boosts.get(page, 1.0), scored[0][1]))
        return tuple(self.passages[number] for _, number in sorted(totals, key=lambda pair: (-pair[0], pair[1])))

    def _scores(self, words: tuple[str, ...]) -> list[tuple[int, float]]:
        """Passage number and bm25 (higher is better) of every passage with any of the words or their kin."""
        weights = (TITLE_WEIGHT, NAMES_WEIGHT, TEXT_WEIGHT)
        scores: dict[int, float] = {}
        kin = [other for word in words for other in SAID_AS.get(word, "").split() if other not in words]
        for share, group in ((1.0, words), (KIN_SHARE, tuple(dict.fromkeys(kin)))):
            if group:
                query = " OR ".join(f'"{word}"' for word in group)
                sql = "SELECT rowid, -bm25(p, ?, ?, ?) FROM p WHERE p MATCH ?"
                for number, score in self.database.execute(sql, (*weights, query)):
                    scores[number] = scores.get(number, 0.0) + share * score
        return list(scores.items())

    def coverage(self, words: tuple[str, ...], passage: Passage) -> float:
        """Rarity-weighted share of the words that the passage holds."""
        number = self.passages.index(passage)
        weights = [self.rarity(word) for word in words]
        held = [weight for word, weight in zip(words, weights, strict=True) if number in self.rows_with(word)]
        return sum(held) / sum(weights)

    def rarity(self, word: str) -> float:
        """ln(1 + passages / (1 + passages with the word)): highest for a word that stands nowhere."""
        return math.log(1 + len(self.passages) / (1 + len(self.rows_with(word))))

    def rows_with(self, word: str) -> frozenset[int]:
        """Numbers of the passages that hold a word or another form of it."""
        rows = self.database.execute("SELECT rowid FROM p WHERE p MATCH ?", (f'"{word}"',))
        return frozenset(row[0] for row in rows)


@cache
def _index() -> _Index:
    return _Index(passages())


def _is_of_the_field(question: str) -> bool:
    """Names a model of the registry, a term that is no everyday word, or two that are."""
    named = _terms_in(question)
    return any(not term.plain for term in named) or len(named) >= 2 or _mentions(question.lower(), _families())


@cache
def _families() -> tuple[str, ...]:
    """'llama', 'mistral': the first word of every family in the registry, less those that are everyday words."""
    return tuple(sorted({model.family.split()[0].lower() for model in load_registry()} - EVERYDAY_FAMILIES))


def _terms_in(question: str) -> tuple[glossary.Term, ...]:
    """Terms that the question names; single letters only as capitals, since 'a' and 'g' are also just letters."""
    lowered = question.lower()
    return tuple(
        term
        for term in glossary.terms()
        if (_mentions(lowered, term.names) if len(term.term) > 1 else re.search(rf"\b{term.term}\b", question))
    )


def _mentions(lowered: str, names: Iterable[str]) -> bool:
    return any(re.search(rf"(?<![\w-]){re.escape(name.lower())}s?(?![\w-])", lowered) for name in names)


def _lessons() -> list[Passage]:
    found = []
    for lesson in lessons.lessons():
        for number, step in enumerate(lesson.steps, start=1):
            asked = step.question
            told = [f"{asked.text} " + " ".join(f"{a.text} {a.reply}" for a in asked.answers)] if asked else []
            found.append(
                Passage(
                    page=lesson.key,
                    page_title=lesson.title,
                    title=filled(step.title),
                    text=filled("\n\n".join([step.text, *told])),
                    script=lesson.script,
                    query=((lesson.key, str(number)),),
                    names=f"{step.slug.replace('-', ' ')} {lesson.promise} {filled(step.note)}",
                )
            )
    return found


def _topics() -> list[Passage]:
    return [
        Passage(
            page=topic.key,
            page_title=topic.title,
            title=filled(section.title),
            text=filled(section.text),
            script=f"learn/{topic.key}.py",
            names=f"{section.slug} {topic.promise}",
        )
        for topic in neighbours.topics()
        for section in topic.sections
    ]


def _faq() -> list[Passage]:
    return [
        Passage(
            page="faq",
            page_title="FAQ",
            title=entry.question,
            text=entry.answer,
            script="reference/faq.py",
            query=(("faq_open", entry.id),),
        )
        for entry in faq.entries()
    ]


def _glossary() -> list[Passage]:
    return [
        Passage(
            page="glossary",
            page_title="Glossary",
            title=term.term,
            text=term.text,
            script="reference/glossary.py",
            query=(("glossary_find", term.term),),
            names=" ".join(term.aliases),
        )
        for term in glossary.terms()
    ]


def _evidence() -> list[Passage]:
    findings = [(finding.paper, finding.statement, finding.caveat) for finding in published().findings]
    studies = [
        (study.label, f"{study.paper}. {study.measure}. {study.training}, {study.how_held}.", study.caveat)
        for study in published().comparisons
    ]
    return [
        Passage(
            page="evidence",
            page_title="Evidence",
            title=title,
            text=f"{text} {caveat}",
            script="reference/evidence.py",
        )
        for title, text, caveat in (*findings, *studies)
    ]
