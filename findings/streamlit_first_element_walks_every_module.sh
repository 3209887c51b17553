#!/usr/bin/env bash
# The first element that a Streamlit 1.67 process draws asks whether it runs in a REPL, although a server knows that it does not:
# inspect.stack() looks up each frame's module, and for that takes the real path of the file of every module that is imported.
# After pandas and Altair that is thousands of lstat calls, a tenth of a second of the first viewer's first page; the second
# element makes none.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/v"; "$work/v/bin/pip" install -q streamlit==1.67.0 altair==6.3.0
cd "$work"
cat > page.py <<'P'
import os, time
import altair, pandas
import streamlit as st
calls = 0
inner = os.lstat
def counted(*args, **kwargs):
    global calls
    calls += 1
    return inner(*args, **kwargs)
os.lstat = counted
said = []
for _ in range(2):
    calls, begun = 0, time.perf_counter()
    st.text("a")
    said += [str(calls), f"{1000 * (time.perf_counter() - begun):.1f}"]
os.lstat = inner
with open("said", "w") as file:
    file.write(" ".join(said))
P
port=$(python3 -c "import socket; s = socket.socket(); s.bind(('127.0.0.1', 0)); print(s.getsockname()[1])")
v/bin/streamlit run page.py --server.port "$port" --server.headless true --browser.gatherUsageStats false > log 2>&1 & server=$!
trap 'kill $server 2> /dev/null || true; rm -rf "$work"' EXIT
v/bin/python - "$port" <<'P'
import pathlib, sys, time, urllib.request
import asyncio
port = sys.argv[1]
for _ in range(200):
    try:
        urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=1)
        break
    except OSError:
        time.sleep(0.1)
import websockets
from streamlit.proto.BackMsg_pb2 import BackMsg
async def visit():
    async with websockets.connect(f"ws://127.0.0.1:{port}/_stcore/stream", subprotocols=["streamlit"]) as socket:
        message = BackMsg()
        message.rerun_script.query_string = ""
        await socket.send(message.SerializeToString())
        for _ in range(600):
            if pathlib.Path("said").exists() and pathlib.Path("said").read_text():
                return
            try:
                await asyncio.wait_for(socket.recv(), 0.1)
            except TimeoutError:
                pass
asyncio.run(visit())
import streamlit
first, first_ms, second, second_ms = pathlib.Path("said").read_text().split()
print(f"streamlit {streamlit.__version__}: lstat calls of the first element of a server: {first} ({first_ms} ms), of the second: {second} ({second_ms} ms)")
sys.exit(0 if int(first) > 1000 and int(second) == 0 else 1)
P
