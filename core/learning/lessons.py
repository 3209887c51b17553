"""The lessons' text: one Markdown file each in core/data/lessons, read and checked here.

A lesson is a list of steps, one idea each. A step has a title that says its point, a few sentences, perhaps a question,
the ids of the published findings that it shows, and a note for whoever presents it. Figures stand in the text as named
placeholders, {like_this}; core.learning.figures computes each of them or takes it from the evidence, so no number in a
lesson is typed by hand.

    ---
    key: formula                       the lesson's name in links and widgets
    phase: why                         one of PHASES
    title: The whole formula on a Post-it
    promise: What the reader can do afterwards.
    minutes: 5
    ---
    # factors: Seven factors, one product       the step's slug and its title
    Sentences with {figures}.
    ? A question                       answers follow; * marks the one that the lesson argues for
    - An answer | What to say to it.
    * Another | Why this one.
    evidence: kivi-4bit, kivi-2bit     ids of core/data/evidence.yaml
    say: A note for the presenter.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "data" / "lessons"
PHASES = {
    "why": "Why the KV cache eats your GPU",
    "see": "See it, and work it out",
    "cases": "Why real models picked what they did",
    "pick": "Pick a G",
}
ORDER = (
    "bottleneck", "formula", "levers", "slider",
    "draw", "headmath", "declares", "spot",
    "case-mqa", "case-llama", "case-mistral", "case-falcon",
    "pick",
)  # fmt: skip
FIELDS = ("key", "phase", "title", "promise", "minutes")
_PLACEHOLDER = re.compile(r"\{([a-z0-9_]+)\}")
_STEP = re.compile(r"# ([a-z0-9-]+): (.+)")


class LessonError(ValueError):
    """A lesson file is not what it should be: the message names the file and what is wrong."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """One answer to a question and what is said to it; `argued` marks the one that the lesson argues for."""

    text: str
    reply: str
    argued: bool


@dataclass(frozen=True, kw_only=True)
class Question:
    """Something that the reader answers before reading on."""

    text: str
    answers: tuple[Answer, ...]


@dataclass(frozen=True, kw_only=True)
class Step:
    """One idea: what one screen shows."""

    slug: str
    title: str
    text: str  # Markdown with {placeholders}
    question: Question | None
    evidence: tuple[str, ...]
    note: str

    @property
    def placeholders(self) -> tuple[str, ...]:
        """Names of the figures that this step shows, in order of appearance, each once."""
        replies = [answer.text + answer.reply for answer in self.question.answers] if self.question else []
        asked = self.question.text if self.question else ""
        everything = " ".join([self.title, self.text, asked, *replies, self.note])
        return tuple(dict.fromkeys(_PLACEHOLDER.findall(everything)))


@dataclass(frozen=True, kw_only=True)
class Lesson:
    """Steps in order. key names the lesson in links (?key=2) and in its widgets' keys."""

    key: str
    phase: str
    title: str
    promise: str
    minutes: int
    steps: tuple[Step, ...]

    @property
    def script(self) -> str:
        """The page's file, relative to pages/."""
        return f"learn/{self.key.replace('-', '_')}.py"

    def step(self, number: int | str | None) -> Step:
        """The step of that number from 1, as a link carries it; the first one for anything else."""
        known = {str(place): step for place, step in enumerate(self.steps, start=1)}
        return known.get(str(number), self.steps[0])


@lru_cache(maxsize=1)
def lessons() -> tuple[Lesson, ...]:
    """Every lesson in the order of the walk. Raises LessonError."""
    return tuple(parse_lesson((FOLDER / f"{key}.md").read_text(encoding="utf-8"), f"{key}.md") for key in ORDER)


def lesson(key: str) -> Lesson:
    """The lesson of that key. Raises LessonError for an unknown one."""
    for found in lessons():
        if found.key == key:
            return found
    raise LessonError(f"there is no lesson {key!r}: choose one of {', '.join(ORDER)}")


def neighbours(key: str) -> tuple[Lesson | None, Lesson | None]:
    """The lessons before and after; None at the ends of the walk."""
    place = ORDER.index(lesson(key).key)
    everything = lessons()
    return (
        everything[place - 1] if place > 0 else None,
        everything[place + 1] if place + 1 < len(everything) else None,
    )


def fill(text: str, figures: Mapping[str, str]) -> str:
    """text with every {placeholder} replaced. Raises LessonError naming one that has no figure."""

    def figure(match: re.Match[str]) -> str:
        if match[1] not in figures:
            raise LessonError(f"no figure is called {match[1]!r}")
        return figures[match[1]]

    return _PLACEHOLDER.sub(figure, text)


def parse_lesson(text: str, name: str) -> Lesson:
    """One lesson file. Raises LessonError naming the file and what is missing, unknown or repeated."""
    parts = text.split("---\n", 2)
    if len(parts) != 3 or parts[0].strip():
        raise LessonError(f"{name}: it must begin with its fields between two lines of ---")
    fields = _fields(parts[1], name)
    steps = _steps(parts[2], name)
    if not steps:
        raise LessonError(f"{name}: it has no step; a step begins with '# slug: Title'")
    slugs = [step.slug for step in steps]
    for slug in slugs:
        if slugs.count(slug) > 1:
            raise LessonError(f"{name}: two steps are called {slug!r}")
    return Lesson(
        key=fields["key"],
        phase=fields["phase"],
        title=fields["title"],
        promise=fields["promise"],
        minutes=int(fields["minutes"]),
        steps=steps,
    )


def _fields(head: str, name: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for line in head.strip().splitlines():
        field, colon, value = line.partition(": ")
        if not colon or field not in FIELDS or field in found:
            raise LessonError(f"{name}: {line!r} is not one of the fields {', '.join(FIELDS)}, or is there twice")
        found[field] = value.strip()
    for field in FIELDS:
        if field not in found:
            raise LessonError(f"{name}: field {field!r} is missing")
    if found["phase"] not in PHASES:
        raise LessonError(f"{name}: phase {found['phase']!r} is not one of {', '.join(PHASES)}")
    if f"{found['key']}.md" != name:
        raise LessonError(f"{name}: key {found['key']!r} must be the file's name")
    if not found["minutes"].isdigit():
        raise LessonError(f"{name}: minutes is {found['minutes']!r}, it must be a whole number")
    return found


def _steps(body: str, name: str) -> tuple[Step, ...]:
    steps: list[Step] = []
    for block in re.split(r"(?m)^(?=# )", body):
        if not block.strip():
            continue
        heading, _, rest = block.partition("\n")
        match = _STEP.fullmatch(heading.strip())
        if match is None:
            raise LessonError(f"{name}: {heading.strip()!r} does not begin a step; write '# slug: Title'")
        steps.append(_step(match[1], match[2], rest, f"{name}, step {match[1]!r}"))
    return tuple(steps)


def _step(slug: str, title: str, body: str, where: str) -> Step:
    prose: list[str] = []
    asked, note, evidence = "", "", ""
    answers: list[Answer] = []
    for line in body.splitlines():
        if line.startswith("? "):
            asked = line[2:].strip()
        elif asked and line.startswith(("- ", "* ")):
            answers.append(_answer(line, where))
        elif line.startswith("evidence: "):
            evidence = line.removeprefix("evidence: ")
        elif line.startswith("say: "):
            note = line.removeprefix("say: ").strip()
        else:
            prose.append(line)
    if asked and sum(answer.argued for answer in answers) != 1:
        raise LessonError(f"{where}: a question needs answers, exactly one of them marked with *")
    return Step(
        slug=slug,
        title=title.strip(),
        text="\n".join(prose).strip(),
        question=Question(text=asked, answers=tuple(answers)) if asked else None,
        evidence=tuple(part.strip() for part in evidence.split(",") if part.strip()),
        note=note,
    )


def _answer(line: str, where: str) -> Answer:
    text, bar, reply = line[2:].partition(" | ")
    if not bar or not reply.strip():
        raise LessonError(f"{where}: the answer {text.strip()!r} has no reply; write 'answer | reply'")
    return Answer(text=text.strip(), reply=reply.strip(), argued=line.startswith("* "))
