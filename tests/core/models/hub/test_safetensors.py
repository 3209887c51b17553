"""Bytes of a repository's weights: by the Hub's figures where nothing is packed, else by the files' headers."""

import json
import struct
from collections.abc import Iterator

import pytest

from core.models.hub.pulls import HubError
from core.models.hub.safetensors import header_bytes, plain_bytes
from core.serving.from_hub import fetch_hub_model
from tests.core.serving.test_from_hub import LLAMA
from tests.hub_server import COMMIT, HubServer


@pytest.fixture
def hub() -> Iterator[HubServer]:
    with HubServer() as server:
        yield server


def shard(*tensors: tuple[str, int]) -> bytes:
    """A safetensors file that ends with its header: nobody reads on."""
    header, start = {}, 0
    for place, (dtype, num_bytes) in enumerate(tensors):
        offsets = [start, start + num_bytes]
        header[f"t{place}"] = {"dtype": dtype, "shape": [num_bytes], "data_offsets": offsets}
        start += num_bytes
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text


def test_elements_by_dtype_are_bytes_where_nothing_is_packed() -> None:
    """DeepSeek-V3 as the Hub counts it: 8-bit matrices, 16-bit tables, 32-bit scales."""
    assert plain_bytes({"BF16": 3_918_786_560, "F8_E4M3": 680_571_043_840, "F32": 41_555_600}) == 688_574_839_360
    assert plain_bytes({"BF16": 10, "I32": 10}) is None
    assert plain_bytes({"F6_E2M3": 10}) is None
    assert plain_bytes({}) is None


def test_packed_files_are_read_by_their_headers(hub: HubServer) -> None:
    files = {
        "model-00001-of-00002.safetensors": shard(("BF16", 640), ("I32", 400)),
        "model-00002-of-00002.safetensors": shard(("I32", 56)),
        "original/consolidated.safetensors": shard(("BF16", 10**9)),
    }
    hub.add("some/packed", config=LLAMA, files=files, parameters={"BF16": 320, "I32": 114})
    assert header_bytes("some/packed", COMMIT, timeout=5, endpoint=hub.url) == 640 + 400 + 56
    found = fetch_hub_model("some/packed", endpoint=hub.url)
    assert found.file_bytes == 1_096
    assert all(asked.byte_range == "bytes=0-100000" for asked in hub.asked if asked.path.endswith(".safetensors"))


@pytest.mark.parametrize("body", [b"", b"12345678", struct.pack("<Q", 2**60) + b"{}", shard()[:8] + b"[]"])
def test_a_header_that_cannot_be_read_says_so(hub: HubServer, body: bytes) -> None:
    hub.add("some/broken", config=LLAMA, files={"model.safetensors": body}, parameters={"I32": 7})
    with pytest.raises(HubError):
        header_bytes("some/broken", COMMIT, timeout=5, endpoint=hub.url)
    assert fetch_hub_model("some/broken", endpoint=hub.url).file_bytes is None
