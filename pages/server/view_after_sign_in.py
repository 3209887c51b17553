"""The view that somebody asked for before signing in, opened once they are in.

Streamlit's callback always leads to the first page (streamlit/web/server/starlette/starlette_auth_routes.py of 1.67),
so a link that a colleague sent was lost by the sign-in. The view waits in a cookie that no script reads; only a path
of this server is ever followed.
"""

from http.cookies import CookieError, SimpleCookie
from urllib.parse import quote, unquote

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

COOKIE = "headroom_wanted"
SIGNED_IN = "_streamlit_user"  # Streamlit's own cookie (streamlit/auth_util.py), whole or in numbered parts
LONGEST_VIEW, SECONDS = 3_000, 900  # of a cookie's 4,096 bytes; long enough to find a password
CALLBACK = "/oauth2callback"


class OpenWhatWasWanted:
    """Keeps the view of a page asked for while signed out, and leads there from the sign-in's callback."""

    def __init__(self, app: ASGIApp, *, sign_in: bool) -> None:
        self.app, self.sign_in = app, sign_in

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not self.sign_in or scope["type"] != "http" or scope["method"] != "GET":
            await self.app(scope, receive, send)
            return
        cookies = cookies_of(scope)
        follow = scope["path"].endswith(CALLBACK)

        async def send_with_view(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(raw=list(message["headers"]))
                if follow:
                    _lead(headers, cookies)
                elif _is_page(headers) and not any(name.startswith(SIGNED_IN) for name in cookies):
                    _keep(headers, scope)
                message = {**message, "headers": headers.raw}
            await send(message)

        await self.app(scope, receive, send_with_view)


def cookies_of(scope: Scope) -> dict[str, str]:
    try:
        return {name: morsel.value for name, morsel in SimpleCookie(Headers(scope=scope).get("cookie", "")).items()}
    except CookieError:
        return {}


def view_to_open(kept: str) -> str | None:
    """The path and query that a cookie holds; None where it leads to another server or is no address of a view."""
    view = unquote(kept)
    if len(view) > LONGEST_VIEW or not view.startswith("/") or view.startswith("//"):
        return None
    return None if any(character == "\\" or not 32 < ord(character) < 127 for character in view) else view


def _is_page(headers: MutableHeaders) -> bool:
    return headers.get("content-type", "").startswith("text/html")


def _keep(headers: MutableHeaders, scope: Scope) -> None:
    query = scope["query_string"].decode("latin-1")
    view = quote(scope["path"]) + (f"?{query}" if query else "")
    if view == "/" or len(view) > LONGEST_VIEW:
        return
    secure = "; Secure" if scope["scheme"] == "https" else ""
    kept = f"{COOKIE}={quote(view, safe='')}; Path=/; Max-Age={SECONDS}; HttpOnly; SameSite=Lax{secure}"
    headers.append("set-cookie", kept)


def _lead(headers: MutableHeaders, cookies: dict[str, str]) -> None:
    """Only where the callback signed somebody in; a refused sign-in leads where Streamlit leads it."""
    given = headers.getlist("set-cookie")
    entered = any(value.startswith(SIGNED_IN) and "Max-Age=0" not in value for value in given)
    view = view_to_open(cookies.get(COOKIE, ""))
    if entered and view is not None and "location" in headers:
        headers["location"] = view
        headers.append("set-cookie", f"{COOKIE}=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax")
