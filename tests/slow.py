"""The tests that `make check` leaves to `make test`: slow.txt names them, each with all its parameters.

`python -m tests.slow` runs what needs no torch, server or browser, adds up what each test function takes, and writes
those down that take longest, until the rest takes REST_SECONDS of one core.
"""

import re
import sys
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

NAMES = Path(__file__).with_name("slow.txt")
REST_SECONDS = 28.0
TEST = re.compile(r"^def (test_\w+)", re.MULTILINE)
UNIT = ["--ignore=tests/browser", "--ignore=tests/server", "-m", "not torch"]


@cache
def slow_tests() -> frozenset[str]:
    """Node ids without parameters."""
    return frozenset(NAMES.read_text(encoding="utf-8").split())


def is_all_slow(path: Path) -> bool:
    """Whether slow.txt names every test of a file, which then need not be imported to leave them out."""
    prefix = f"{path.relative_to(NAMES.parents[1]).as_posix()}::"
    named = {name.removeprefix(prefix) for name in slow_tests() if name.startswith(prefix)}
    return bool(named) and named >= set(TEST.findall(path.read_text(encoding="utf-8")))


def function_of(node_id: str) -> str:
    """'tests/a.py::test_b[c]' -> 'tests/a.py::test_b'."""
    return node_id.partition("[")[0]


class Took:
    """A plugin: seconds of each test function, setup and teardown included."""

    def __init__(self) -> None:
        self.seconds: Counter[str] = Counter()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.seconds[function_of(report.nodeid)] += report.duration


def longest(seconds: Counter[str], rest_seconds: float = REST_SECONDS) -> list[str]:
    """The fewest functions without which the others take no more than rest_seconds together."""
    left, names = sum(seconds.values()), []
    for name, took in seconds.most_common():
        if left <= rest_seconds:
            break
        names.append(name)
        left -= took
    return sorted(names)


def main() -> int:
    took = Took()
    code = pytest.main(UNIT, plugins=[took])
    if code == pytest.ExitCode.OK:
        NAMES.write_text("".join(f"{name}\n" for name in longest(took.seconds)), encoding="utf-8")
    return int(code)


if __name__ == "__main__":
    sys.exit(main())
