"""The log of requests: a viewer who leaves is no error of ours, and every other error goes on."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect

from pages.server.logs import RequestLog

SCOPE = {"type": "websocket", "path": "/_stcore/stream", "headers": []}


async def arrives() -> Message:
    return {"type": "websocket.connect"}


async def fails(message: Message) -> None:
    if message["type"] == "websocket.send":
        raise OSError("the viewer has left")


def run(app: ASGIApp) -> None:
    """In a thread of its own: where a browser is open, this one has a loop that runs."""
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, RequestLog(app)(dict(SCOPE), arrives, fails)).result()


def test_a_message_to_somebody_who_has_left_is_no_error() -> None:
    seen = []

    async def as_streamlit_does(scope: Scope, receive: Receive, send: Send) -> None:
        socket = WebSocket(scope, receive, send)
        await socket.accept()
        with suppress(WebSocketDisconnect):  # its task that sends
            await socket.send_bytes(b"a picture")
        try:  # its loop that receives, which takes the error for a frame of text
            await socket.receive_bytes()
        except RuntimeError as error:
            seen.append(error)
            await socket.close()

    run(as_streamlit_does)
    assert [str(error) for error in seen] == ['WebSocket is not connected. Need to call "accept" first.']


def test_another_error_goes_on() -> None:
    async def broken(scope: Scope, receive: Receive, send: Send) -> None:
        raise RuntimeError("a defect")

    with pytest.raises(RuntimeError, match="a defect"):
        run(broken)
