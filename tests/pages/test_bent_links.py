"""The fuzzer of `python -m tests.fuzz_links`, with a few links: a page may refuse one, and never breaks."""

import ast
from pathlib import Path

import pytest

from tests.fuzz_links import PLANTED, faults, fuzz


def test_bent_links_break_no_page():
    found = fuzz(["learn/layouts.py", "reference/glossary.py"], links=2, seed=3)
    assert found["faults"] == {}
    assert found["links"] == 4


@pytest.mark.parametrize("text", [PLANTED, "\u202e8\u2066", "x" * 10_000])
def test_what_a_link_says_is_text(text: str):
    assert faults("reference/ask.py", {"ask_question": text, text[:50]: text}) == []


def test_every_line_that_is_typed_has_a_most_length():
    """A pasted file of 10 MB went to the server and back with the page, and was kept in the session."""
    calls = [
        (path.name, node)
        for path in sorted((Path(__file__).parents[2] / "pages").rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "text_input"
    ]
    assert len(calls) == 9
    assert [name for name, call in calls if "max_chars" not in {word.arg for word in call.keywords}] == []


@pytest.mark.parametrize(
    ("script", "key"), [("reference/glossary.py", "glossary_find"), ("reference/engines.py", "engines_model")]
)
def test_a_link_with_more_than_a_field_takes_breaks_no_page(script: str, key: str):
    assert faults(script, {key: "x" * 400_000}) == []
