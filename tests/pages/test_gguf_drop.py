"""The drop zone for .gguf files: what a browser sends is bounded, checked and read, and never a weight."""

import base64
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from core.models.gguf.header import FIRST_BYTES, MOST_BYTES
from pages.tools.gguf_drop import MAX_BASE64, Dropped, MoreBytes, received
from tests.core.models.gguf.files import LLAMA, header, tokens

WEIGHTS = 4 * 2**30


def head(data: bytes, *, size: int = WEIGHTS, sent: int = FIRST_BYTES, name: str = "tiny.gguf") -> dict[str, Any]:
    return {"name": name, "size": size, "base64": base64.b64encode(data[:sent]).decode()}


def test_a_header_within_the_first_64_kib_is_read() -> None:
    got = received(head(header({**LLAMA, **tokens(100)}) + bytes(FIRST_BYTES)))
    assert isinstance(got, Dropped)
    assert got.error is None
    assert got.metadata is not None
    assert (got.name, got.file_bytes, got.metadata["llama.block_count"]) == ("tiny.gguf", WEIGHTS, 2)


def test_a_longer_header_asks_for_more_and_never_for_more_than_8_mib() -> None:
    whole = header({**LLAMA, **tokens(600_000)})
    sent, asked = FIRST_BYTES, []
    while isinstance(got := received(head(whole, sent=sent)), MoreBytes):
        asked.append(got.count)
        sent = got.count
    assert asked == sorted(asked)
    assert asked[-1] == MOST_BYTES
    assert isinstance(got, Dropped)
    assert got.metadata is not None


def test_a_file_that_cannot_be_read_says_why() -> None:
    got = received(head(b"PK\x03\x04" + bytes(FIRST_BYTES)))
    assert isinstance(got, Dropped)
    assert got.error is not None
    assert "PyTorch" in got.error


@pytest.mark.parametrize(
    "sent",
    [
        None,
        "x",
        {},
        {"name": "a", "size": True, "base64": ""},
        {"name": "a", "size": -1, "base64": ""},
        {"name": "a", "size": 10, "base64": "not base64!"},
        {"name": "a", "size": 2**60, "base64": ""},
        {"name": "a", "size": 10, "base64": "A" * (MAX_BASE64 + 4)},
    ],
)
def test_what_no_browser_of_ours_sends_is_ignored(sent: object) -> None:
    assert received(sent) is None


def test_an_empty_file_is_refused() -> None:
    got = received({"name": "empty.gguf", "size": 0, "base64": ""})
    assert isinstance(got, Dropped)
    assert got.error is not None


def test_the_drop_zone_stands_on_a_page_and_is_empty_at_first() -> None:
    def page() -> None:
        import streamlit as st

        from pages.tools.gguf_drop import gguf_drop

        st.write(f"dropped: {gguf_drop('drop')}")

    app = AppTest.from_function(page).run()
    assert not app.exception
    assert app.markdown[0].value == "dropped: None"
