"""A loopback Hub for tests of whoever sizes a repository, with caches that no other test has filled."""

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from huggingface_hub import constants

from core.models.hub import patience
from core.serving import from_hub
from tests.hub_server import HubServer


def own_caches(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """huggingface_hub's cache and ours in a folder of the test, and no repository held back by a server before it."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(folder / "hub"))
    monkeypatch.setattr(constants, "HF_ASSETS_CACHE", str(folder / "assets"))
    monkeypatch.setattr(patience, "_held_until", {})


@contextmanager
def sized_from(monkeypatch: pytest.MonkeyPatch, folder: Path) -> Iterator[HubServer]:
    """The server that is asked for what a repository holds and weighs."""
    own_caches(monkeypatch, folder)
    with HubServer() as server:
        asked = functools.partial(from_hub.read_hub_model, endpoint=server.url, timeout=1.0)
        monkeypatch.setattr(from_hub, "read_hub_model", asked)
        yield server
