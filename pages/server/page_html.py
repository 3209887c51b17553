"""Our style sheet and scripts in the HTML page that Streamlit serves, and the policy that lets just those run."""

import base64
import hashlib
import re
from functools import lru_cache
from pathlib import Path

import streamlit as st
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pages.server import ahead

ASSETS = Path(__file__).parents[1] / "assets"

# The parts of Streamlit's client that our pages use, those of nearly every page first: arrive.js loads them early.
PARTS = (
    *("ArrowVegaLiteChart", "Html", "Button", "ButtonGroup"),
    *("BidiComponent", "Slider", "NumberInput", "Selectbox", "Metric", "PageLink", "Radio", "Checkbox", "Multiselect"),
    *("TextInput", "DownloadButton", "Progress", "Table", "rehype-katex", "DataFrame"),
)
STEPS = "@keyframes headroom-menu{to{opacity:1}}"  # of headroom.css, whose rules are nested
_INLINE_SCRIPT = re.compile(rb"<script(?![^>]*\ssrc=)[^>]*>(.*?)</script>", re.DOTALL)

# What each directive is for, where it is more than Streamlit's own files: styles are written by its client (emotion)
# and by Vega as they go; pictures and fonts come as data; a component of ours (st.components.v2) is loaded as a blob.
DIRECTIVES = {
    "default-src": "'self'",
    "script-src": "'self' blob:",
    "style-src": "'self' 'unsafe-inline'",
    "img-src": "'self' data: blob:",
    "font-src": "'self' data:",
    "connect-src": "'self'",
    "worker-src": "'self' blob:",
    "object-src": "'none'",
    "base-uri": "'self'",
    "form-action": "'self'",
    "frame-ancestors": "'self'",
}


def client_files() -> list[str]:
    """The files of PARTS in the installed Streamlit; their names carry a hash of their content."""
    folder = Path(st.__file__).parent / "static" / "static" / "js"
    return [file.name for part in PARTS for file in folder.glob(f"{part}.*.js")]


@lru_cache(maxsize=8)
def content_policy(html: bytes) -> bytes:
    """Content-Security-Policy (level 3) of a page: of the scripts written into it, those that it holds now may run."""
    hashes = [base64.b64encode(hashlib.sha256(script).digest()).decode() for script in _INLINE_SCRIPT.findall(html)]
    own = "".join(f" 'sha256-{value}'" for value in hashes)
    sources = {**DIRECTIVES, "script-src": DIRECTIVES["script-src"] + own}
    return "; ".join(f"{name} {value}" for name, value in sources.items()).encode()


class OursInThePage:
    """Puts the style sheet and the keys into the HTML page that Streamlit serves: the first paint and press have them.

    The page is asked for uncompressed and whole; it has a few kilobytes. HEAD is answered with the headers of GET.
    """

    ASKED_OTHERWISE = (b"accept-encoding", b"if-none-match", b"if-modified-since", b"range")

    def __init__(self, app: ASGIApp, more_style: str = "") -> None:
        self.app = app
        # Nested under an id that nothing has: Streamlit's own rules come later and must not win for that alone.
        style = (ASSETS / "headroom.css").read_text(encoding="utf-8") + more_style
        scripts = ";\n".join(
            (ASSETS / name).read_text(encoding="utf-8") for name in ("arrive.js", "keys.js", "menu.js", "focus.js")
        )
        script = f'<script data-parts="{" ".join(client_files())}">{scripts}</script>'
        self.ours = f"<style>{STEPS}body:not(#none){{{style}}}</style>{script}</head>".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or "." in scope["path"] or "/_stcore/" in scope["path"]:
            await self.app(scope, receive, send)
            return
        kept = [header for header in scope["headers"] if header[0] not in self.ASKED_OTHERWISE]
        asked_for_head = scope["method"] == "HEAD"
        started: list[Message] = []
        body = bytearray()

        async def send_with_ours(message: Message) -> None:
            if message["type"] == "http.response.start":
                started.append(message)
                return
            body.extend(message.get("body", b""))
            if not message.get("more_body", False):
                await self._send(started[0], bytes(body), send, with_body=not asked_for_head)

        method = "GET" if asked_for_head else scope["method"]
        await self.app({**scope, "headers": kept, "method": method}, receive, send_with_ours)

    async def _send(self, start: Message, body: bytes, send: Send, *, with_body: bool) -> None:
        headers = [header for header in start["headers"] if header[0] not in (b"content-length", b"etag")]
        if any(name == b"content-type" and value.startswith(b"text/html") for name, value in headers):
            ahead.begin()
            body = body.replace(b"</head>", self.ours, 1)
            headers.append((b"content-security-policy", content_policy(body)))
        headers.append((b"content-length", str(len(body)).encode()))
        await send({**start, "headers": headers})
        await send({"type": "http.response.body", "body": body if with_body else b""})
