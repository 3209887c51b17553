"""Ask: thirty questions find their page, off-topic ones are declined, and what is odd does no harm."""

from collections.abc import Sequence
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.learning import ask, faq, glossary
from core.learning.ask_passages import passages
from core.learning.ask_words import normalised
from core.learning.places import place
from tests.core.learning.ask_plain_questions import ANSWERED, OTHERS
from tests.core.learning.ask_questions import (
    DEVELOPMENT,
    HELD_OUT,
    OFF_TOPIC,
    OFF_TOPIC_DEVELOPMENT,
    OFF_TOPIC_HELD_OUT,
    ON_TOPIC,
    PREDICTIONS_DEVELOPMENT,
    PREDICTIONS_HELD_OUT,
)
from tests.dashboard import ROOT

asked = cache(ask.ask)  # several tests look at the same questions


def test_the_bar_is_thirty_and_ten() -> None:
    assert (len(ON_TOPIC), len(OFF_TOPIC)) == (30, 10)


@pytest.mark.parametrize(("question", "pages"), ON_TOPIC)
def test_the_right_page_is_among_the_first_three(question: str, pages: set[str]) -> None:
    found = [passage.page for passage in asked(question).passages]
    assert len(found) <= 3
    assert pages & set(found), found


@pytest.mark.parametrize("question", OFF_TOPIC)
def test_off_topic_questions_are_declined(question: str) -> None:
    assert asked(question).is_declined


def found_among_three(questions: Sequence[tuple[str, set[str]]]) -> int:
    return sum(bool(pages & {passage.page for passage in asked(question).passages}) for question, pages in questions)


def test_the_rate_on_the_questions_that_the_ranking_was_tuned_on() -> None:
    assert len(DEVELOPMENT) == 120
    assert found_among_three(DEVELOPMENT) >= 110


def test_the_rate_on_questions_that_were_held_out() -> None:
    """26 of 30: what it reached when it was asked once, after the last change. Change the ranking, never this set."""
    assert len(HELD_OUT) == 30
    assert found_among_three(HELD_OUT) >= 26


def test_the_rate_on_plain_words() -> None:
    """27 of 50 found, 10 of 10 declined; all-MiniLM-L6-v2 finds 21 and declines 10 (benchmarks/ask.py)."""
    assert (len(ANSWERED), len(OTHERS)) == (50, 10)
    assert found_among_three(ANSWERED) >= 27
    assert all(asked(question).is_declined for question in OTHERS)


def test_field_words_alone_do_not_make_a_question_one_for_the_lessons() -> None:
    assert [question for question in OFF_TOPIC_DEVELOPMENT if not asked(question).is_declined] == []
    declined = [question for question in OFF_TOPIC_HELD_OUT if asked(question).is_declined]
    assert (len(OFF_TOPIC_DEVELOPMENT), len(OFF_TOPIC_HELD_OUT)) == (43, 10)
    assert len(declined) >= 9


@pytest.mark.parametrize("question", [*PREDICTIONS_DEVELOPMENT, *PREDICTIONS_HELD_OUT])
def test_what_no_text_can_say_is_said_to_be_so(question: str) -> None:
    answer = asked(question)
    assert answer.asks_for_a_prediction
    assert answer.passages[0].title == "What can this dashboard not tell me?"


def test_other_questions_get_no_such_answer() -> None:
    others = [question for question, _ in (*ON_TOPIC, *DEVELOPMENT, *HELD_OUT)]
    assert [question for question in others if asked(question).asks_for_a_prediction] == []
    for question in (*OFF_TOPIC, *OFF_TOPIC_DEVELOPMENT, *OFF_TOPIC_HELD_OUT):
        assert not asked(question).asks_for_a_prediction


def test_at_most_one_passage_is_from_a_page_of_reference() -> None:
    for question, _ in DEVELOPMENT:
        pages = [passage.page for passage in asked(question).passages]
        assert sum(page in ask.REFERENCE for page in pages) <= 1, question


@pytest.mark.parametrize(
    ("text", "spelt"),
    [("65,536 tokens", "65536 tokens"), ("64k", "64k 65536"), ("an 80GB card", "an 80 gb card"),
     ("Quantization", "quantisation"), ("a 13B", "a 13b"), ("size", "size")],
)  # fmt: skip
def test_one_spelling_for_what_means_the_same(text: str, spelt: str) -> None:
    assert normalised(text) == spelt


def test_passages_come_from_every_part_and_lead_to_scripts() -> None:
    found = passages()
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
    passage = next(passage for passage in passages() if passage.page == "slider" and "publish" in passage.title)
    assert passage.query == (("slider", "3"),)


@pytest.mark.parametrize(("question", "says"), [("", "empty"), ("   ", "empty"), ("x" * 401, "401 characters")])
def test_what_cannot_be_asked_is_refused(question: str, says: str) -> None:
    with pytest.raises(ask.AskError, match=says):
        ask.ask(question)


@settings(max_examples=80, deadline=None)
@given(st.text(min_size=1, max_size=80).filter(str.strip))
def test_no_text_breaks_the_search(question: str) -> None:
    assert len(asked(question).passages) <= 3


@pytest.mark.parametrize(
    "question", ['"', "NEAR(a b)", "title:x OR *", "GQA AND NOT MQA", "'; DROP TABLE p; --", "???"]
)
def test_search_syntax_is_only_words(question: str) -> None:
    assert ask.ask(question).question == question


def test_words_that_carry_a_question() -> None:
    assert ask.content_words("What is the KV-cache’s size?") == ("kv-cache", "kv", "cache", "size")
    assert ask.content_words("why is it so") == ()


def test_a_question_of_common_words_is_declined() -> None:
    assert ask.ask("why is it so?").is_declined


@pytest.mark.parametrize("term", glossary.terms(), ids=lambda term: term.term)
def test_what_a_term_is_is_answered_by_its_entry(term: glossary.Term) -> None:
    first = asked(f"What is {term.term}?").passages[0]
    assert (first.page, first.title) == ("glossary", term.term)


@pytest.mark.parametrize("question", [entry.question for entry in faq.entries()])
def test_a_question_of_the_faq_has_its_answer_first_unless_it_asks_for_a_prediction(question: str) -> None:
    answer = asked(question)
    assert answer.asks_for_a_prediction or answer.passages[0].title == question


@pytest.mark.parametrize(
    "question",
    ["what's GQA", "What’s GQA?", "whats a KV head", "Define MQA.", "What does MLA stand for?", "what is the KV cache"],
)
def test_a_term_is_known_however_it_is_asked_for(question: str) -> None:
    assert asked(question).passages[0].page == "glossary"


@pytest.mark.parametrize("question", ["What is love?", "What is a sourdough starter?"])
def test_what_is_no_term_is_declined_as_before(question: str) -> None:
    assert asked(question).is_declined


@pytest.mark.parametrize(
    ("question", "meant"),
    [
        ("What is paged atention?", "What is paged attention?"),
        ("what's tensor paralel", "what's tensor parallel"),
        ("explain QUANTISATON", "explain quantisation"),
        ("what is the weather in paris", None),  # nothing is near
        ("", None),
    ],
)
def test_a_misspelt_term_is_asked_back(question: str, meant: str | None) -> None:
    assert ask.as_it_may_be_meant(question) == meant
    assert not question or asked(question).is_declined


@pytest.mark.parametrize("question", sorted({*OFF_TOPIC, *OFF_TOPIC_DEVELOPMENT, *OFF_TOPIC_HELD_OUT}))
def test_what_is_of_another_field_is_not_taken_for_a_misspelling(question: str) -> None:
    assert ask.as_it_may_be_meant(question) is None or not asked(question).is_declined
