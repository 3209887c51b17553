"""JSON that a Hub answers with is bounded in bytes, levels and values, whichever answer it is."""

import json
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from huggingface_hub import constants

from core.models.hub.client import pull_config, safetensors_parameter_count
from core.models.hub.gguf import pull_gguf
from core.models.hub.pulls import HubError
from core.models.hub.safetensors import header_bytes
from tests.hub_server import COMMIT, HubServer

DEEP = b'{"a":' * 101 + b"1" + b"}" * 101
Ask = Callable[[str], object]


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[HubServer]:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_ASSETS_CACHE", str(tmp_path / "assets"))
    with HubServer() as server:
        yield server


def many(values: int) -> bytes:
    return b'{"a":[' + b"1," * values + b"1]}"


def refusal(ask: Callable[[], object]) -> tuple[str, str]:
    with pytest.raises(HubError) as caught:
        ask()
    return caught.value.kind, str(caught.value)


@pytest.mark.parametrize(
    ("body", "kind", "words"),
    [
        (b" " * (4 * 2**20 + 1), "too_large", "config.json of some/model is larger than 4 MiB"),
        (DEEP, "bad_json", "nests more than 100 levels deep"),
        (many(200_001), "bad_json", "holds more than 200,000 values"),
    ],
)
def test_a_config(hub: HubServer, body: bytes, kind: str, words: str) -> None:
    hub.add("some/model", config=body)
    found, said = refusal(lambda: pull_config("some/model", endpoint=hub.url))
    assert (found, words in said) == (kind, True), said


def test_commas_in_a_text_are_no_values(hub: HubServer) -> None:
    hub.add("some/model", config={"note": "[,{" * 100_000, "num_layers": 2})
    assert pull_config("some/model", endpoint=hub.url).config["num_layers"] == 2


@pytest.mark.parametrize(
    ("body", "kind", "words"),
    [
        (b" " * (8 * 2**20 + 1), "too_large", "What the Hub says of some/model is larger than 8 MiB"),
        (DEEP, "bad_json", "What the Hub says of some/model cannot be read: The file nests more than 100 levels deep"),
        (many(200_001), "bad_json", "holds more than 200,000 values"),
        (b"[]", "bad_json", "holds a list, not a JSON object"),
        (b"{", "bad_json", "is not JSON"),
    ],
)
def test_what_the_hub_says_of_a_repository(hub: HubServer, body: bytes, kind: str, words: str) -> None:
    hub.add("some/model", info=body)
    asks: tuple[Ask, ...] = (
        lambda name: safetensors_parameter_count(name, endpoint=hub.url),
        lambda name: pull_gguf(name, endpoint=hub.url),
        lambda name: header_bytes(name, COMMIT, timeout=5, endpoint=hub.url),
    )
    for ask in asks:
        found, said = refusal(lambda ask=ask: ask("some/model"))  # type: ignore[misc]
        assert (found, words in said) == (kind, True), said


@pytest.mark.parametrize(
    "info",
    [{"safetensors": 1}, {"safetensors": {"total": 1, "parameters": [1]}}, {"siblings": 7},
     {"safetensors": {"total": 1e30, "parameters": {"BF16": 1}}}, {"siblings": [{"rfilename": 3}, "a", None]},
     {"safetensors": {"total": 1, "parameters": {"BF16": -1}}}, {"safetensors": {"parameters": {"BF16": 10**30}}}],
)  # fmt: skip
def test_a_value_of_another_kind(hub: HubServer, info: object) -> None:
    hub.add("some/model", info=json.dumps(info).encode())
    assert refusal(lambda: safetensors_parameter_count("some/model", endpoint=hub.url))[0] in ("not_found", "bad_json")
    assert refusal(lambda: header_bytes("some/model", COMMIT, timeout=5, endpoint=hub.url))[0] == "not_found"


def file_of(header: bytes, length: int | None = None) -> bytes:
    return struct.pack("<Q", len(header) if length is None else length) + header


@pytest.mark.parametrize(
    ("body", "kind", "words"),
    [
        (file_of(b"{}", 8 * 2**20 + 1), "too_large", "The header of model.safetensors of some/model is larger than 8"),
        (file_of(DEEP), "bad_json", "The header of model.safetensors of some/model cannot be read: The file nests"),
        (file_of(many(1_000_001)), "bad_json", "holds more than 1,000,000 values"),
        (file_of(b"{}", 200_000), "bad_json", "ends too early"),
        (file_of(b'{"t": {"data_offsets": [9, 3]}}'), "bad_json", "holds a tensor without its place"),
        (file_of(b'{"t": 3}'), "bad_json", "holds a tensor without its place"),
    ],
)
def test_a_safetensors_header(hub: HubServer, body: bytes, kind: str, words: str) -> None:
    hub.add("some/model", files={"model.safetensors": body})
    found, said = refusal(lambda: header_bytes("some/model", COMMIT, timeout=5, endpoint=hub.url))
    assert (found, words in said) == (kind, True), said


def test_a_header_longer_than_the_first_range_is_asked_for_once_more(hub: HubServer) -> None:
    tensors = {f"layer.{row}.weight": {"dtype": "I32", "shape": [1], "data_offsets": [4 * row, 4 * row + 4]}
               for row in range(2_000)}  # fmt: skip
    body = file_of(json.dumps(tensors).encode())
    hub.add("some/model", files={"model.safetensors": body})
    assert header_bytes("some/model", COMMIT, timeout=5, endpoint=hub.url) == 8_000
    asked = [request.byte_range for request in hub.asked if request.byte_range]
    assert asked == ["bytes=0-100000", f"bytes=100001-{len(body) - 1}"]
