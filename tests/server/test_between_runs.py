"""What the server collects between runs: when it is worth it, when people left, and never a session still wanted."""

import asyncio
import gc
import sys
import weakref
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest
import streamlit as st
from streamlit.runtime import Runtime
from streamlit.runtime.memory_session_storage import MemorySessionStorage
from streamlit.runtime.session_manager import ActiveSessionInfo, SessionInfo

from pages.server import between_runs


class Knot:
    """Garbage that only a collection finds."""

    def __init__(self) -> None:
        self.itself = self


@pytest.fixture(autouse=True)
def nothing_stays_set_aside() -> Iterator[None]:
    yield
    gc.unfreeze()


@pytest.fixture
def sessions(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many the server has, one element, to be changed."""
    found = [0]
    monkeypatch.setattr(between_runs, "sessions_kept", lambda: found[0])
    return found


@pytest.fixture
def young(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How often the interpreter collected by itself, one element, to be changed."""
    found = [1000]
    monkeypatch.setattr(between_runs, "_young_collections", lambda: found[0])
    return found


def test_garbage_is_collected_once_enough_was_made(sessions: list[int], young: list[int]):
    tidier = between_runs.Tidier()
    assert tidier.look()  # what the start left
    assert not tidier.look()
    young[0] += between_runs.WORTH_IT - 1
    assert not tidier.look()
    young[0] += 1
    knot = weakref.ref(Knot())
    assert tidier.look()
    assert knot() is None


def test_what_was_set_aside_with_a_session_goes_with_it(sessions: list[int], young: list[int]):
    tidier = between_runs.Tidier()
    sessions[0] = 2
    tidier.look()
    knot = weakref.ref(Knot())
    gc.freeze()  # as after an import, while the session is there
    sessions[0] = 1
    assert tidier.look()
    assert knot() is None


def test_names_that_were_looked_up_go_when_somebody_left(sessions: list[int], young: list[int]):
    """The interpreter's cache of attributes holds the very string that was asked by, although nobody else has it."""
    count, found = sys.getrefcount, Knot()
    name = "".join(("ALIGN", "_START"))
    alone = count(name)
    getattr(found, name, None)
    assert count(name) > alone
    tidier = between_runs.Tidier()
    sessions[0] = 2
    tidier.look()
    sessions[0] = 1
    tidier.look()
    assert count(name) == alone


def test_a_closed_tab_is_kept_for_its_time_and_no_longer(monkeypatch: pytest.MonkeyPatch):
    now = [0.0]
    storage = MemorySessionStorage(ttl_seconds=120)
    monkeypatch.setattr(storage._cache, "_timer", lambda: now[0])
    manager = SimpleNamespace(_session_storage=storage, num_active_sessions=lambda: 3)
    monkeypatch.setattr(Runtime, "exists", classmethod(lambda cls: True))
    monkeypatch.setattr(Runtime, "instance", classmethod(lambda cls: SimpleNamespace(_session_mgr=manager)))
    session = Knot()
    session.id = "a"
    storage.save(SessionInfo(client=None, session=session))
    last_served = ActiveSessionInfo(client=Knot(), session=session)  # as Streamlit's loop goes on holding it
    now[0] = 119.0
    assert between_runs.sessions_kept() == 4
    gone = weakref.ref(session)
    session.itself = None
    del session
    assert gone() is not None
    now[0] = 121.0
    assert between_runs.sessions_kept() == 3
    assert gone() is None
    assert (last_served.session, last_served.client) == (None, None)


def test_while_a_server_runs_streamlit_leaves_collecting_to_it(monkeypatch: pytest.MonkeyPatch):
    before = st.config.get_option("runner.postScriptGC")
    looks: list[bool] = []
    logged: list[str] = []

    def look(self: between_runs.Tidier) -> None:
        looks.append(True)
        if len(looks) == 1:
            raise AttributeError("another Streamlit")

    monkeypatch.setattr(between_runs, "EVERY_SECONDS", 0.0)
    monkeypatch.setattr(between_runs, "keep_few_arenas", lambda: True)
    monkeypatch.setattr(between_runs.Tidier, "look", look)
    monkeypatch.setattr(between_runs.LOG, "exception", logged.append)

    async def a_server() -> None:
        async with between_runs.tidied():
            assert st.config.get_option("runner.postScriptGC") is False
            while len(looks) < 2:  # the first one failed, and is said in the log
                await asyncio.sleep(0)

    try:
        with ThreadPoolExecutor(1) as elsewhere:  # a browser's loop may be running in this thread
            elsewhere.submit(lambda: asyncio.run(asyncio.wait_for(a_server(), 30))).result()
    finally:
        st.config.set_option("runner.postScriptGC", before)
    assert logged == ["could not tidy up"]
