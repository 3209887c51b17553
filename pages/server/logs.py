"""A log line of JSON for each request, under an id that the answer carries too.

The path is logged without its query: a link holds what somebody typed. HEADROOM_LOG_LEVEL sets what is said (INFO
says each request, WARNING those that failed on our side alone).
"""

import contextlib
import logging
import os
import secrets
import sys
import time

from pythonjsonlogger.json import JsonFormatter
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocketDisconnected

LOG = logging.getLogger("headroom")
_QUIET = ("/static/", "/_stcore/", "/media/", "/healthz", "/metrics")  # asked for by machines, or many a page


def begin() -> None:
    """Lines go to standard error, once, whatever Streamlit does to the root logger."""
    if LOG.handlers:
        return
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        JsonFormatter("{asctime}{levelname}{name}{message}", style="{", rename_fields={"asctime": "time"})
    )
    LOG.addHandler(handler)
    LOG.propagate = False
    LOG.setLevel(os.environ.get("HEADROOM_LOG_LEVEL", "INFO").upper())


class RequestLog:
    """Gives each HTTP request an id (x-request-id) and says it with its status and how long the answer took."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            # Where a message meets a viewer who has left, Streamlit 1.67 takes what starlette then says of the socket
            # for a frame of text and closes it once more, which raises this: no more than that they left.
            with contextlib.suppress(WebSocketDisconnected):
                await self.app(scope, receive, send)
            return
        request_id, begun, status = secrets.token_hex(8), time.perf_counter(), 500

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", []), (b"x-request-id", request_id.encode())]
            await send(message)

        try:
            await self.app(scope, receive, send_with_id)
        finally:
            self._say(scope, request_id, status, time.perf_counter() - begun)

    @staticmethod
    def _say(scope: Scope, request_id: str, status: int, seconds: float) -> None:
        if status < 500 and any(part in scope["path"] for part in _QUIET):
            return
        level = logging.WARNING if status >= 500 else logging.INFO
        asked = {"method": scope["method"], "path": scope["path"], "status": status, "ms": round(1000 * seconds, 1)}
        LOG.log(level, "request", extra={"request_id": request_id, **asked})
