"""Ask: thirty questions find their page, off-topic ones are declined, and what is odd does no harm."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.learning import ask
from core.learning.places import place
from tests.core.learning.ask_questions import OFF_TOPIC, ON_TOPIC
from tests.dashboard import ROOT


def test_the_bar_is_thirty_and_ten() -> None:
    assert (len(ON_TOPIC), len(OFF_TOPIC)) == (30, 10)


@pytest.mark.parametrize(("question", "pages"), ON_TOPIC)
def test_the_right_page_is_among_the_first_three(question: str, pages: set[str]) -> None:
    found = [passage.page for passage in ask.ask(question).passages]
    assert len(found) <= 3
    assert pages & set(found), found


@pytest.mark.parametrize("question", OFF_TOPIC)
def test_off_topic_questions_are_declined(question: str) -> None:
    assert ask.ask(question).is_declined


def test_passages_come_from_every_part_and_lead_to_scripts() -> None:
    found = ask.passages()
    pages = {passage.page for passage in found}
    assert {"slider", "paging", "faq", "glossary", "evidence"} <= pages
    for passage in found:
        assert (ROOT / "pages" / passage.script).exists()
        assert place(passage.page).script == passage.script
        assert "{" not in passage.title + passage.text
        assert passage.text.strip()


def test_passages_of_an_answer_are_from_different_pages() -> None:
    pages = [passage.page for passage in ask.ask("What are the ways to shrink the KV cache?").passages]
    assert len(pages) == len(set(pages)) == 3


def test_a_lesson_s_passage_links_to_its_step() -> None:
    passage = next(passage for passage in ask.passages() if passage.page == "slider" and "publish" in passage.title)
    assert passage.query == (("slider", "3"),)


@pytest.mark.parametrize(("question", "says"), [("", "empty"), ("   ", "empty"), ("x" * 401, "401 characters")])
def test_what_cannot_be_asked_is_refused(question: str, says: str) -> None:
    with pytest.raises(ask.AskError, match=says):
        ask.ask(question)


@settings(max_examples=80, deadline=None)
@given(st.text(min_size=1, max_size=80).filter(str.strip))
def test_no_text_breaks_the_search(question: str) -> None:
    assert len(ask.ask(question).passages) <= 3


@pytest.mark.parametrize(
    "question", ['"', "NEAR(a b)", "title:x OR *", "GQA AND NOT MQA", "'; DROP TABLE p; --", "???"]
)
def test_search_syntax_is_only_words(question: str) -> None:
    assert ask.ask(question).question == question


def test_words_that_carry_a_question() -> None:
    assert ask.content_words("What is the KV-cache’s size?") == ("kv-cache", "size", "kv", "cache")
    assert ask.content_words("why is it so") == ()


def test_a_question_of_common_words_is_declined() -> None:
    assert ask.ask("why is it so?").is_declined
