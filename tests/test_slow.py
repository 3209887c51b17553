"""What `make check` leaves to `make test`: a list that names tests that are there, and how it is found."""

import ast
from collections import Counter

from tests.dashboard import ROOT
from tests.slow import function_of, is_all_slow, longest, slow_tests


def test_each_name_is_a_test_that_is_there():
    there = {
        f"{path.relative_to(ROOT).as_posix()}::{node.name}"
        for path in (ROOT / "tests").rglob("test_*.py")
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.FunctionDef)
    }
    assert sorted(slow_tests() - there) == []
    assert len(slow_tests()) > 50


def test_the_longest_are_named_until_the_rest_is_short():
    took = Counter({"a": 5.0, "b": 3.0, "c": 2.0, "d": 1.0})  # 11 together; without a 6, without a and b 3
    assert longest(took, rest_seconds=6.0) == ["a"]
    assert longest(took, rest_seconds=5.9) == ["a", "b"]
    assert longest(took, rest_seconds=11.0) == []


def test_parameters_belong_to_their_function():
    assert function_of("tests/a.py::test_b[c-1]") == function_of("tests/a.py::test_b") == "tests/a.py::test_b"


def test_a_file_is_left_out_whole_where_all_of_its_tests_are_named():
    assert is_all_slow(ROOT / "tests/core/figures/test_warnings.py")  # test_nothing_is_dropped_or_doubted, its one test
    assert not is_all_slow(ROOT / "tests/core/figures/test_sizing.py")  # some are named
    assert not is_all_slow(ROOT / "tests/test_slow.py")  # none is
