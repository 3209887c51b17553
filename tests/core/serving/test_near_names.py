"""What stands instead of a name that gave nothing: what is listed as cached here can be read without the Hub."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from huggingface_hub import constants

from core.models.hub import gate
from core.models.hub.client import pull_config
from core.models.hub.pulls import HubError
from core.serving.near_names import cached_repositories, instead_of_hub
from tests.hub_server import COMMIT, HubServer
from tests.hub_sized import own_caches

FALCON = {"model_type": "falcon", "num_attention_heads": 71, "multi_query": True}


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[HubServer]:
    """A Hub that gave some/model before, and is then switched off as HF_HUB_OFFLINE does."""
    own_caches(monkeypatch, tmp_path)
    with HubServer() as server:
        server.add("some/model", config=FALCON)
        pull_config("some/model", endpoint=server.url)
        monkeypatch.setattr(constants, "ENDPOINT", server.url)
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
        yield server
    gate.set_shut(False)


def downloaded(tmp_path: Path, folder: str, filename: str = "config.json", ref: str | None = "main") -> None:
    """A repository as huggingface_hub lays it into its cache."""
    snapshot = tmp_path / "hub" / folder / "snapshots" / COMMIT
    snapshot.mkdir(parents=True)
    (snapshot / filename).write_text(json.dumps(FALCON), encoding="utf-8")
    if ref is not None:
        (tmp_path / "hub" / folder / "refs").mkdir()
        (tmp_path / "hub" / folder / "refs" / ref).write_text(COMMIT, encoding="utf-8")


def test_what_was_kept_of_the_hub_is_listed(hub: HubServer) -> None:
    assert cached_repositories() == ["some/model"]
    assert instead_of_hub("o/zzzz") == "Cached here: some/model."


def test_each_name_that_is_listed_is_read_without_the_hub(hub: HubServer, tmp_path: Path) -> None:
    """One of a tag alone is not listed: by its name it is not read either."""
    downloaded(tmp_path, "models--some--download")
    downloaded(tmp_path, "models--gpt2", "params.json")
    downloaded(tmp_path, "models--some--tagged", ref="v2")
    (tmp_path / "hub" / "models--a--b--c").mkdir()
    assert cached_repositories() == ["gpt2", "some/download", "some/model"]
    for name in cached_repositories():
        found = pull_config(name)
        assert (found.config, found.commit) == (FALCON, COMMIT)
        assert found.stale_because == "HF_HUB_OFFLINE is set, so nothing was asked. Unset it to pull."
    with pytest.raises(HubError, match="HF_HUB_OFFLINE is set"):
        pull_config("some/tagged")
    assert pull_config("some/tagged", "v2").config == FALCON


def test_a_server_that_others_reach_tells_and_reads_nothing_of_it(hub: HubServer, tmp_path: Path) -> None:
    downloaded(tmp_path, "models--some--download")
    gate.set_shut(True)
    assert instead_of_hub("o/zzzz") == ""
    with pytest.raises(HubError, match="HF_HUB_OFFLINE is set"):
        pull_config("some/download")
