"""Who gets in: on this machine alone anybody, from elsewhere the signed-in people on a list.

Headroom listens on localhost. On any other address it starts only with sign-in (Streamlit's OIDC, section [auth] of
secrets.toml) and a list of who may enter ([headroom] allowed), or with HEADROOM_ALLOW_ANONYMOUS=1, which says that
whoever reaches the port may use the machine's compute. A request that arrives on a non-local address or for a foreign
host name, as behind a proxy or by a rebound name, is held to the same rule. What only the server's HF_TOKEN can read on
the Hub is shown on localhost, and elsewhere to signed-in people where [headroom] says show_gated.
"""

import ipaddress
import os
from collections.abc import Mapping
from dataclasses import dataclass

import streamlit as st
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

ANONYMOUS = "HEADROOM_ALLOW_ANONYMOUS"


class EntryError(Exception):
    """The server may not start so; the sentence says what to set."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """How people get in. allowed holds addresses ("ada@example.org") and domains ("@example.org"), in lower case.

    believe_unverified takes an address that the provider does not call verified: for providers that never say it.
    show_gated lets signed-in people see what only the server's HF_TOKEN can read on the Hub.
    """

    sign_in: bool
    allowed: tuple[str, ...] = ()
    anonymous: bool = False
    believe_unverified: bool = False
    show_gated: bool = False

    @property
    def open_to_others(self) -> bool:
        return self.sign_in or self.anonymous

    @property
    def reads_with_the_token(self) -> bool:
        """On a machine of one person the token is theirs; elsewhere its owner must say so, of people whom he named."""
        return not self.open_to_others or (self.sign_in and self.show_gated)

    def refusal(self, person: Mapping[str, object]) -> str | None:
        """Why this signed-in person may not enter, or None. person holds the claims of OpenID Connect Core, 5.1."""
        email = str(person.get("email") or "").strip().lower()
        if not email:
            return "Your account came without an e-mail address, and this server lets people in by address."
        if person.get("email_verified") is not True and not self.believe_unverified:
            return f"Your provider does not say that {email} is verified, so it is not taken as yours."
        if email in self.allowed or f"@{email.rpartition('@')[2]}" in self.allowed:
            return None
        return f"{email} is not on this server's list. Ask the person who runs it."


def entry_as_set_up() -> Entry:
    """From secrets.toml and the environment. Raises EntryError where the list is no list of addresses and domains."""
    secrets = st.secrets if st.secrets.load_if_toml_exists() else {}
    ours = secrets.get("headroom", {})
    allowed = ours.get("allowed", ())
    if isinstance(allowed, str) or not all(isinstance(item, str) and "@" in item for item in allowed):
        raise EntryError('secrets.toml: [headroom] allowed must be a list such as ["ada@example.org", "@example.org"].')
    return Entry(
        sign_in="auth" in secrets,
        allowed=tuple(item.strip().lower() for item in allowed),
        anonymous=os.environ.get(ANONYMOUS) == "1",
        believe_unverified=ours.get("believe_unverified", False) is True,
        show_gated=ours.get("show_gated", False) is True,
    )


def is_local(address: str | None) -> bool:
    """Whether only this machine can reach the address; None and "" listen everywhere."""
    if not address:
        return False
    if address == "localhost" or address.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(address.strip("[]")).is_loopback
    except ValueError:
        return False


def check_start(entry: Entry, address: str | None) -> None:
    """Raises EntryError where the server would let in people whom nobody named."""
    if entry.sign_in and not entry.allowed:
        raise EntryError(
            "Sign-in is set up and nobody is let in: name them in secrets.toml, section [headroom], as "
            'allowed = ["ada@example.org", "@example.org"].'
        )
    if entry.sign_in:
        _need_authlib()
    if not is_local(address) and not entry.open_to_others:
        raise EntryError(
            f"Headroom does not start on {address or 'every address of this machine'} without sign-in: whoever reaches "
            f"it could run measurements. Set up sign-in (docs/sharing.md), or set "
            f"{ANONYMOUS}=1 where the network itself keeps others out."
        )


def _need_authlib() -> None:
    from streamlit.auth_util import is_authlib_installed  # noqa: PLC0415  loads Authlib: only where it is needed

    if not is_authlib_installed():
        raise EntryError("Sign-in needs Authlib: pip install -r requirements-sharing.txt")


class LocalOnly:
    """Refuses requests from elsewhere where nobody was told to sign in and anonymous use was not allowed."""

    def __init__(self, app: ASGIApp, entry: Entry) -> None:
        self.app, self.entry = app, entry

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self.entry.open_to_others or scope["type"] not in ("http", "websocket") or _asked_locally(scope):
            await self.app(scope, receive, send)
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1008})
        else:
            told = f"Headroom answers on localhost alone. To share it, see docs/sharing.md, or set {ANONYMOUS}=1.\n"
            await PlainTextResponse(told, status_code=403)(scope, receive, send)


def _asked_locally(scope: Scope) -> bool:
    """By the address that was connected to, and by the host name that was asked for (a rebound name is foreign)."""
    server = scope.get("server")
    host = dict(scope["headers"]).get(b"host", b"").decode("latin-1")
    name = host.rpartition(":")[0] if not host.endswith("]") and ":" in host else host
    return is_local(name) and (server is None or server[1] is None or is_local(server[0]))


def admit(entry: Entry) -> bool:
    """Whether the person at this session may see pages; draws the sign-in, or the refusal, where not."""
    if not entry.sign_in:
        return True
    if not st.user.is_logged_in:
        st.title("Headroom")
        st.write("This server is shared. Sign in with the account that its owner listed.")
        st.button("Sign in", type="primary", on_click=st.login)
        return False
    refused = entry.refusal(st.user.to_dict())
    if refused is None:
        return True
    st.title("Headroom")
    st.error(refused.replace("@", r"\@"))
    st.button("Sign in as somebody else", on_click=st.logout)
    return False
