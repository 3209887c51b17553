"""Size with repositories of a loopback Hub: what it refuses is said and not asked for without end."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from pages.shell import cached
from pages.tools.size import count
from tests.hub_server import HubServer
from tests.hub_sized import sized_from

PAGE = "tools/size/size.py"
UNKNOWN = {  # InternLM2, a class that transformers has not
    "model_type": "internlm2", "hidden_size": 4096, "num_hidden_layers": 32, "num_attention_heads": 32,
    "num_key_value_heads": 8, "intermediate_size": 14336, "vocab_size": 92544,
}  # fmt: skip
Opener = Callable[..., AppTest]


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[HubServer]:
    """What the page asks of the Hub goes to a loopback server; the page's own cache of answers is the real one."""
    with sized_from(monkeypatch, tmp_path) as server:
        cached.hub_model.clear()
        yield server
        cached.hub_model.clear()


def answered(open_page: Opener, **query: str) -> AppTest:
    """The page once no question to the Hub is under way. Each run opens it anew: AppTest types no name of one's own."""
    for _ in range(200):
        app = open_page(PAGE, **query)
        if not any("Asking the Hub" in info.value for info in app.info):
            return app
        time.sleep(0.1)
    raise AssertionError(app.info[0].value)


def test_a_refusal_is_shown_and_not_asked_for_without_end(open_page: Opener, hub: HubServer) -> None:
    for _ in range(4):
        app = answered(open_page, size_model="nobody/nothing")
        assert "The Hub shows no nobody/nothing" in app.error[0].value
    assert hub.methods("nobody/nothing") == ["HEAD"]


def test_a_draft_that_the_hub_lacks_is_named_and_the_model_stays(open_page: Opener, hub: HubServer) -> None:
    app = answered(open_page, size_model="Llama-3 8B", size_draft="nobody/llama-3.2-1b-instruct")
    [error] = app.error
    said = error.value.replace("\\", "")  # shown as text, whatever was typed
    assert said.startswith("Draft model nobody/llama-3.2-1b-instruct: The Hub shows no nobody/llama-3.2-1b-instruct.")
    assert "Closest in the registry: Llama-3.2 1B," in said
    assert said.endswith("Name another among More inputs, or none.")
    assert not any(area.key == "size_paste" for area in app.text_area)  # a pasted file would stand for the model


def test_a_refusal_that_has_stood_for_a_while_is_asked_for_again(
    open_page: Opener, hub: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert answered(open_page, size_model="nobody/nothing").error
    monkeypatch.setattr(count, "REFUSED_SECONDS", -1.0)
    open_page(PAGE, size_model="nobody/nothing")
    for _ in range(200):
        if len(hub.methods("nobody/nothing")) > 1:
            return
        time.sleep(0.1)
    raise AssertionError(hub.asked)


def test_a_typed_count_stands_for_a_class_that_nothing_counts(open_page: Opener, hub: HubServer) -> None:
    hub.add("o/internlm2", config=UNKNOWN)
    app = answered(open_page, size_model="o/internlm2", size_parameters="7737708544", size_batch="1", size_g="8")
    assert not app.error
    said = " ".join(element.value for element in [*app.markdown, *app.caption])
    assert "7,737,708,544 × 16 / 8 / 1 = 15,475,417,088 bytes" in said


def test_a_file_that_says_too_little_asks_for_a_count(open_page: Opener, hub: HubServer) -> None:
    hub.add(
        "o/params", files={"params.json": b'{"dim": 4096, "n_layers": 32, "n_heads": 32, "moe": {"num_experts": 8}}'}
    )
    app = answered(open_page, size_model="o/params")
    assert "too little to add up its parameters. Give an exact count" in app.error[0].value
    app = answered(open_page, size_model="o/params", size_parameters="46702792704")
    assert not app.error


def test_what_does_not_read_is_said_by_its_field(open_page: Opener, hub: HubServer) -> None:
    hub.add("o/float", config={**UNKNOWN, "model_type": "llama", "hidden_size": 4096.0})
    app = answered(open_page, size_model="o/float")
    assert app.error[0].value.startswith("hidden_size is 4096.0: a whole number is expected")


@pytest.mark.parametrize("job", ["Choose G", "Serve a model"])
def test_an_older_copy_says_that_it_is_one(open_page: Opener, hub: HubServer, job: str) -> None:
    known = {**UNKNOWN, "model_type": "llama"}
    hub.add("o/a", config=known)
    assert not answered(open_page, size_model="o/a", size_job=job).warning
    hub.add("o/a", config=known, fault="server_error")
    cached.hub_model.clear()
    (warning,) = answered(open_page, size_model="o/a", size_job=job).warning
    assert "UTC (commit 0123456): The Hub answered 500 for o/a" in warning.value.replace("\\", "")


def test_an_address_is_sized_at_the_revision_that_it_names(open_page: Opener, hub: HubServer) -> None:
    hub.add("o/a", config={**UNKNOWN, "model_type": "llama"}, commit="v2")
    app = answered(open_page, size_model="https://huggingface.co/o/a/tree/v2")
    assert not app.error
    assert hub.asked[0].path == "/o/a/resolve/v2/config.json"
