"""The view asked for before signing in: kept in a cookie, followed after, and never to another server."""

import asyncio
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import quote

import pytest
from starlette.types import Message, Receive, Scope, Send

from pages.server.view_after_sign_in import COOKIE, LONGEST_VIEW, OpenWhatWasWanted, view_to_open

SIGNED_IN = (b"set-cookie", b"_streamlit_user=abc; HttpOnly; Path=/")
CLEARED = (b"set-cookie", b'_streamlit_user=""; Max-Age=0; Path=/')
HOME = (b"location", b"/")


def run(answering: Coroutine[Any, Any, None]) -> None:
    """In a thread of its own: where a browser is open, this one has a loop that runs."""
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, answering).result()


def answered(
    path: str, headers: list[tuple[bytes, bytes]], *, query: bytes = b"", cookie: str = "", scheme: str = "http"
) -> dict[str, list[str]]:
    """The headers of an answer that carries these, by name."""

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": list(headers)})

    async def receive() -> Message:
        return {"type": "http.request"}

    found: dict[str, list[str]] = {}

    async def send(message: Message) -> None:
        for name, value in message["headers"]:
            found.setdefault(name.decode(), []).append(value.decode())

    scope = {
        "type": "http", "method": "GET", "scheme": scheme, "path": path, "query_string": query,
        "headers": [(b"cookie", cookie.encode())],
    }  # fmt: skip
    run(OpenWhatWasWanted(app, sign_in=True)(scope, receive, send))
    return found


PAGE = [(b"content-type", b"text/html; charset=utf-8")]


def test_a_page_asked_for_while_signed_out_is_kept() -> None:
    kept = answered("/size", PAGE, query=b"gpu=h100-sxm&batch=8", scheme="https")["set-cookie"]
    assert kept == [
        f"{COOKIE}=%2Fsize%3Fgpu%3Dh100-sxm%26batch%3D8; Path=/; Max-Age=900; HttpOnly; SameSite=Lax; Secure"
    ]


@pytest.mark.parametrize(
    ("path", "headers", "query", "cookie"),
    [
        ("/", PAGE, b"", ""),  # where everybody lands anyway
        ("/size", PAGE, b"", "_streamlit_user=abc"),
        ("/size", PAGE, b"x" * LONGEST_VIEW, ""),
        ("/static/a.js", [(b"content-type", b"text/javascript")], b"", ""),
    ],
)
def test_nothing_else_is_kept(path: str, headers: list[tuple[bytes, bytes]], query: bytes, cookie: str) -> None:
    assert "set-cookie" not in answered(path, headers, query=query, cookie=cookie)


def test_who_signed_in_is_led_there_and_the_cookie_ends() -> None:
    cookie = f"{COOKIE}={quote('/size?batch=8', safe='')}"
    found = answered("/oauth2callback", [HOME, SIGNED_IN], cookie=cookie)
    assert found["location"] == ["/size?batch=8"]
    assert found["set-cookie"][1] == f"{COOKIE}=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax"


def test_who_was_refused_is_led_nowhere() -> None:
    found = answered("/oauth2callback", [HOME, CLEARED], cookie=f"{COOKIE}=%2Fsize")
    assert found["location"] == ["/"]


@pytest.mark.parametrize(
    "kept", ["", "size", "https://other.example/", "//other.example/", "/\\other.example", "/a\r\nb", "/é", "/a b"]
)
def test_only_a_path_of_this_server_is_followed(kept: str) -> None:
    assert view_to_open(quote(kept)) is None
    found = answered("/oauth2callback", [HOME, SIGNED_IN], cookie=f"{COOKIE}={quote(kept, safe='')}")
    assert found["location"] == ["/"]


def test_without_sign_in_nothing_is_touched() -> None:
    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": PAGE})

    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "http.request"}

    scope = {"type": "http", "method": "GET", "scheme": "http", "path": "/size", "query_string": b"", "headers": []}
    run(OpenWhatWasWanted(app, sign_in=False)(scope, receive, send))
    assert sent == [{"type": "http.response.start", "status": 200, "headers": PAGE}]
