#!/usr/bin/env bash
# streamlit's download_button with a function as its data makes the file when it is pressed and answers with an address. The file
# belongs to no session: when any two runs of anybody's have ended since, the address says 404, though the tab that asked shows the
# same page still. On a server that people share, a slow browser is told now and then that the file it was just given does not exist.
set -euo pipefail
work=$(mktemp -d)
python3 -m venv "$work/v"; "$work/v/bin/pip" install -q streamlit==1.67.0 websockets==15.0.1
cd "$work"
cat > app.py <<'P'
import streamlit as st
st.download_button("Rows", data=lambda: b"a,b\n1,2\n", file_name="rows.csv", mime="text/csv")
P
port=$(v/bin/python -c "import socket; s = socket.socket(); s.bind(('127.0.0.1', 0)); print(s.getsockname()[1])")
v/bin/streamlit run app.py --server.port "$port" --server.address 127.0.0.1 --server.headless true > log 2>&1 &
server=$!; trap 'kill $server 2> /dev/null || true; wait $server 2> /dev/null || true; rm -rf "$work"' EXIT
v/bin/python - "$port" <<'P'
import sys, time, urllib.error, urllib.request
import streamlit
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.sync.client import connect
HOST = f"127.0.0.1:{sys.argv[1]}"

def status(path):
    try:
        return urllib.request.urlopen(f"http://{HOST}{path}", timeout=10).status
    except urllib.error.HTTPError as error:
        return error.code

class Tab:
    def __init__(self):
        self.socket = connect(f"ws://{HOST}/_stcore/stream", subprotocols=["streamlit"], max_size=None)
    def run(self):
        """One run of the script; the name under which the button's file can be asked for."""
        message = BackMsg(); message.rerun_script.query_string = ""
        self.socket.send(message.SerializeToString())
        name = ""
        while True:
            said = ForwardMsg.FromString(self.socket.recv(timeout=60))
            if said.WhichOneof("type") == "new_session":
                self.session = said.new_session.initialize.session_id
            if said.WhichOneof("type") == "delta" and said.delta.new_element.HasField("download_button"):
                name = said.delta.new_element.download_button.deferred_file_id
            if said.WhichOneof("type") == "script_finished":
                return name
    def press(self, name):
        message = BackMsg(); message.backend_operation_request.request_id = "1"
        message.backend_operation_request.session_id = self.session
        message.backend_operation_request.deferred_file.file_id = name
        self.socket.send(message.SerializeToString())
        while True:
            said = ForwardMsg.FromString(self.socket.recv(timeout=60))
            if said.WhichOneof("type") == "backend_operation_response":
                return said.backend_operation_response.deferred_file.url

for _ in range(300):
    try:
        if status("/_stcore/health") == 200:
            break
    except OSError:
        time.sleep(0.2)
asks, other = Tab(), Tab()
address = asks.press(asks.run())
seen = [status(address)]
for _ in range(2):
    other.run()
    time.sleep(0.5)  # what a run leaves behind is swept after it has said that it finished
    seen.append(status(address))
print(f"streamlit {streamlit.__version__}: {address.rpartition('.')[2]} made by a press; asked for at once and after each run of another tab: {seen}")
sys.exit(0 if seen == [200, 200, 404] else 1)
P
