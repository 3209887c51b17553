"""Real configs pasted on Size where no Hub answers: a verdict without a typed count, or why there is none."""

import gzip
import json
from collections.abc import Iterator
from time import monotonic, sleep

import pytest
from streamlit.testing.v1 import AppTest

from tests.core.measured_cases import TESTS, measured_cases
from tests.core.models.formats.files import SAMPLES, as_bytes

PAGE = "tools/size/size.py"
BUILDS, LIMIT_S = "transformers builds its class", 300
# Of a file that cannot be sized: a class that transformers refuses or has not, an unknown cache, a shape left out
REASONS = (
    "The architecture could not be built", "is not known to transformers", "Give the config.json of a decoder",
    "Ask for this model to be added", "Its file cannot say how much", "a whole number is needed here",
)  # fmt: skip


def published() -> list[str]:
    return [json.dumps(case["config"]) for case in measured_cases() if "__real" in case["case"]]


def every_text() -> Iterator[str]:
    """Published shapes, other tools' files, and the configs that servers' planners were asked about."""
    yield from published()
    yield from (as_bytes(sample).decode() for sample in SAMPLES.values())
    for file in sorted((TESTS / "data" / "engines").glob("*_cases.json.gz")):
        for case in json.loads(gzip.decompress(file.read_bytes())):
            if isinstance(case, dict) and isinstance(case.get("config"), dict):
                yield json.dumps(case["config"])


def answer(app: AppTest, text: str) -> str:
    """The verdict, '### ...', or the error; a class that is being built is waited for."""
    app.session_state["size_paste"] = text
    began = monotonic()
    while True:
        app.run(timeout=LIMIT_S)  # a busy machine alone may take a minute
        assert not app.exception, (app.exception[0].message, text[:300])
        if not any(BUILDS in info.value for info in app.info):
            break
        assert monotonic() - began < LIMIT_S, text[:300]
        sleep(0.5)
    verdicts = [element.value for element in app.markdown if element.value.startswith("### ")]
    return app.error[0].value if app.error else verdicts[0]


def test_published_shapes_get_their_verdict(open_page):
    """Four of the seventy; test_verdict_offline.py plans each of them."""
    app = open_page(PAGE, size_model="A file of your own")
    said = [answer(app, text) for text in published()[::20]]
    assert len(said) == 4
    assert [words for words in said if not words.startswith("### ") or "fit" not in words] == []


@pytest.mark.proof
@pytest.mark.torch
def test_every_real_config_gets_its_verdict_or_the_reason(open_page):
    app = open_page(PAGE, size_model="A file of your own")
    said = {text: answer(app, text) for text in dict.fromkeys(every_text())}
    without = {text: words for text, words in said.items() if not words.startswith("### ")}
    assert {t[:200]: w for t, w in without.items() if not any(reason in w for reason in REASONS)} == {}
    assert len(said) - len(without) > 0.93 * len(said)
