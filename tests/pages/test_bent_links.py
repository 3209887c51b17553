"""The fuzzer of `python -m tests.fuzz_links`, with a few links: a page may refuse one, and never breaks."""

import pytest

from tests.fuzz_links import PLANTED, faults, fuzz


def test_bent_links_break_no_page():
    found = fuzz(["learn/layouts.py", "reference/glossary.py"], links=2, seed=3)
    assert found["faults"] == {}
    assert found["links"] == 4


@pytest.mark.parametrize("text", [PLANTED, "\u202e8\u2066", "x" * 10_000])
def test_what_a_link_says_is_text(text: str):
    assert faults("reference/ask.py", {"ask_question": text, text[:50]: text}) == []
