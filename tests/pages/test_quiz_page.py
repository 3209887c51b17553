"""The quiz without a browser: an answer is explained, counted, and noted for the browser."""

from collections.abc import Callable

import pytest
from streamlit.runtime.state.safe_session_state import SafeSessionState
from streamlit.testing.v1 import AppTest

from core.learning import quiz
from pages.shell import walk, whole_callbacks

OpenPage = Callable[..., AppTest]
FIRST, SECOND = quiz.questions()[:2]


def answer(app: AppTest, question: quiz.Question, option: int) -> None:
    app.button(key=f"quiz_{question.id}_{option}").click().run()
    assert not app.exception


def test_the_first_question_opens_without_an_answer(open_page: OpenPage) -> None:
    app = open_page("learn/quiz.py")
    assert app.subheader[0].value == FIRST.question
    shown = [app.button(key=f"quiz_{FIRST.id}_{option}") for option in range(3)]
    assert [button.label for button in shown] == list(FIRST.options)
    assert not any(button.proto.icon for button in shown)
    assert not app.success
    assert not app.info
    assert app.progress[0].text.startswith("25 questions.")


def test_right_and_wrong_are_explained_and_counted(open_page: OpenPage) -> None:
    app = open_page("learn/quiz.py")
    answer(app, FIRST, FIRST.answer)
    assert app.success[0].value == f"Right. {FIRST.why}"
    app.button(key="quiz_next").click().run()
    assert app.subheader[0].value == SECOND.question
    wrong = (SECOND.answer + 1) % 3
    answer(app, SECOND, wrong)
    assert app.info[0].value == f"No: **{SECOND.options[SECOND.answer]}** {SECOND.why}"
    assert app.button(key=f"quiz_{SECOND.id}_{wrong}").proto.icon == ":material/close:"
    assert app.button(key=f"quiz_{SECOND.id}_{SECOND.answer}").proto.icon == ":material/check:"
    assert app.progress[0].text == "1 of 2 right. 23 to go."


def test_an_answer_can_be_changed(open_page: OpenPage) -> None:
    app = open_page("learn/quiz.py")
    answer(app, FIRST, (FIRST.answer + 1) % 3)
    answer(app, FIRST, FIRST.answer)
    assert app.progress[0].text == "1 of 1 right. 24 to go."


def test_a_link_opens_its_question(open_page: OpenPage) -> None:
    app = open_page("learn/quiz.py", quiz_number="2")
    assert app.subheader[0].value == SECOND.question


def test_clearing_forgets_the_answers(open_page: OpenPage) -> None:
    app = open_page("learn/quiz.py")
    assert app.button(key="quiz_clear").disabled
    answer(app, FIRST, 0)
    app.button(key="quiz_clear").click().run()
    assert not app.success
    assert not app.info
    assert app.progress[0].text.startswith("25 questions.")


def test_clearing_begins_at_the_first_question_whatever_number_the_browser_still_sends(open_page: OpenPage) -> None:
    app = open_page("learn/quiz.py", quiz_number="5")
    answer(app, quiz.questions()[4], 0)
    app.button(key="quiz_clear").click().run()
    app.segmented_control(key="quiz_number").set_value(5).run()
    assert app.subheader[0].value == FIRST.question


def test_who_has_begun_is_not_moved_by_what_the_browser_says_late(open_page: OpenPage) -> None:
    app = open_page("learn/quiz.py")
    first = quiz.questions()[0]
    app.button(key=f"quiz_{first.id}_{first.answer}").click().run()
    app.session_state["_progress_kept"] = f'{{"quiz:{first.id}":{first.answer}}}'  # the store's answer, a run later
    app.run()
    assert app.subheader[0].value == first.question


def test_a_turn_holds_against_what_the_browser_sends_late(open_page: OpenPage, monkeypatch: pytest.MonkeyPatch) -> None:
    """The store's answer to an answer carries the number that stood when it was sent."""
    now = [0.0]
    monkeypatch.setattr(walk, "monotonic", lambda: now[0])
    app = open_page("learn/quiz.py")
    answer(app, FIRST, FIRST.answer)
    app.button(key="quiz_next").click().run()
    app.segmented_control(key="quiz_number").set_value(1).run()
    assert app.subheader[0].value == SECOND.question
    app.segmented_control(key="quiz_number").set_value(5).run()
    assert app.subheader[0].value == quiz.questions()[4].question
    app.segmented_control(key="quiz_number").set_value(1).run()
    assert app.subheader[0].value == FIRST.question
    app.button(key="quiz_next").click().run()
    now[0] = walk.HOLDS_S
    app.segmented_control(key="quiz_number").set_value(1).run()
    assert app.subheader[0].value == FIRST.question


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a server: what a message changed is known."""
    take_in = SafeSessionState.on_script_will_rerun
    monkeypatch.setattr(SafeSessionState, "on_script_will_rerun", getattr(take_in, "__wrapped__", take_in))
    whole_callbacks.install()


@pytest.mark.usefixtures("counted")
def test_a_turn_holds_for_as_long_as_a_busy_browser_takes(open_page: OpenPage, monkeypatch: pytest.MonkeyPatch) -> None:
    """A number that comes with another value is late, however late; alone it was picked; and none is late after 2."""
    now = [0.0]
    monkeypatch.setattr(walk, "monotonic", lambda: now[0])
    app = open_page("learn/quiz.py")
    answer(app, FIRST, FIRST.answer)
    app.button(key="quiz_next").click().run()
    now[0] = 20 * walk.HOLDS_S
    app.segmented_control(key="quiz_number").set_value(1)
    app.button(key=f"quiz_{SECOND.id}_0").click().run()  # stands for the store, which speaks in its own time
    assert app.subheader[0].value == SECOND.question
    app.run()  # the browser has heard of 2
    app.segmented_control(key="quiz_number").set_value(1)
    app.button(key=f"quiz_{SECOND.id}_1").click().run()
    assert app.subheader[0].value == FIRST.question


@pytest.mark.usefixtures("counted")
def test_a_number_picked_by_hand_long_after_a_turn_is_a_pick(
    open_page: OpenPage, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr(walk, "monotonic", lambda: now[0])
    app = open_page("learn/quiz.py")
    app.button(key="quiz_next").click().run()
    now[0] = walk.HOLDS_S
    app.segmented_control(key="quiz_number").set_value(1).run()
    assert app.subheader[0].value == FIRST.question
    answer(app, FIRST, FIRST.answer)
    assert app.subheader[0].value == FIRST.question


def test_an_answered_question_opens_from_its_link(open_page: OpenPage) -> None:
    """The address has the tick of who answered it, which nobody else has."""
    fifth = quiz.questions()[4]
    assert open_page("learn/quiz.py", quiz_number="5 ✓").subheader[0].value == fifth.question
    assert open_page("learn/quiz.py", quiz_number="5").subheader[0].value == fifth.question
    assert open_page("learn/quiz.py", quiz_number="99 ✓").subheader[0].value == FIRST.question
