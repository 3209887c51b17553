"""What one reader has seen and answered: a flat map of short keys to whole numbers, kept in the reader's own browser.

`lesson:<lesson>:<step>` is 1 once that step was on screen; `quiz:<question>` is the option chosen, from 0. The browser
holds the map as JSON and may hand back anything at all, so `parse` keeps what fits and drops the rest. Changes are
operations: applying the same ones twice changes nothing, so neither a lost message nor a second tab does harm.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

MAX_ENTRIES = 500
MAX_CHARACTERS = 40_000
_KEY = re.compile(r"(lesson:[a-z0-9_-]{1,40}:[0-9]{1,3}|quiz:[a-z0-9_-]{1,40})", re.ASCII)


@dataclass(frozen=True, kw_only=True)
class Change:
    """Sets one entry, or, with value None, removes every entry whose key starts with `key`."""

    key: str
    value: int | None = None

    @property
    def is_removal(self) -> bool:
        return self.value is None


@dataclass(frozen=True, kw_only=True)
class Progress:
    """The whole of what is kept. Unknown questions and lessons are allowed: an older browser may hold them."""

    entries: Mapping[str, int] = field(default_factory=dict)

    def steps_seen(self, lesson: str) -> frozenset[int]:
        """The steps of a lesson, from 0, that were on screen."""
        prefix = f"lesson:{lesson}:"
        return frozenset(int(key[len(prefix) :]) for key in self.entries if key.startswith(prefix))

    def answer(self, question: str) -> int | None:
        """The option chosen for a question of the quiz, from 0; None before an answer."""
        return self.entries.get(f"quiz:{question}")

    def with_changes(self, changes: Iterable[Change]) -> "Progress":
        """The same after the changes, in order."""
        entries = dict(self.entries)
        for change in changes:
            if change.value is None:
                entries = {key: value for key, value in entries.items() if not key.startswith(change.key)}
            else:
                entries[change.key] = change.value
        return Progress(entries=entries)

    def to_json(self) -> str:
        """One line, keys in order, as the browser keeps it."""
        return json.dumps(dict(sorted(self.entries.items())), separators=(",", ":"))


def parse(text: object) -> Progress:
    """What a browser handed over, less whatever is not an entry. Never raises: a damaged store starts afresh."""
    if not isinstance(text, str) or len(text) > MAX_CHARACTERS:
        return Progress()
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return Progress()
    if not isinstance(found, dict):
        return Progress()
    kept = {key: value for key, value in found.items() if _is_entry(key, value)}
    return Progress(entries=dict(list(kept.items())[:MAX_ENTRIES]))


def step_seen(lesson: str, step: int) -> Change:
    """A lesson's step was on screen. Raises ValueError for a name that could not be kept."""
    return _checked(Change(key=f"lesson:{lesson}:{step}", value=1))


def answered(question: str, option: int) -> Change:
    """A question of the quiz was answered with an option, from 0. Raises ValueError as step_seen does."""
    return _checked(Change(key=f"quiz:{question}", value=option))


def cleared(prefix: str = "") -> Change:
    """Everything under a prefix ('quiz:', 'lesson:') is forgotten; '' forgets all."""
    return Change(key=prefix)


def _checked(change: Change) -> Change:
    if not _is_entry(change.key, change.value):
        raise ValueError(
            f"progress entry '{change.key}' = {change.value!r}: use a-z, 0-9, _ and - in names of up to 40 characters, "
            "and a step or an option from 0 to 999."
        )
    return change


def _is_entry(key: object, value: object) -> bool:
    whole = isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 999
    return whole and isinstance(key, str) and _KEY.fullmatch(key) is not None
