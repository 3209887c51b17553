"""Where a .gguf file's header comes from: a file that is dropped, one on the Hub, one on this machine."""

import re
from dataclasses import dataclass
from typing import Any

import streamlit as st

from core.models.gguf.header import read_gguf_file
from core.models.hub.pulls import HubError
from core.models.rules.facts import UnsupportedConfig
from pages.tools.gguf_drop import gguf_drop

LOCAL = ("localhost", "127.0.0.1", "::1")
_DRIVE = re.compile(r"[A-Za-z]:\\")


@dataclass(frozen=True, kw_only=True)
class HeaderFile:
    """One header: its keys, or why there are none."""

    name: str
    facts: str
    metadata: dict[str, Any] | None = None
    problem: str | None = None


def header_inputs(key: str) -> None:
    """The drop zone, a field for the Hub, and a path where the server listens to this machine alone."""
    gguf_drop(f"{key}_gguf")
    st.caption("A .gguf file is read by its first bytes: 64 KiB, or up to 8 MiB where its vocabulary is long.")
    st.text_input("Or a .gguf file on the Hub", key=f"{key}_gguf_hub", max_chars=1_000,
        placeholder="owner/name, or the file's page",
    )  # fmt: skip
    if local_server():
        st.text_input(
            "Or its path on this machine", key=f"{key}_gguf_path", max_chars=4_096, placeholder="/models/model.gguf"
        )


def holds_a_file(key: str) -> bool:
    """Whether a file was dropped, or more of one is waited for."""
    return f"_{key}_gguf_dropped" in st.session_state or f"_{key}_gguf_asked" in st.session_state


def headers(key: str) -> list[HeaderFile]:
    """What was dropped, named on the Hub and named here, as far as it is."""
    found = []
    dropped = st.session_state.get(f"_{key}_gguf_dropped")
    if dropped is not None:
        found.append(
            HeaderFile(
                name=f"Dropped {dropped.name[:60]}",
                facts="dropped: its header, read here",
                metadata=dropped.metadata,
                problem=dropped.error,
            )
        )
    if address := (st.session_state.get(f"{key}_gguf_hub") or "").strip():
        found.append(_from_hub(address))
    path = (st.session_state.get(f"{key}_gguf_path") or "").strip()
    if path and local_server():
        found.append(_from_path(path))
    return found


def local_server() -> bool:
    """Whether nobody but this machine reaches the server, so that a path is the reader's own."""
    return st.get_option("server.address") in LOCAL


@st.cache_data(max_entries=16, ttl=600, show_spinner="Asking the Hub for the file's first bytes")
def _from_hub(address: str) -> HeaderFile:
    from core.models.hub.gguf import pull_gguf  # noqa: PLC0415  loads the Hub's client

    name = f"{address[:60]} on the Hub"
    try:
        pulled = pull_gguf(address)
    except HubError as error:
        return HeaderFile(name=name, facts="not read", problem=str(error))
    facts = f"{pulled.filename} at {pulled.commit[:7]}: {pulled.read_bytes:,} bytes of it were read"
    return HeaderFile(name=f"{pulled.repository} {pulled.filename}", facts=facts, metadata=pulled.metadata)


def _from_path(path: str) -> HeaderFile:
    name = path.replace("\\", "/").rsplit("/", 1)[-1] if "/" in path or _DRIVE.match(path) else path
    try:
        return HeaderFile(name=name, facts="a file of this machine: its header", metadata=read_gguf_file(path))
    except UnsupportedConfig as error:
        return HeaderFile(name=name, facts="not read", problem=str(error))
