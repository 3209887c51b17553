#!/usr/bin/env bash
# Streamlit puts the script's folder in front of sys.path for each run of a script and takes it out when the run ends, in the
# whole process. Whoever looks for a module in another thread (importlib.util.find_spec, a lazy import) walks that very list:
# while an entry is taken out in front of it the walk steps over a folder, and a package that is installed is "not found".
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/v"; "$work/v/bin/pip" install -q streamlit==1.67.0
cd "$work"
v/bin/python - 2> /dev/null <<'P'
import importlib.util, sys, threading, time
import streamlit
from streamlit.runtime.scriptrunner.exec_code import modified_sys_path
sys.setswitchinterval(1e-6)
stop = threading.Event()
def runs():
    while not stop.is_set():
        with modified_sys_path("/somewhere/else/app.py"):
            pass
def missing(seconds, until):
    asked = lost = 0
    end = time.monotonic() + seconds
    while time.monotonic() < end and not until(lost):
        asked, lost = asked + 1, lost + (importlib.util.find_spec("pip") is None)
    return asked, lost
alone = missing(2, lambda lost: False)
threading.Thread(target=runs, daemon=True).start()
beside = missing(60, lambda lost: lost >= 3)
stop.set()
print(f"streamlit {streamlit.__version__}: pip, which is installed, was not found {alone[1]} of {alone[0]} times alone "
      f"and {beside[1]} of {beside[0]} times beside scripts that begin and end")
sys.exit(0 if alone[1] == 0 and beside[1] >= 3 else 1)
P
