"""Walks a lesson: one step a screen, its text on the left, what can be operated and seen on the right.

The step is a query parameter named after the lesson (?formula=2), so a screen is a link. The arrow keys go to the
next step and back, and on from a lesson's last step to the next lesson. A page gives one function for each step:

    run("formula", {"factors": factors, "by-hand": by_hand, "absent": absent})

Each gets a Stage: `left` for controls under the text, `right` for pictures. Whoever draws a lesson larger, for a room,
needs nothing but the same call.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from core.evidence.studies import published
from core.learning import glossary, lessons
from core.learning.figures import figures, texts
from core.learning.lessons import Lesson, Step
from core.models.head_sharing import Layout, LayoutError, alt_text, sentence
from pages.shell import cached, progress, share, style
from pages.shell.walk import Stop, walk

if TYPE_CHECKING:
    from core.reports.closing import Rests


@dataclass(frozen=True, kw_only=True)
class Stage:
    """Where a step draws. key(name) is the key of a widget of this lesson."""

    lesson: Lesson
    step: Step
    left: DeltaGenerator
    right: DeltaGenerator

    def key(self, name: str) -> str:
        return f"{self.lesson.key}_{name}"

    def controls(self, *widths: int) -> list[DeltaGenerator]:
        """Columns for controls, of those relative widths, in one row above the picture."""
        return self.right.columns(widths, gap="medium", vertical_alignment="bottom")

    def picture(self, name: str, **inputs: Any) -> None:
        """A lesson's picture in the right column under its sentence; what it refuses is shown as an error."""
        with self.right:
            try:
                drawn = cached.lesson_picture(name, st.context.theme.type or "light", **inputs)
            except ValueError as refused:
                st.error(str(refused))
                return
            style.draw_spec(drawn.spec, sentence=drawn.sentence, alt_text=drawn.alt_text, key=self.key(f"pic_{name}"))

    def layout(self, num_query_heads: int, num_kv_heads: int, head_dim: int = 128) -> None:
        """One attention layout in the right column, as on the page of the three layouts."""
        try:
            shape = Layout(num_query_heads=num_query_heads, num_kv_heads=num_kv_heads, head_dim=head_dim)
        except LayoutError as refused:
            self.right.error(str(refused))
            return
        theme = st.context.theme.type or "light"
        with self.right:
            spec = cached.layout_spec(num_query_heads, num_kv_heads, head_dim, theme, 600)
            style.draw_spec(spec, sentence=sentence(shape), alt_text=alt_text(shape), key=self.key("layout"))

    def said_before(self) -> None:
        """In a case's last step: what the reader answered in its first, so that the two can be compared."""
        first = self.lesson.steps[0]
        kept = st.session_state.get(f"{self.lesson.key}_{first.slug}_answer")
        if first.question is not None and isinstance(kept, int) and 0 <= kept < len(first.question.answers):
            own = lessons.fill(first.question.answers[kept].text, texts())
            self.left.info(f"You answered at first: {own}")


Screen = Callable[[Stage], None]
FINDINGS_PX = 720
_LEFT_AT = "lesson_left_at"


def run(key: str, screens: Mapping[str, Screen]) -> None:
    """Draws the lesson's current step with the function of its slug."""
    lesson = lessons.lesson(key)
    if set(screens) != {step.slug for step in lesson.steps}:
        raise lessons.LessonError(f"{key}: the page draws {sorted(screens)}, the text has other steps")
    head, bar = st.columns([3, 7], vertical_alignment="center")
    titles = [lessons.fill(step.title, texts()) for step in lesson.steps]
    before, after = lessons.neighbours(key)
    with bar:
        number = walk(lesson.key, titles, before=_stop(before, "Back"), after=_stop(after, "Next lesson"))
    step = lesson.steps[number]
    head.caption(lesson.title)
    st.title(titles[number], anchor=False)
    left, right = st.columns([3, 5], gap="large")
    with left:
        st.markdown(glossary.linked(lessons.fill(step.text, texts())))
    screens[step.slug](Stage(lesson=lesson, step=step, left=left, right=right))
    with left:
        if step.question is not None:
            ask(lesson, step)
        _origins(step)
    _keep_link(lesson)
    share.remember_answer(lesson.promise, partial(_rests, lesson))
    progress.saw(lesson.key, number)
    progress.send()


def _rests(lesson: Lesson, _colours: object) -> "Rests":
    from core.reports.rests.walks import lesson_rests  # noqa: PLC0415  with the first file

    return lesson_rests((lesson,))


def _stop(other: Lesson | None, label: str) -> Stop:
    """The lesson before or after; past the ends of the walk lies the map."""
    if other is None:
        return Stop(label="Lesson map", help="All lessons at a glance", script="learn/map.py", query=link_to(None))
    return Stop(label=label, help=other.title, script=other.script, query=link_to(other))


def link_to(lesson: Lesson | None) -> dict[str, str]:
    """The query with which a lesson was left, so that its step and its controls are found again as they were."""
    kept: dict[str, dict[str, str]] = st.session_state.get(_LEFT_AT, {})
    query = dict(kept.get(lesson.key, {})) if lesson else {}
    if st.query_params.get("present"):
        query["present"] = st.query_params["present"]
    return query


def _keep_link(lesson: Lesson) -> None:
    """Remember the lesson's part of the query: leaving a page by a button clears it from the address."""
    own = {name: value for name, value in st.query_params.items() if name.split("_")[0] == lesson.key}
    st.session_state[_LEFT_AT] = {**st.session_state.get(_LEFT_AT, {}), lesson.key: own}


def thousands(count: int) -> str:
    """65536 -> '65,536': how a control names a count of tokens."""
    return f"{count:,}"


def ask(lesson: Lesson, step: Step) -> int | None:
    """The step's question and, once answered, what is said to the answer. Returns the answer's number from 0."""
    assert step.question is not None
    answers = step.question.answers
    chosen: int | None = st.radio(
        lessons.fill(step.question.text, texts()),
        range(len(answers)),
        index=None,
        format_func=lambda number: lessons.fill(answers[number].text, texts()),
        key=f"{lesson.key}_{step.slug}_answer",
        persist_state="session",
    )
    if chosen is not None and 0 <= chosen < len(answers):
        say = st.success if answers[chosen].argued else st.info
        say(lessons.fill(answers[chosen].reply, texts()))
    return chosen


def _origins(step: Step) -> None:
    """What is published on the step's point, and where each figure of its text comes from, one click away."""
    _findings(step)
    shown = [name for name in step.placeholders if name in figures()]
    if shown:
        with st.popover("Where the figures come from", icon=":material/calculate:"):
            for name in shown:
                st.markdown(f"**{figures()[name].text}**  \n{figures()[name].how}")


def _findings(step: Step) -> None:
    """Each published statement with its source and its caveat, in two columns."""
    if not step.evidence:
        return
    by_id = {finding.id: finding for finding in published().findings}
    found = [by_id[id] for id in step.evidence]
    with st.popover(f"Published on this ({len(found)})", icon=":material/menu_book:"), st.container(width=FINDINGS_PX):
        columns = st.columns(min(len(found), 2), gap="medium")
        for place, finding in enumerate(found):
            cited = f"[{finding.citation}]({finding.link})" if finding.link else finding.citation
            columns[place % len(columns)].markdown(f"{finding.statement}  \n:small[{cited}. {finding.caveat}]")
