"""A run that was interrupted writes nothing while the run in its place goes through the state of their session."""

import subprocess
import sys
import threading

import pytest
from streamlit.runtime.state import safe_session_state
from streamlit.runtime.state.safe_session_state import SafeSessionState
from streamlit.runtime.state.session_state import SessionState

from pages.shell import one_lock
from tests.dashboard import ROOT


@pytest.fixture
def state(monkeypatch: pytest.MonkeyPatch) -> SessionState:
    """With the patch for this test alone, whether or not a page of another test has it."""
    begin = SafeSessionState.__init__
    monkeypatch.setattr(safe_session_state.SafeSessionState, "__init__", getattr(begin, "__wrapped__", begin))
    one_lock.install()
    return SessionState()


def test_what_the_run_before_writes_waits_for_the_run_that_looks(
    state: SessionState, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, after = (SafeSessionState(state, lambda: None) for _ in range(2))
    before["seen"] = 1
    written = threading.Event()

    def write() -> None:
        before["late"] = 2
        written.set()

    late = threading.Thread(target=write)
    found = SessionState._get_widget_id

    def slowly(self: SessionState, key: str) -> str:
        if late.ident is None:  # the first look, in the middle of the dictionary
            late.start()
            written.wait(0.5)
        return found(self, key)

    monkeypatch.setattr(SessionState, "_get_widget_id", slowly)
    after.on_script_will_rerun(None)
    late.join()
    assert (after["seen"], after["late"]) == (1, 2)


def test_sessions_do_not_wait_for_each_other(state: SessionState) -> None:
    one, other = SafeSessionState(state, lambda: None), SafeSessionState(SessionState(), lambda: None)
    assert one._lock is SafeSessionState(state, lambda: None)._lock
    assert one._lock is not other._lock
    with one._lock:
        thread = threading.Thread(target=other.__setitem__, args=("a", 1))
        thread.start()
        thread.join()  # ends, though the first is held
    assert other["a"] == 1


def test_the_server_has_it_before_the_first_session() -> None:
    look = "from streamlit.runtime.state.safe_session_state import SafeSessionState as state"
    program = f"import dashboard; {look}; print(getattr(state.__init__, 'one_lock', False))"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True"]
