"""Each test begins with no repository held back: the next server may be given the port of one that said to wait."""

import pytest

from core.models.hub import patience


@pytest.fixture(autouse=True)
def nothing_is_held(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "_held_until", {})
