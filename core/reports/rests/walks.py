"""A lesson: each figure of its text with the arithmetic behind it, and every published statement with its source."""

from collections.abc import Sequence

from core.evidence.studies import published
from core.learning.figures import figures, texts
from core.learning.lessons import Lesson, fill
from core.reports.closing import Rests, cited, points

ASSUMED = (
    "Bytes are a cache's payload, at the width that a figure names; an engine may reserve more. Times are lower bounds "
    "from the data sheet's bandwidth and rate: nothing is measured unless it says so.",
    "Published quality figures are from other models, mostly single runs.",
)


def lesson_rests(lessons: Sequence[Lesson]) -> Rests:
    """Of one lesson, or of all of them from the map: figures and findings once each, in order of appearance."""
    steps = [step for lesson in lessons for step in lesson.steps]
    names = dict.fromkeys(name for step in steps for name in step.placeholders if name in figures())
    by_id = {finding.id: finding for finding in published().findings}
    found = [by_id[id] for id in dict.fromkeys(id for step in steps for id in step.evidence)]
    said = [fill(step.title, texts()) for step in steps] if len(lessons) == 1 else [each.title for each in lessons]
    return Rests(
        said=points(said),
        formulas=tuple((_where(name, lessons), figures()[name].how, figures()[name].text) for name in names),
        evidence=tuple(cited(finding, finding.statement) for finding in found),
        assumed=ASSUMED,
    )


def _where(name: str, lessons: Sequence[Lesson]) -> str:
    """The step that says the figure first."""
    return next(fill(step.title, texts()) for lesson in lessons for step in lesson.steps if name in step.placeholders)
