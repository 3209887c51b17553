#!/usr/bin/env bash
# A widget that Streamlit 1.67 binds to the address (bind="query-params") follows the browser's Back, but only where it is drawn:
# in the run that Back asks for, st.query_params names the value of the address from the first line on, while
# st.session_state[key] is the value that was left, until the widget's own line. What a page draws above such a widget from the
# session stays one Back behind until some other run comes, and the two cannot be told apart there: a change from 1 to 2 and a Back
# from 2 to 1 both begin with 2 in the session and 1 in the address. The widget's callback is called for the first alone.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/v"; "$work/v/bin/pip" install -q streamlit==1.67.0
cd "$work"
cat > page.py <<'P'
import streamlit as st
def called():
    with open("said", "a") as file:
        file.write("callback\n")
above = st.session_state.get("step"), st.query_params.get("step")
st.segmented_control("Step", [1, 2, 3], key="step", bind="query-params", on_change=called)
with open("said", "a") as file:
    file.write(f"above {above} below {st.session_state['step'], st.query_params.get('step')}\n")
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
async def run(socket, query, chosen, back):
    """One run as the client asks for it, with the widget's value; the id of the widget that came."""
    message, widget = BackMsg(), chosen and chosen[0]
    message.rerun_script.query_string = query
    message.rerun_script.is_history_navigation = back
    message.rerun_script.widget_states.SetInParent()
    if chosen:
        message.rerun_script.widget_states.widgets.add(id=widget).string_array_value.data.append(chosen[1])
    await socket.send(message.SerializeToString())
    while True:
        said = ForwardMsg.FromString(await asyncio.wait_for(socket.recv(), 60))
        if said.delta.new_element.HasField("button_group"):
            widget = said.delta.new_element.button_group.id
        if said.WhichOneof("type") == "script_finished":
            return widget
async def visit():
    async with websockets.connect(f"ws://127.0.0.1:{port}/_stcore/stream", subprotocols=["streamlit"]) as socket:
        step = await run(socket, "step=1", None, False)
        await run(socket, "step=1", (step, "2"), False)  # 2 is chosen
        await run(socket, "step=1", (step, "2"), True)  # Back
asyncio.run(visit())
lines = pathlib.Path("said").read_text().splitlines()
print(f"streamlit {streamlit.__version__}")
print(*(f"  {line}" for line in lines), sep="\n")
expected = ["above (None, '1') below (1, '1')", "callback", "above (2, '1') below (2, '1')", "above (2, '1') below (1, '1')"]
sys.exit(lines != expected)
P
