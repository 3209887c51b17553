"""Answers from the lessons' own text: the nearest passages with links, or a plain refusal.

The passages are indexed in memory with SQLite's FTS5 (porter stems, bm25 over title, names, text and citations), which
ships with Python: no network, no model, no dependency. Everyday words find the lessons' words too: see ask_words.
A page ranks by its best passages and by how much of the question stands anywhere on it, words counted by rarity.

A term asked for by its name alone, and a question of the FAQ's own, have their entry first. Declined is else what names
no term of the field and is not covered, or brings more words that stand nowhere than terms. A question for what no text
can say, someone's costs or someone's quality, gets that answer before the passages.

What this cannot do: combine passages, do arithmetic, or answer what the text does not say.
"""

import math
import re
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache

from core.learning import glossary
from core.learning.ask_passages import EVIDENCE, FAQ, GLOSSARY, Passage, passages
from core.learning.ask_words import (
    MAKERS,
    NEUTRAL,
    OF_THE_FIELD,
    SAID_AS,
    asks_for_a_prediction,
    asks_for_speed_under_load,
    normalised,
    words_of,
)
from core.models.registry import load_registry

MAX_QUESTION = 400
SHOWN = 3
COVERED = 0.6  # of the question's weight must stand on the best page
COVERED_WITH_WORD = 0.45  # the same where the question names an everyday word of the field
COVERED_WITH_TERM = 0.2  # the same where it names a term, a model, or two such words
TITLE_WEIGHT, NAMES_WEIGHT, TEXT_WEIGHT, CITED_WEIGHT = 4.0, 2.0, 1.0, 0.5
# Short entries outrank the lessons that explain them: what counts is where a reader learns it.
PRIOR = {FAQ: 0.7, GLOSSARY: 0.55, EVIDENCE: 0.6}
REFERENCE = (FAQ, GLOSSARY, EVIDENCE)  # at most one of the passages shown is from these
EXPLAINS_A_TERM = 1.5  # for the page that a term of the question is explained on
NEXT_ONES = (1.0, 0.3, 0.15)  # how much a page's best, second and third passage count
EVERYDAY_FAMILIES = {"command", "opt"}
KIN_SHARE = 0.5  # of words that the lessons use for a word of the question
ENOUGH_WORDS = 3  # everyday words of the field that outweigh as many unknown ones; fewer must be in the majority
UNCOVERED_SHARE = 0.5  # of its score that a page keeps which has none of the question's words
_SIZE = re.compile(r"\b\d+(\.\d+)?[bB]\b")  # 13B, as models are called
_WIDTH = re.compile(r"(\d)-(bits?)\b")
LIMITS_ENTRY = "limits"  # of the FAQ
SHORTEST_MISSPELT, AS_CLOSE = 6, 0.85  # letters, and difflib's ratio: a party is no parity, and a ride no ridge
_LETTERS = re.compile(r"[^\W\d_]+")


class AskError(ValueError):
    """A question that cannot be asked: the message says why and what to do."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """Passages, the best first, from different pages; none where the question was declined.

    asks_for_a_prediction: of someone's costs, quality or speed under load, which no passage can give.
    """

    question: str
    passages: tuple[Passage, ...]
    covered: float  # share of the question's weight that the best page holds, 0 to 1
    asks_for_a_prediction: bool = False

    @property
    def is_declined(self) -> bool:
        return not self.passages


DECLINED = (
    "The lessons do not answer that. Ask about attention heads, the KV cache, its size, its cost in memory and time, "
    "or the choice of G."
)
NO_PREDICTION = (
    "This tool predicts no one's economics and no one's quality. It computes bytes and lower bounds on time, "
    "measures the machine that it runs on, and cites what others measured. Costs, quality and latency under load need "
    "a measurement of your own. These passages are the nearest that it can offer."
)


def ask(question: str) -> Answer:
    """The passages that answer a question, at most SHOWN. Raises AskError for an empty or overlong question."""
    text = question.strip()
    if not text:
        raise AskError("The question is empty: type one.")
    if len(text) > MAX_QUESTION:
        raise AskError(f"The question has {len(text)} characters: shorten it to {MAX_QUESTION}.")
    words = content_words(text)
    explained = {term.see for term in _terms_in(text)} | _pages_about_a_family(text)
    found = _shown(_index().pages(words, explained)) if words else ()
    covered = max((_index().coverage(words, passage.page) for passage in found), default=0.0)
    predicts = asks_for_speed_under_load(text) or (asks_for_a_prediction(text) and _names_the_field(text))
    if predicts:
        found = (_limits(), *[passage for passage in found if passage.page not in REFERENCE])[:SHOWN]
    else:
        outright = _asked_outright(text)
        ranked = found if _is_answerable(text, words, covered) else ()
        found = (*outright, *(passage for passage in ranked if passage not in outright))[:SHOWN]
    return Answer(question=text, passages=found, covered=covered, asks_for_a_prediction=predicts)


_WHAT_IS = re.compile(
    r"(?:what(?: is|['’]?s| are| does| do)|define|explain)\s+(?:(?:an?|the)\s+)?(?P<term>.+?)"
    r"(?:\s+(?:mean|stand for))?$"
)


def _asked_outright(question: str) -> tuple[Passage, ...]:
    """The entry of a term that is asked for by its name alone, 'What is G?', or of a question of the FAQ's own."""
    asked = question.strip().rstrip("?!. ").casefold()
    term = _WHAT_IS.fullmatch(asked)
    named = None if term is None else term["term"].strip(" \"'`")
    titles = {
        (GLOSSARY, term.term) for term in glossary.terms() if named in {name.casefold() for name in term.names}
    }  # fmt: skip
    return tuple(
        passage
        for passage in passages()
        if (passage.page, passage.title) in titles
        or (passage.page == FAQ and passage.title.rstrip("?!. ").casefold() == asked)
    )[:1]


def _shown(ranked: tuple[Passage, ...]) -> tuple[Passage, ...]:
    """The first of them, with no more than one from a page of reference."""
    reference = [passage for passage in ranked if passage.page in REFERENCE][1:]
    return tuple(passage for passage in ranked if passage not in reference)[:SHOWN]


def content_words(question: str) -> tuple[str, ...]:
    """Words that carry the question, each once; names of terms add the term's own name."""
    said = words_of(question)
    named = [word for term in _terms_in(question) for word in words_of(term.term)]
    made = [MAKERS[word] for word in said if word in MAKERS]
    return tuple(dict.fromkeys((*(word for word in said if word not in MAKERS), *made, *named)))


def as_it_may_be_meant(question: str) -> str | None:
    """A declined question with each word that stands nowhere spelt as the nearest word of a term.

    'What is paged atention?' -> 'What is paged attention?'; None where no word is near, or where that is declined too.
    """

    def respelt(found: re.Match[str]) -> str:
        word = found[0].lower()
        if len(word) < SHORTEST_MISSPELT or not words_of(word) or _index().pages_with(word):
            return found[0]
        return next(iter(get_close_matches(word, _words_of_terms(), n=1, cutoff=AS_CLOSE)), found[0])

    meant = _LETTERS.sub(respelt, question.strip())
    return None if meant == question.strip() or len(meant) > MAX_QUESTION or ask(meant).is_declined else meant


@cache
def _words_of_terms() -> tuple[str, ...]:
    """Words that the names of the glossary's terms are made of."""
    names = " ".join(name.lower() for term in glossary.terms() for name in term.names)
    return tuple(dict.fromkeys(word for word in _LETTERS.findall(names) if len(word) >= SHORTEST_MISSPELT))


class _Index:
    """The passages in an FTS5 table; searched from any thread of the server, since it never changes."""

    def __init__(self, found: Iterable[Passage]) -> None:
        self.passages = tuple(found)
        self.database = sqlite3.connect(":memory:", check_same_thread=False)
        columns = "title, names, text, cited, tokenize='porter unicode61'"
        self.database.execute(f"CREATE VIRTUAL TABLE p USING fts5({columns})")
        self.database.executemany(
            "INSERT INTO p(rowid, title, names, text, cited) VALUES (?, ?, ?, ?, ?)",
            [
                (number, *map(normalised, (f"{p.page_title} {p.title}", p.names, p.text, p.cited)))
                for number, p in enumerate(self.passages)
            ],
        )

    def pages(self, words: tuple[str, ...], explained: Iterable[str] = ()) -> tuple[Passage, ...]:
        """The best passage of each page that has any of the words, best page first.

        A page's score is its best passage's bm25 with a share of its next two, weighed by PRIOR, by explained, and by
        how much of the question the page covers.
        """
        boosts = {**dict.fromkeys(explained, EXPLAINS_A_TERM), **PRIOR}
        by_page: dict[str, list[tuple[float, int]]] = {}
        for number, score in self._scores(words):
            by_page.setdefault(self.passages[number].page, []).append((score, number))
        totals = []
        for page, scored in by_page.items():
            scored.sort(key=lambda pair: (-pair[0], pair[1]))
            total = sum(weight * score for weight, (score, _) in zip(NEXT_ONES, scored, strict=False))
            covered = UNCOVERED_SHARE + (1 - UNCOVERED_SHARE) * self.coverage(words, page)
            totals.append((total * covered * boosts.get(page, 1.0), scored[0][1]))
        return tuple(self.passages[number] for _, number in sorted(totals, key=lambda pair: (-pair[0], pair[1])))

    def _scores(self, words: tuple[str, ...]) -> list[tuple[int, float]]:
        """Passage number and bm25 (higher is better) of every passage with any of the words or their kin."""
        weights = (TITLE_WEIGHT, NAMES_WEIGHT, TEXT_WEIGHT, CITED_WEIGHT)
        scores: dict[int, float] = {}
        kin = dict.fromkeys(other for word in words for other in kin_of(word) if other not in words)
        for share, group in ((1.0, words), (KIN_SHARE, tuple(kin))):
            if group:
                query = " OR ".join(f'"{word}"' for word in group)
                sql = "SELECT rowid, -bm25(p, ?, ?, ?, ?) FROM p WHERE p MATCH ?"
                for number, score in self.database.execute(sql, (*weights, query)):
                    scores[number] = scores.get(number, 0.0) + share * score
        return list(scores.items())

    def coverage(self, words: tuple[str, ...], page: str) -> float:
        """Rarity-weighted share of the words, or of words for them, that stand anywhere on the page."""
        weights = [self.rarity(word) for word in words]
        held = [weight for word, weight in zip(words, weights, strict=True) if page in self.pages_with(word)]
        return sum(held) / sum(weights)

    def rarity(self, word: str) -> float:
        """ln(1 + passages / (1 + passages with the word)): highest for a word that stands nowhere."""
        return math.log(1 + len(self.passages) / (1 + len(self.rows_with(word))))

    def pages_with(self, word: str) -> frozenset[str]:
        """Pages that hold the word, or one that the lessons say for it."""
        return frozenset(
            self.passages[number].page for other in (word, *kin_of(word)) for number in self.rows_with(other)
        )

    def rows_with(self, word: str) -> frozenset[int]:
        """Numbers of the passages that hold a word or another form of it."""
        rows = self.database.execute("SELECT rowid FROM p WHERE p MATCH ?", (f'"{word}"',))
        return frozenset(row[0] for row in rows)


@cache
def _index() -> _Index:
    return _Index(passages())


def kin_of(word: str) -> list[str]:
    """Words under which the lessons say it; a plural is looked up as its singular."""
    said = SAID_AS.get(word) or SAID_AS.get(word.removesuffix("s")) or SAID_AS.get(word.removesuffix("ing")) or ""
    return said.split()


def _is_answerable(question: str, words: tuple[str, ...], covered: float) -> bool:
    """Whether the words are the lessons' own: terms against words that stand nowhere, and what the best page covers."""
    unknown = sum(word not in NEUTRAL and not word[0].isdigit() and not _index().pages_with(word) for word in words)
    named = _terms_in(question)
    strong = sum(_is_telling(term) for term in named) + (_SIZE.search(question) is not None)
    plain = sum(term.plain for term in named) + _names_a_family(question)
    plain += sum(_mentions(question.lower(), [word]) for word in OF_THE_FIELD)
    if strong:
        return unknown <= 2 * strong + plain and covered >= COVERED_WITH_TERM
    if plain >= 2:
        return unknown <= plain - (plain < ENOUGH_WORDS) and covered >= COVERED_WITH_TERM
    return unknown == 0 and covered >= (COVERED_WITH_WORD if plain else COVERED)


def _names_the_field(question: str) -> bool:
    """Names a model of the registry, a term that is no everyday word, G or H, or two everyday words of the field."""
    named = _terms_in(question)
    return (
        any(map(_is_telling, named))
        or len(named) >= 2
        or _names_a_family(question)
        or _SIZE.search(question) is not None
    )


def _is_telling(term: glossary.Term) -> bool:
    """A term that is no everyday word; a capital G or H says as much."""
    return not term.plain or len(term.term) == 1


def _pages_about_a_family(question: str) -> set[str]:
    """Pages with a family in their title that the question names, too, by its own name or its maker's."""
    named = {name for name in _families() if name in content_words(question)}
    return {p.page for p in passages() if _mentions(p.page_title.lower(), named)}


def _names_a_family(question: str) -> bool:
    """A family of models in the registry: some are everyday words too, as llamas and falcons know."""
    return _mentions(question.lower(), _families())


def _limits() -> Passage:
    return next(p for p in passages() if p.query == (("faq_open", LIMITS_ENTRY),))


@cache
def _families() -> tuple[str, ...]:
    """'llama', 'mistral': the first word of every family in the registry, less those that are everyday words."""
    return tuple(sorted({model.family.split()[0].lower() for model in load_registry()} - EVERYDAY_FAMILIES))


def _terms_in(question: str) -> tuple[glossary.Term, ...]:
    """Terms that the question names; single letters only as capitals, since 'a' and 'g' are also just letters."""
    lowered = _WIDTH.sub(r"\1 \2", question.lower())
    return tuple(
        term
        for term in glossary.terms()
        if (_mentions(lowered, term.names) if len(term.term) > 1 else re.search(rf"\b{term.term}\b", question))
    )


def _mentions(lowered: str, names: Iterable[str]) -> bool:
    stems = (re.escape(name.lower().removesuffix("s")) for name in names)
    return any(re.search(rf"(?<![\w-]){stem}s?(?![\w-])", lowered) for stem in stems)
