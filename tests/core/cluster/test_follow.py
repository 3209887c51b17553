"""What a server does with sweeps that the last one left: it goes on with those under way, without a page being open."""

import threading
from pathlib import Path

import pytest

from core.cluster import follow, store
from core.cluster.points import Sweep
from core.decode.store import StoreUnavailable

SWEEP = Sweep(num_query_heads=8, head_dim=64, kv_heads=(8,), contexts=(1024,), batches=(2,), devices=("H100",))


@pytest.fixture
def driven(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The sweeps that were to be driven, with a cluster named."""
    found: list[str] = []
    monkeypatch.setenv("HEADROOM_DATA_DIR", str(tmp_path))
    monkeypatch.setattr(follow, "offered", lambda: True)
    monkeypatch.setattr(follow, "go_on", lambda sweep_id: found.append(sweep_id))
    return found


def test_a_new_server_goes_on_with_what_was_under_way_alone(driven: list[str]):
    under_way, cancelled = store.add(SWEEP), store.add(SWEEP)
    store.end(cancelled, store.CANCELLED)
    follow.go_on_after_a_restart()
    assert driven == [under_way]


def test_a_sweep_resumed_while_its_driver_ends_goes_on_after_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HEADROOM_DATA_DIR", str(tmp_path))
    sweep_id, begun, let_go, driven = store.add(SWEEP), threading.Event(), threading.Event(), []

    def drive(sweep_id: str, failed_too: bool) -> None:
        driven.append((store.status(sweep_id), failed_too))
        begun.set()
        if len(driven) == 1:
            let_go.wait(60)

    monkeypatch.setattr(follow, "_drive", drive)
    follow.go_on(sweep_id)
    assert begun.wait(60)  # a busy machine starts a thread late
    follow.go_on(sweep_id, failed_too=True)  # under way: nothing is to be resumed
    follow.cancel(sweep_id)
    follow.go_on(sweep_id, failed_too=True)
    thread = follow._drivers[sweep_id]
    let_go.set()
    thread.join(60)
    assert driven == [("under way", False), ("under way", True)]
    assert not follow.is_driven(sweep_id)


def test_a_cancel_after_a_resume_is_the_last_word(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HEADROOM_DATA_DIR", str(tmp_path))
    sweep_id, let_go, driven = store.add(SWEEP), threading.Event(), []

    def drive(sweep_id: str, failed_too: bool) -> None:
        driven.append(failed_too)
        let_go.wait(60)

    monkeypatch.setattr(follow, "_drive", drive)
    follow.go_on(sweep_id)
    follow.cancel(sweep_id)
    follow.go_on(sweep_id, failed_too=True)
    follow.cancel(sweep_id)
    thread = follow._drivers[sweep_id]
    let_go.set()
    thread.join(60)
    assert (driven, store.status(sweep_id)) == ([False], "cancelled")


def test_without_a_cluster_a_server_looks_at_nothing(driven: list[str], monkeypatch: pytest.MonkeyPatch):
    store.add(SWEEP)
    monkeypatch.setattr(follow, "offered", lambda: False)
    follow.go_on_after_a_restart()
    assert driven == []


def test_a_store_that_cannot_be_read_keeps_no_server_from_starting(driven: list[str], monkeypatch: pytest.MonkeyPatch):
    def no_store() -> list[store.SweepLine]:
        raise StoreUnavailable("the disk is full")

    monkeypatch.setattr(store, "sweeps", no_store)
    follow.go_on_after_a_restart()
    assert driven == []
