"""What leaves as a walk is what the lessons show: each step, opened on its page, draws the pictures of the table."""

import pytest
from streamlit.testing.v1 import AppTest

from core.figures.palette import LIGHT
from core.learning.lessons import Lesson, lessons
from core.learning.step_pictures import Control, step_pictures
from core.reports.walk import drawn, opening_pictures
from tests.dashboard import ROOT

ARRIVES = {("draw", slug) for slug in ("mha", "mqa", "gqa")}  # the page begins with a stroke, the deck has all of them


def shown(lesson: Lesson, number: int, **query: str) -> list[str]:
    """Alt texts of what the page of the step remembers for a deck; the frame runs once before, to know its pages."""
    app = AppTest.from_file(ROOT / "pages" / "frame.py", default_timeout=60).run()
    for name, value in {lesson.key: str(number), **query}.items():
        app.query_params[name] = value
    app.switch_page(lesson.script).run()
    assert not app.exception, app.exception
    key, walked = app.session_state["_share_walk"]
    assert key == lesson.key
    return [picture.alt_text for picture in walked.get(number, {}).values()]


@pytest.mark.parametrize("lesson", lessons(), ids=lambda lesson: lesson.key)
def test_a_step_that_nobody_opened_leaves_as_it_opens(lesson: Lesson) -> None:
    for number, step in enumerate(lesson.steps, start=1):
        on_page = shown(lesson, number)
        in_deck = [picture.alt_text for picture in opening_pictures(lesson.key, step, {}, LIGHT)]
        if (lesson.key, step.slug) in ARRIVES:
            assert len(on_page) == len(in_deck) == 1
        else:
            assert in_deck == on_page, f"{lesson.key}, step {step.slug}"


def test_a_link_of_the_lesson_is_what_its_other_steps_are_drawn_with() -> None:
    link = {"bottleneck_batch": "32", "bottleneck_context": "65,536", "bottleneck_g": "8"}
    on_page = shown(lessons()[0], 2, **link)
    drawn = opening_pictures("bottleneck", lessons()[0].steps[1], link, LIGHT)
    assert [picture.alt_text for picture in drawn] == on_page


def test_what_a_link_cannot_mean_is_drawn_as_it_opens() -> None:
    step = lessons()[0].steps[0]
    usual = opening_pictures("bottleneck", step, {}, LIGHT)
    for nonsense in ("7", "many", "-1", "9" * 40):
        assert opening_pictures("bottleneck", step, {"bottleneck_g": nonsense}, LIGHT) == usual


@pytest.mark.parametrize("lesson", lessons(), ids=lambda lesson: lesson.key)
@pytest.mark.parametrize("nonsense", ["0", "3", "7", "99999", "zzz"])
def test_a_deck_is_made_whatever_a_link_says(lesson: Lesson, nonsense: str) -> None:
    """A control on a step that was not opened has not refused its value yet."""
    for step in lesson.steps:
        for asked in step_pictures(lesson.key, step.slug):
            link = {f"{lesson.key}_{c.key}": nonsense for c in asked.inputs.values() if isinstance(c, Control)}
            if link:
                assert drawn(lesson.key, asked, link, LIGHT).alt_text
