"""A repository that only the server's own token can read, on a server that may show it and on one that may not."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from huggingface_hub import constants

from core.models.hub import gate
from core.models.hub.client import pull_config
from core.models.hub.gguf import pull_gguf
from core.models.hub.pulls import HubError
from core.models.hub.safetensors import header_bytes
from tests.core.models.gguf.files import LLAMA as KEYS
from tests.core.models.gguf.files import header, tokens
from tests.hub_server import COMMIT, HubServer

LLAMA = {"model_type": "llama", "num_attention_heads": 32}
GATED = "meta-llama/Llama-2-7b-hf"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[HubServer]:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_ASSETS_CACHE", str(tmp_path / "assets"))
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "no token"))
    monkeypatch.setattr(gate, "_shut", False)
    monkeypatch.setenv("HF_TOKEN", "hf_owner")
    with HubServer() as server:
        server.add(GATED, config=LLAMA, lets_in="hf_owner")
        yield server


def refused(hub: HubServer, repository: str = GATED) -> HubError:
    with pytest.raises(HubError) as caught:
        pull_config(repository, endpoint=hub.url, timeout=1)
    return caught.value


def test_where_it_may_be_shown_the_token_reads_it(hub: HubServer) -> None:
    assert pull_config(GATED, endpoint=hub.url).config == LLAMA
    assert {asked.authorization for asked in hub.asked} == {"Bearer hf_owner"}


@pytest.mark.parametrize("token", ["hf_another", None])
def test_another_token_or_none_is_told_of_the_conditions(
    hub: HubServer, monkeypatch: pytest.MonkeyPatch, token: str | None
) -> None:
    monkeypatch.delenv("HF_TOKEN")
    if token is not None:
        monkeypatch.setenv("HF_TOKEN", token)
    error = refused(hub)
    assert error.kind == "gated"
    assert "Accept its conditions at https://huggingface.co/meta-llama/Llama-2-7b-hf" in str(error)


def test_where_it_may_not_the_token_is_not_sent_and_the_refusal_says_whose_rule_it_is(hub: HubServer) -> None:
    gate.set_shut(True)
    error = refused(hub)
    assert error.kind == "gated"
    assert "does not show what its own HF_TOKEN alone can read" in str(error)
    hub.add("some/open", config=LLAMA, parameters={"BF16": 7})
    assert pull_config("some/open", endpoint=hub.url).config == LLAMA
    hub.add("some/file-GGUF", files={"a.gguf": header({**KEYS, **tokens(100)}) + bytes(100_000)})
    assert pull_gguf("some/file-GGUF", endpoint=hub.url).metadata["general.architecture"] == "llama"
    with pytest.raises(HubError):
        header_bytes("some/open", COMMIT, timeout=1, endpoint=hub.url)
    assert {asked.authorization for asked in hub.asked} == {None}


def test_a_mirror_of_a_gated_model_is_still_read(hub: HubServer) -> None:
    gate.set_shut(True)
    hub.add("NousResearch/Llama-2-7b-hf", config=LLAMA)
    assert pull_config(GATED, mirror="NousResearch/Llama-2-7b-hf", endpoint=hub.url).config == LLAMA


def test_what_the_token_read_before_is_not_shown_from_the_cache(hub: HubServer) -> None:
    hub.add("some/open", config=LLAMA)
    pull_config(GATED, endpoint=hub.url)
    gate.set_shut(True)
    pull_config("some/open", endpoint=hub.url)
    assert refused(hub).kind == "gated"
    for repository in (GATED, "some/open"):
        hub.repositories[repository].fault, hub.repositories[repository].lets_in = "server_error", None
    assert refused(hub).kind == "server_error"
    assert "answered 500" in (pull_config("some/open", endpoint=hub.url, timeout=0.1).stale_because or "")
    gate.set_shut(False)
    assert "answered 500" in (pull_config(GATED, endpoint=hub.url, timeout=0.1).stale_because or "")
