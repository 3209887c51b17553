"""The quiz over the path: twenty-five questions, each with one right option, a reason and the page that explains it."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from core.learning.progress import Progress
from core.learning.techniques.figures import filled
from core.models.formats.yaml_text import read_own

PATH = Path(__file__).parents[1] / "data" / "quiz.yaml"
_FIELDS = {"id", "lesson", "question", "options", "answer", "why"}


class QuizError(ValueError):
    """An entry of quiz.yaml is not what it should be: the message names it."""


@dataclass(frozen=True, kw_only=True)
class Question:
    """answer is the right option, from 0. lesson is the key of the page that explains it."""

    id: str
    lesson: str
    question: str
    options: tuple[str, ...]
    answer: int
    why: str

    def is_right(self, option: int) -> bool:
        return option == self.answer


@dataclass(frozen=True, kw_only=True)
class Score:
    """Of `total` questions, how many were answered, and how many rightly."""

    answered: int
    right: int
    total: int

    @property
    def is_complete(self) -> bool:
        return self.answered == self.total

    @property
    def sentence(self) -> str:
        """What to say about it, without praise."""
        if not self.answered:
            return f"{self.total} questions. Stop when you like: the next visit goes on where you stopped."
        left = self.total - self.answered
        rest = f"{left} to go." if left else "That was the last one."
        return f"{self.right} of {self.answered} right. {rest}"


@cache
def questions() -> tuple[Question, ...]:
    """Every question in the order of the path, its figures filled in. Raises QuizError."""
    entries = read_own(PATH)
    found = tuple(parse(entry) for entry in entries)
    if len({question.id for question in found}) != len(found):
        raise QuizError("two questions of the quiz have the same id")
    return found


def parse(entry: Mapping[str, Any]) -> Question:
    """One entry of the file. Raises QuizError naming the entry and what is wrong."""
    name = entry.get("id", "an entry without id")
    if set(entry) != _FIELDS:
        raise QuizError(f"quiz.yaml, {name}: its keys must be {', '.join(sorted(_FIELDS))}")
    options = tuple(filled(str(option)) for option in entry["options"])
    answer = entry["answer"]
    if not isinstance(answer, int) or not 1 <= answer <= len(options) or len(set(options)) != len(options):
        raise QuizError(f"quiz.yaml, {name}: answer must number one of {len(options)} different options, from 1")
    return Question(
        id=name,
        lesson=entry["lesson"],
        question=filled(entry["question"]),
        options=options,
        answer=answer - 1,
        why=filled(entry["why"]),
    )


def score(progress: Progress) -> Score:
    """How far a reader has come; an answer that no option matches counts as not given."""
    given = [(question, chosen(question, progress)) for question in questions()]
    answered = [(question, option) for question, option in given if option is not None]
    right = sum(question.is_right(option) for question, option in answered)
    return Score(answered=len(answered), right=right, total=len(given))


def chosen(question: Question, progress: Progress) -> int | None:
    """The option that the reader chose, from 0; None where there is none, or the quiz has changed since."""
    option = progress.answer(question.id)
    return option if option is not None and option < len(question.options) else None


def first_open(progress: Progress) -> int:
    """The number, from 0, of the first question without an answer; the last question's where all are answered."""
    for number, question in enumerate(questions()):
        if chosen(question, progress) is None:
            return number
    return len(questions()) - 1
