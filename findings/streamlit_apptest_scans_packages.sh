#!/usr/bin/env bash
# streamlit.testing.v1.AppTest reads the metadata of every installed package on the first run of each AppTest object (it looks
# for components, as a server does once when it starts). With 100 packages installed that costs more than most scripts that are
# tested: a suite of page tests spends its time there, and the more packages are installed, the slower it gets.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/v"; "$work/v/bin/pip" install -q streamlit==1.67.0
cd "$work"
v/bin/python - 2> /dev/null <<'P'
import importlib.metadata, sys
import streamlit
from streamlit.testing.v1 import AppTest
read = []
inner = importlib.metadata.PathDistribution.read_text
def counted(self, name):
    if name == "METADATA":
        read.append(str(self._path))
    return inner(self, name)
importlib.metadata.PathDistribution.read_text = counted
def one():
    before = len(read)
    app = AppTest.from_string("import streamlit as st\nst.title('x')").run()
    first = len(read) - before
    app.run()
    return first, len(read) - before - first
one()
(first, again), packages = one(), len(list(importlib.metadata.distributions()))
print(f"streamlit {streamlit.__version__}: {packages} packages; metadata files read by the first run of a second AppTest: {first}, by its next run: {again}")
sys.exit(0 if first >= packages and again == 0 else 1)
P
