"""What a browser may hand back, and what changes do to it."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.learning import progress
from core.learning.progress import Change, Progress

KEYS = st.one_of(
    st.from_regex(r"\Alesson:[a-z0-9_-]{1,12}:[0-9]{1,3}\Z"),
    st.from_regex(r"\Aquiz:[a-z0-9_-]{1,12}\Z"),
)
ENTRIES = st.dictionaries(KEYS, st.integers(0, 999), max_size=20)
CHANGES = st.lists(
    st.one_of(
        st.builds(Change, key=KEYS, value=st.integers(0, 999)),
        st.builds(Change, key=st.sampled_from(["", "quiz:", "lesson:"])),
    ),
    max_size=8,
)
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=20), inner, max_size=4),
)


@settings(deadline=None)  # a busy machine
@given(ENTRIES)
def test_json_and_back(entries: dict[str, int]) -> None:
    assert progress.parse(Progress(entries=entries).to_json()).entries == entries


@given(ENTRIES, CHANGES)
def test_applying_changes_twice_is_applying_them_once(entries: dict[str, int], changes: list[Change]) -> None:
    once = Progress(entries=entries).with_changes(changes)
    assert once.with_changes(changes).to_json() == once.to_json()


@given(ANYTHING)
def test_whatever_a_browser_holds_is_read_without_an_error(found: object) -> None:
    text = json.dumps(found)
    kept = progress.parse(text)
    assert all(isinstance(value, int) and 0 <= value <= 999 for value in kept.entries.values())


@pytest.mark.parametrize(
    "text",
    [None, 7, "", "{", "[]", "[" * 5_000, '{"quiz:a": true}', '{"quiz:a": -1}', '{"other:a": 1}', '{"quiz:a b": 1}',
     '{"lesson:a:x": 1}', '{"quiz:a": "1"}', " " * 40_001],
)  # fmt: skip
def test_what_does_not_fit_is_dropped(text: object) -> None:
    assert progress.parse(text) == Progress()


def test_a_store_is_bounded() -> None:
    many = {f"quiz:q{number}": 1 for number in range(800)}
    assert len(progress.parse(json.dumps(many)).entries) == progress.MAX_ENTRIES


def test_steps_and_answers_are_read_back() -> None:
    kept = Progress().with_changes(
        [progress.step_seen("slider", 2), progress.step_seen("slider", 0), progress.answered("what-g-is", 1)]
    )
    assert kept.steps_seen("slider") == {0, 2}
    assert kept.steps_seen("slide") == set()
    assert kept.answer("what-g-is") == 1
    assert kept.answer("batch") is None


def test_clearing_the_quiz_leaves_the_lessons() -> None:
    kept = Progress().with_changes([progress.step_seen("a", 1), progress.answered("b", 0), progress.cleared("quiz:")])
    assert dict(kept.entries) == {"lesson:a:1": 1}
    assert not kept.with_changes([progress.cleared()]).entries


@pytest.mark.parametrize("name", ["", "A", "a b", "x" * 41, "a:b"])
def test_a_name_that_could_not_be_kept_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="use a-z, 0-9"):
        progress.answered(name, 0)
