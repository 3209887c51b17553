"""Every refusal that any test of this folder meets has to say what would make the file readable."""

from collections.abc import Iterator
from typing import Any

import pytest

from core.models.rules.facts import UnsupportedConfig
from tests.core.models.orders import is_silent


@pytest.fixture(autouse=True, scope="module")
def _no_refusal_is_a_complaint_alone() -> Iterator[None]:
    said: list[str] = []

    def noted(refusal: UnsupportedConfig, *given: Any) -> None:
        said.append(str(given[0]))
        ValueError.__init__(refusal, *given)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(UnsupportedConfig, "__init__", noted)
        yield
    assert [text for text in said if is_silent(text)] == []
