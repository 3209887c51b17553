"""Headroom's server: what `streamlit run dashboard.py` starts.

The dashboard itself is pages/frame.py. Wrapping it in st.App, rather than running it directly, keeps Streamlit's
legacy pages/ discovery from answering the first deep link after a start with a page that has no frame around it,
and gives one place for response headers and for ending measurements when the server stops.
"""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import streamlit as st
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

ROOT = Path(__file__).parent
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
    (b"x-frame-options", b"SAMEORIGIN"),
)


class ResponseHeaders:
    """Adds HEADERS to every HTTP response; leaves websockets alone."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", []), *HEADERS]
            await send(message)

        await self.app(scope, receive, send_with_headers if scope["type"] == "http" else send)


@asynccontextmanager
async def lifespan(_app: st.App) -> AsyncIterator[None]:
    """Nothing to start; on the way out, every measurement still running is ended with the server."""
    yield
    runs = sys.modules.get("core.decode.worker")  # never imported: then nothing was ever started
    if runs is not None:
        runs.stop_all()


app = st.App("pages/frame.py", lifespan=lifespan, middleware=[Middleware(ResponseHeaders)])
