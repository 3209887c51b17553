"""What is installed: looked for again before it is called missing."""

from importlib.util import find_spec
from typing import Any

import pytest

from core.host import packages


def test_a_look_that_steps_over_a_folder_is_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another thread takes a folder out of sys.path meanwhile: of 60,000 looks beside one that did so, 347 missed."""
    looks: list[str] = []

    def once_missed(name: str) -> Any:
        looks.append(name)
        return None if len(looks) == 1 else find_spec(name)

    monkeypatch.setattr(packages, "find_spec", once_missed)
    assert packages.missing("Counting", "json") == ""
    assert looks == ["json", "json"]


def test_what_is_not_there_is_named() -> None:
    assert packages.missing("Counting", "json", "no_such_package", "nor_this") == (
        "Counting needs no_such_package and nor_this, which are not installed here: `pip install -r requirements.txt` "
        "brings it all."
    )
