"""The fuzzer of `python -m tests.fuzz`, with a few inputs: nothing but our own errors."""

from tests.fuzz import fuzz


def test_hostile_inputs_are_answered_or_refused():
    found = fuzz(inputs=60, seed=5)
    assert found["others"] == {}
    assert sum(found["ends"].values()) == 60
    assert {"config answered", "config refused"} <= set(found["ends"])


def test_what_was_read_once_leaves_nothing_more_behind():
    """The same inputs again: every table is loaded by then, and caches with a bound are emptied before counting."""
    fuzz(inputs=60, seed=5)
    assert fuzz(inputs=60, seed=5)["grown_objects"] < 200
