#!/usr/bin/env bash
# Where a message of streamlit 1.67's meets a browser that has left, starlette calls the socket disconnected by an error that is a
# RuntimeError. streamlit's loop that receives, which comes back to the socket for what the browser sent before, takes a RuntimeError
# for a frame of text and closes the socket, which starlette refuses: a traceback of an "Exception in ASGI application" for a viewer
# who only closed a tab. The session is ended as it should be.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/v"; "$work/v/bin/pip" install -q streamlit==1.67.0 starlette==1.10.0
cd "$work"
v/bin/python - <<'P'
import asyncio, sys
from importlib.metadata import version
from starlette.websockets import WebSocket
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.web.server.starlette.starlette_websocket import create_websocket_handler

class Runtime:
    """What the handler asks of Streamlit's runtime, which answers the first message from the browser."""
    answered = gone = False
    def connect_session(self, client, **others):
        self.client = client
        return "a"
    def handle_backmsg(self, session_id, message, **others):
        if not self.answered:
            self.client.write_forward_msg(ForwardMsg())
        self.answered = True
    def disconnect_session(self, session_id, **others):
        self.gone = True

async def main():
    asked = [{"type": "websocket.connect"}] + 2 * [{"type": "websocket.receive", "bytes": BackMsg(rerun_script={}).SerializeToString()}]
    async def receive():
        await asyncio.sleep(0.1)  # the answer to the message before is on its way meanwhile
        return asked.pop(0)
    async def send(message):
        if message["type"] == "websocket.send":
            raise OSError("no peer")  # as uvicorn says of a browser that has left
    runtime, scope = Runtime(), {"type": "websocket", "path": "/_stcore/stream", "headers": []}
    try:
        await create_websocket_handler(runtime)(WebSocket(scope, receive, send))
    except Exception as error:
        return f"{type(error).__name__}: {error}", type(error.__context__).__name__, runtime.gone
    return "nothing", "", runtime.gone

said, before, gone = asyncio.run(main())
print(f"streamlit {version('streamlit')}, starlette {version('starlette')}: raised {said} while handling {before}; session ended: {gone}")
sys.exit(0 if said.startswith("WebSocketDisconnected: Cannot call") and before == "WebSocketDisconnected" and gone else 1)
P
