"""The walk as a document: each step of a lesson with its words, its note and its pictures, or its table.

A picture that was on screen leaves as it was seen; a step that nobody opened is drawn as it opens, or as the link says.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from core.evidence import studies as evidence
from core.figures.house import dress
from core.figures.palette import Palette
from core.learning.lessons import Lesson, Step, fill
from core.learning.step_pictures import StepPicture, step_pictures
from core.reports.exports import Picture, Section
from core.reports.step_tables import StepTable, step_table

Seen = Mapping[tuple[str, int], Sequence[Picture]]  # by the lesson's key and the step's number from 1


def walk_sections(
    lessons: Sequence[Lesson], *, figures: Mapping[str, str], seen: Seen, query: Mapping[str, str], colours: Palette
) -> tuple[Section, ...]:
    """A section for each step, one more for each further picture of it; figures fill the placeholders of the text."""
    found: list[Section] = []
    for lesson in lessons:
        for number, step in enumerate(lesson.steps, start=1):
            pictures = seen.get((lesson.key, number)) or opening_pictures(lesson.key, step, query, colours)
            table = None if pictures else step_table(lesson.key, step.slug, query)
            found += [_table_section(step, figures, table)] if table else _step_sections(step, figures, pictures)
    return tuple(found)


def _step_sections(step: Step, figures: Mapping[str, str], pictures: Sequence[Picture]) -> list[Section]:
    title, text, note = (fill(part, figures) for part in (step.title, step.text, step.note))
    sections = [Section(title=title, text=text, note=note, picture=pictures[0] if pictures else None)]
    return sections + [Section(title=title, note=note, picture=other) for other in pictures[1:]]


def _table_section(step: Step, figures: Mapping[str, str], shown: StepTable) -> Section:
    title, text, note = (fill(part, figures) for part in (step.title, step.text, step.note))
    return Section(
        title=title,
        text="\n\n".join(filter(None, (text, shown.says))),
        note="\n\n".join(filter(None, (note, shown.note))),
        table=shown.table,
    )


def opening_pictures(lesson: str, step: Step, query: Mapping[str, str], colours: Palette) -> tuple[Picture, ...]:
    """What the step shows at first, with the link's values where the picture takes them."""
    return tuple(drawn(lesson, asked, query, colours) for asked in step_pictures(lesson, step.slug))


def drawn(lesson: str, asked: StepPicture, query: Mapping[str, str], colours: Palette) -> Picture:
    """A value in the link that a picture refuses is left out: the lesson's page says why, a file cannot."""
    try:
        return draw(asked.name, colours, **asked.values(lesson, query))
    except (ValueError, LookupError, ArithmeticError):  # a control that stands has refused it before
        return draw(asked.name, colours, **asked.opening())


def draw(name: str, colours: Palette, **inputs: Any) -> Picture:
    """The picture of that name, in the house look. Raises ValueError for inputs that it refuses."""
    if name == "layout":
        return _layout(colours, **inputs)
    if name == "quality":
        return _quality(str(inputs["studies"]), colours)
    if name == "against_memory":
        inputs = {"cache_bytes": _cache_bytes(**inputs)}
    from core.figures.lessons import picture  # noqa: PLC0415  altair loads with the first file that someone asks for

    made = picture(name, colours, **inputs)
    return Picture(sentence=made.sentence, alt_text=made.alt_text, spec=dress(made.spec, colours))


def _layout(colours: Palette, *, num_query_heads: int, num_kv_heads: int, head_dim: int) -> Picture:
    from core.figures.drawing import written  # noqa: PLC0415  as above
    from core.figures.layouts import layout_chart  # noqa: PLC0415  as above
    from core.models.head_sharing import Layout, alt_text, sentence  # noqa: PLC0415  as above

    layout = Layout(num_query_heads=num_query_heads, num_kv_heads=num_kv_heads, head_dim=head_dim)
    chart = layout_chart(layout, colours, width_px=600, height_px=340)
    return Picture(sentence=sentence(layout), alt_text=alt_text(layout), spec=dress(written(chart), colours))


def _cache_bytes(
    *, num_layers: int, num_kv_heads: int, head_dim: int, width: int, context_length: int, batch: int
) -> int:
    return 2 * num_layers * num_kv_heads * head_dim * width * context_length * batch


def _quality(studies: str, colours: Palette) -> Picture:
    """Changes in benchmark points against each study's own MHA: of all studies, of some, or nearest to a choice."""
    from core.figures.drawing import written  # noqa: PLC0415  as above
    from core.figures.evidence import quality_alt_text, quality_chart  # noqa: PLC0415  as above

    dots = evidence.all_dots()
    if studies.startswith("nearest"):
        dots = evidence.evidence_for(40, 2).dots
    elif studies != "all":
        dots = tuple(dot for dot in dots if dot.study.id in studies.split())
    shown = [dot for dot in dots if dot.scale == "points"]
    chart = quality_chart(shown, "points", colours)
    return Picture(
        sentence=f"Against each study's own MHA: {evidence.range_text(shown)}.",
        alt_text=quality_alt_text(shown, "points"),
        spec=dress(written(chart), colours),
    )
