#!/usr/bin/env bash
# streamlit 1.67 wraps the state of a session once for each of its runs, and each wrapper has a lock of its own. An interrupted run that
# goes on to its next yield point beside the run in its place therefore writes while that one goes through the same dictionaries: a page
# shows "dictionary changed size during iteration", now and then, where a browser asks for a second run early in the first.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/v"; "$work/v/bin/pip" install -q streamlit==1.67.0
cd "$work"
v/bin/python - <<'P'
import sys, threading, time
from importlib.metadata import version
from streamlit.runtime.state.safe_session_state import SafeSessionState
from streamlit.runtime.state.session_state import SessionState
state = SessionState()
before, after = (SafeSessionState(state, lambda: None) for _ in range(2))  # as two script runners of one session make them
ended, found = threading.Event(), ""

def goes_on():
    number = 0
    while not ended.is_set():
        before[f"of the page {number}"] = number = number + 1

sys.setswitchinterval(1e-5)
writer = threading.Thread(target=goes_on)
writer.start()
until = time.monotonic() + 60
while not found and time.monotonic() < until:
    try:
        after.on_script_will_rerun(None)
    except RuntimeError as error:
        found = str(error)
ended.set()
writer.join()
print(f"streamlit {version('streamlit')}: one lock for both: {before._lock is after._lock}; the second run says: {found or 'nothing'}")
sys.exit(0 if found.startswith("dictionary changed size") and before._lock is not after._lock else 1)
P
