#!/usr/bin/env bash
# A button's callback in Streamlit 1.67 sets the value of another widget, st.session_state["page"] = 2, and the page turns to 2.
# Every message of the browser carries the values of all widgets as the browser knows them, so one that was sent before it heard
# of the 2 (a slider that sends when it rests, a component that answers what it was just shown) still says 1. The server takes that
# for a choice of the viewer: the page is back at 1, and on_change of that widget, which nobody touched, is called. A press that
# falls between an action and its answer is thus lost after its page has been seen, and no callback can tell it from a choice.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/v"; "$work/v/bin/pip" install -q streamlit==1.67.0
cd "$work"
cat > page.py <<'P'
import streamlit as st
def say(words):
    with open("said", "a") as file:
        file.write(words + "\n")
def turn():
    st.session_state["page"] = 2
st.segmented_control("Page", [1, 2, 3], key="page", default=1, on_change=say, args=("chosen",))
st.button("Next", key="next", on_click=turn)
st.text_input("Word", key="word")
say(f"page {st.session_state['page']} word {st.session_state['word']!r}")
P
port=$(python3 -c "import socket; s = socket.socket(); s.bind(('127.0.0.1', 0)); print(s.getsockname()[1])")
v/bin/streamlit run page.py --server.port "$port" --server.headless true --browser.gatherUsageStats false > log 2>&1 & server=$!
trap 'kill $server 2> /dev/null || true; rm -rf "$work"' EXIT
v/bin/python - "$port" <<'P'
import asyncio, pathlib, sys, time, urllib.request
port = sys.argv[1]
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
async def run(socket, **values):
    """One run as the client asks for it, with the values of its widgets by their key."""
    message = BackMsg()
    message.rerun_script.query_string = ""
    for key, value in values.items():
        state = message.rerun_script.widget_states.widgets.add(id=ids[key])
        if key == "page":
            state.string_array_value.data.append(value)
        elif key == "next":
            state.trigger_value = True
        else:
            state.string_value = value
    await socket.send(message.SerializeToString())
    while True:
        came = ForwardMsg.FromString(await asyncio.wait_for(socket.recv(), 30))
        if came.WhichOneof("type") == "delta":
            element = came.delta.new_element
            kind = element.WhichOneof("type")
            found = getattr(getattr(element, kind), "id", "") if kind else ""
            ids.update({key: found for key in ("page", "next", "word") if found.endswith(f"-{key}")})
        if came.WhichOneof("type") == "script_finished":
            return
async def main():
    async with websockets.connect(f"ws://127.0.0.1:{port}/_stcore/stream", subprotocols=["streamlit"], max_size=None) as socket:
        await run(socket)
        await run(socket, page="1", word="", next=True)
        await run(socket, page="1", word="late")
asyncio.run(main())
said = pathlib.Path("said").read_text().splitlines()
print(f"streamlit {streamlit.__version__}: {'; '.join(said)}")
sys.exit(said != ["page 1 word ''", "page 2 word ''", "chosen", "page 1 word 'late'"])
P
