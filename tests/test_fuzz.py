"""The fuzzer of `python -m tests.fuzz`, with a few inputs: nothing but our own errors."""

import subprocess
import sys
from pathlib import Path

from tests.fuzz import fuzz

# All objects of an interpreter are counted, so in one of its own: another test's threads come and go meanwhile.
TWICE = "from tests.fuzz import fuzz; print(*(fuzz(inputs=60, seed=5)['grown_objects'] for _ in range(2)))"


def test_hostile_inputs_are_answered_or_refused():
    found = fuzz(inputs=60, seed=5)
    assert found["others"] == {}
    assert sum(found["ends"].values()) == 60
    assert {"config answered", "config refused"} <= set(found["ends"])


def test_what_was_read_once_leaves_nothing_more_behind():
    """The same inputs again: every table is loaded by then, and caches with a bound are emptied before counting."""
    root = Path(__file__).parents[1]
    said = subprocess.run([sys.executable, "-c", TWICE], cwd=root, capture_output=True, text=True, check=True)
    first, again = map(int, said.stdout.split())
    assert first > 200 > again  # the first finds the tables loaded, so it does count
