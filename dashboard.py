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

from pages.shell import picture_height  # noqa: E402  found by the line above

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


ASSETS = ROOT / "pages" / "assets"

# The parts of Streamlit's client that our pages use, those of nearly every page first: arrive.js loads them early.
PARTS = (
    *("ArrowVegaLiteChart", "Html", "Button", "ButtonGroup"),
    *("BidiComponent", "Slider", "NumberInput", "Selectbox", "Metric", "PageLink", "Radio", "Checkbox", "Multiselect"),
    *("TextInput", "DownloadButton", "Progress", "Table", "rehype-katex", "DataFrame"),
)


def client_files() -> list[str]:
    """The files of PARTS in the installed Streamlit; their names carry a hash of their content."""
    folder = Path(st.__file__).parent / "static" / "static" / "js"
    return [file.name for part in PARTS for file in folder.glob(f"{part}.*.js")]


class OursInThePage:
    """Puts the style sheet and the keys into the HTML page that Streamlit serves: the first paint and press have them.

    The page is asked for uncompressed and whole; it has a few kilobytes.
    """

    ASKED_OTHERWISE = (b"accept-encoding", b"if-none-match", b"if-modified-since", b"range")

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        # Nested under an id that nothing has: Streamlit's own rules come later and must not win for that alone.
        style = (ASSETS / "headroom.css").read_text(encoding="utf-8") + picture_height.style_sheet()
        scripts = ";\n".join((ASSETS / name).read_text(encoding="utf-8") for name in ("arrive.js", "keys.js"))
        script = f'<script data-parts="{" ".join(client_files())}">{scripts}</script>'
        self.ours = f"<style>body:not(#none){{{style}}}</style>{script}</head>".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or "." in scope["path"] or "/_stcore/" in scope["path"]:
            await self.app(scope, receive, send)
            return
        kept = [header for header in scope["headers"] if header[0] not in self.ASKED_OTHERWISE]
        started: list[Message] = []
        body = bytearray()

        async def send_with_ours(message: Message) -> None:
            if message["type"] == "http.response.start":
                started.append(message)
                return
            body.extend(message.get("body", b""))
            if not message.get("more_body", False):
                await self._send(started[0], bytes(body), send)

        await self.app({**scope, "headers": kept}, receive, send_with_ours)

    async def _send(self, start: Message, body: bytes, send: Send) -> None:
        headers = [header for header in start["headers"] if header[0] not in (b"content-length", b"etag")]
        if any(name == b"content-type" and value.startswith(b"text/html") for name, value in headers):
            body = body.replace(b"</head>", self.ours, 1)
        headers.append((b"content-length", str(len(body)).encode()))
        await send({**start, "headers": headers})
        await send({"type": "http.response.body", "body": body})


@asynccontextmanager
async def lifespan(_app: st.App) -> AsyncIterator[None]:
    """Nothing to start; on the way out, every measurement still running is ended with the server."""
    yield
    for name in ("core.decode.worker", "core.uptraining.runs"):
        runs = sys.modules.get(name)  # never imported: then nothing was ever started
        if runs is not None:
            runs.stop_all()


app = st.App("pages/frame.py", lifespan=lifespan, middleware=[Middleware(ResponseHeaders), Middleware(OursInThePage)])
