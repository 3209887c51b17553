#!/usr/bin/env bash
# Altair 6.3: .encode(x="a:Q") and .encode(x=alt.value(3)) build a table of the JSON schemas of all of Altair's classes, each
# dumped as JSON and hashed, for every single encoding that is given so; .encode(x=alt.X("a:Q")) builds none and writes the same
# chart. In a chart of several layers those tables are most of the time that making it takes.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/v"; "$work/v/bin/pip" install -q altair==6.3.0
cd "$work"
v/bin/python - <<'P'
import sys, time
import altair as alt
from altair.utils import schemapi
schemapi.disable_debug_mode()
hashed = 0
inner = schemapi._FromDict.hash_schema.__func__
def counted(cls, schema, use_json=True):
    global hashed
    hashed += 1
    return inner(cls, schema, use_json)
schemapi._FromDict.hash_schema = classmethod(counted)
def made(**encodings):
    global hashed
    hashed, begun = 0, time.perf_counter()
    chart = alt.Chart(alt.Data(values=[])).mark_bar().encode(**encodings)
    return hashed, 1000 * (time.perf_counter() - begun), chart.to_dict()
made(x="a:Q", y=alt.value(3))
words = made(x="a:Q", y=alt.value(3))
classes = made(x=alt.X("a:Q"), y=alt.YValue(3))
print(f"altair {alt.__version__}: two encodings as a word and a value hash {words[0]} schemas ({words[1]:.1f} ms), as classes {classes[0]} ({classes[1]:.1f} ms)")
print("the same chart:", words[2] == classes[2])
sys.exit(0 if words[0] > 1000 and classes[0] == 0 and words[2] == classes[2] else 1)
P
