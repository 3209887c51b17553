"""A message that comes while a press is answered waits for the answer."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from streamlit.runtime.scriptrunner import ScriptRunner, ScriptRunnerEvent
from streamlit.runtime.scriptrunner_utils.script_requests import RerunData
from streamlit.runtime.state.safe_session_state import SafeSessionState
from streamlit.testing.v1 import AppTest
from streamlit.testing.v1.local_script_runner import LocalScriptRunner

from pages.shell import one_lock, whole_callbacks
from tests.dashboard import ROOT


@pytest.fixture(autouse=True)
def _installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the patch for this test alone, whether or not a page of another test has it."""
    take_in = SafeSessionState.on_script_will_rerun
    monkeypatch.setattr(SafeSessionState, "on_script_will_rerun", getattr(take_in, "__wrapped__", take_in))
    whole_callbacks.install()


def _page() -> None:
    import streamlit as st
    from streamlit.runtime.scriptrunner_utils.script_requests import RerunData
    from streamlit.runtime.state import get_session_state

    def press(message: bool) -> None:
        st.session_state["first"] = 1
        if message:
            get_session_state()._yield_callback.__self__.request_rerun(RerunData())
        st.session_state["second"] = 2

    st.button("Press", on_click=press, args=(False,))
    st.button("Press and hear", on_click=press, args=(True,))
    st.markdown(f"run {st.session_state.setdefault('runs', 0) + 1}")
    st.session_state["runs"] += 1


def test_a_message_in_the_middle_of_a_callback_waits_for_its_end() -> None:
    app = AppTest.from_function(_page).run()
    app.button[1].click().run()
    assert (app.session_state["first"], app.session_state["second"]) == (1, 2)
    assert app.markdown[0].value == "run 2"  # the message's own run, and none of the press but its callback


def test_a_message_before_a_callback_does_not_take_its_press_away(monkeypatch: pytest.MonkeyPatch) -> None:
    app = AppTest.from_function(_page).run()
    begin, starts = LocalScriptRunner.__init__, []

    def send_at_start(sender: ScriptRunner, event: ScriptRunnerEvent, **_: object) -> None:
        if event == ScriptRunnerEvent.SCRIPT_STARTED:
            starts.append(event)
            if len(starts) == 1:  # taken up, and nothing of it begun
                sender.request_rerun(RerunData())

    def with_message(self: LocalScriptRunner, *values: Any, **named: Any) -> None:
        begin(self, *values, **named)
        self.on_event.connect(send_at_start, weak=False)

    monkeypatch.setattr(LocalScriptRunner, "__init__", with_message)
    app.button[0].click().run()
    assert len(starts) == 2
    assert (app.session_state["first"], app.session_state["second"]) == (1, 2)


def test_what_a_message_changed_is_read_while_no_other_run_can_write(monkeypatch: pytest.MonkeyPatch) -> None:
    one_lock.install()
    changed, could_write = whole_callbacks._changed, []

    def beside_an_ending_run(state: Any) -> frozenset[str]:
        lock = vars(SafeSessionState(state, lambda: None))["_lock"]

        def got() -> bool:
            return lock.acquire(blocking=False) and lock.release() is None

        with ThreadPoolExecutor(1) as other:
            could_write.append(other.submit(got).result())
        return changed(state)

    monkeypatch.setattr(whole_callbacks, "_changed", beside_an_ending_run)
    app = AppTest.from_function(_page).run()
    app.button[0].click().run()
    assert could_write == [False, False]


def test_a_callback_may_still_ask_for_a_run_or_another_page() -> None:
    def page() -> None:
        import streamlit as st

        def press() -> None:
            st.session_state["pressed"] = st.session_state.get("pressed", 0) + 1
            st.rerun()

        st.button("Press", on_click=press)

    app = AppTest.from_function(page).run()
    app.button[0].click().run()
    assert app.session_state["pressed"] == 1
    assert not app.exception


def test_the_server_has_it_before_the_first_session() -> None:
    look = "from streamlit.runtime.state.safe_session_state import SafeSessionState as state"
    program = f"import dashboard; {look}; print(getattr(state.on_script_will_rerun, 'whole', False))"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True"]
