#!/usr/bin/env bash
# Streamlit 1.67 does not let a callback finish: where it touches st.session_state the run looks for the next message of the browser,
# and leaves for it by an exception raised in the callback's own lines. What a button's callback set before stands, what it would have
# set after never does, nothing is logged, and the callback is not called again. A component or a slider that sends while a callback
# works thus leaves half of it done.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/v"; "$work/v/bin/pip" install -q streamlit==1.67.0
cd "$work"
cat > page.py <<'P'
import time
import streamlit as st
def say(words):
    with open("said", "a") as file:
        file.write(words + "\n")
def take():
    st.session_state["batch"] = 32
    say("callback begins")
    time.sleep(2)
    st.session_state["context"] = 65536
    say("callback ends")
st.button("Use this", key="take", on_click=take)
st.text_input("Word", key="word")
say(f"page: batch {st.session_state.get('batch')}, context {st.session_state.get('context')}, word {st.session_state['word']!r}")
P
port=$(python3 -c "import socket; s = socket.socket(); s.bind(('127.0.0.1', 0)); print(s.getsockname()[1])")
v/bin/streamlit run page.py --server.port "$port" --server.headless true --browser.gatherUsageStats false > log 2>&1 & server=$!
trap 'kill $server 2> /dev/null || true; rm -rf "$work"' EXIT
v/bin/python - "$port" <<'P'
import asyncio, pathlib, sys, time, urllib.request
port, said = sys.argv[1], pathlib.Path("said")
for _ in range(200):
    try:
        urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=1)
        break
    except OSError:
        time.sleep(0.1)
import streamlit, websockets
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
ids = {}
async def send(socket, word=None, take=False):
    message = BackMsg()
    message.rerun_script.query_string = ""
    if word is not None:
        message.rerun_script.widget_states.widgets.add(id=ids["word"]).string_value = word
    if take:
        message.rerun_script.widget_states.widgets.add(id=ids["take"]).trigger_value = True
    await socket.send(message.SerializeToString())
async def until(socket, there):
    """Hears what the server sends until the page has said as much."""
    for _ in range(600):
        try:
            came = ForwardMsg.FromString(await asyncio.wait_for(socket.recv(), 0.05))
        except asyncio.TimeoutError:
            came = ForwardMsg()
        if came.WhichOneof("type") == "delta":
            element = came.delta.new_element
            kind = element.WhichOneof("type")
            found = getattr(getattr(element, kind), "id", "") if kind else ""
            ids.update({key: found for key in ("take", "word") if found.endswith(f"-{key}")})
        if there in (said.read_text() if said.exists() else "") and len(ids) == 2:
            return
    raise SystemExit(f"the page never said {there!r}")
async def main():
    async with websockets.connect(f"ws://127.0.0.1:{port}/_stcore/stream", subprotocols=["streamlit"], max_size=None) as socket:
        await send(socket)
        await until(socket, "word ''")
        await send(socket, word="", take=True)
        await until(socket, "callback begins")
        await send(socket, word="next")
        await until(socket, "word 'next'")
        await asyncio.sleep(3)
asyncio.run(main())
lines = said.read_text().splitlines()
print(f"streamlit {streamlit.__version__}: {'; '.join(lines)}")
sys.exit(lines != ["page: batch None, context None, word ''", "callback begins", "page: batch 32, context None, word 'next'"])
P
grep -qi -e traceback -e error log && { cat log; exit 1; }
echo "the server's log names nothing of it"
