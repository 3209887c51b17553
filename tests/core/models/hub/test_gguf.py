"""A .gguf file's header by ranged requests, against a loopback server that answers like the Hub."""

from collections.abc import Iterator

import pytest

from core.models.gguf.header import FIRST_BYTES
from core.models.gguf.metadata import read_metadata
from core.models.hub.gguf import gguf_address, pull_gguf
from core.models.hub.pulls import HubError
from tests.core.models.gguf.files import LLAMA, U32, header, tokens
from tests.hub_server import COMMIT, HubServer

NAME = "tiny-Q4_K_M.gguf"
WEIGHTS = bytes(3 * 2**20)


@pytest.fixture
def hub() -> Iterator[HubServer]:
    with HubServer() as server:
        server.add("someone/tiny-GGUF", files={NAME: header({**LLAMA, **tokens(100)}) + WEIGHTS})
        yield server


def ranges(hub: HubServer) -> list[str | None]:
    return [asked.byte_range for asked in hub.asked if asked.method == "GET" and "/resolve/" in asked.path]


def test_the_first_64_kib_are_enough_and_no_weight_is_read(hub: HubServer) -> None:
    pulled = pull_gguf("someone/tiny-GGUF", NAME, endpoint=hub.url)
    assert ranges(hub) == [f"bytes=0-{FIRST_BYTES - 1}"]
    assert (pulled.commit, pulled.read_bytes) == (COMMIT, FIRST_BYTES)
    assert pulled.file_bytes is not None
    assert pulled.file_bytes > len(WEIGHTS)
    assert [layer.num_kv_heads for layer in read_metadata(pulled.metadata).layers] == [2, 1]


def test_a_long_vocabulary_asks_for_what_is_missing_alone(hub: HubServer) -> None:
    hub.add("someone/tiny-GGUF", files={NAME: header({**LLAMA, **tokens(30_000)}) + WEIGHTS})
    pulled = pull_gguf("someone/tiny-GGUF", NAME, endpoint=hub.url)
    assert ranges(hub) == [f"bytes=0-{FIRST_BYTES - 1}", f"bytes={FIRST_BYTES}-{16 * FIRST_BYTES - 1}"]
    assert read_metadata(pulled.metadata).dimensions.vocab_size == 30_000


def test_a_host_without_ranges_is_left_after_the_start(hub: HubServer) -> None:
    hub.repositories["someone/tiny-GGUF"].ignores_ranges = True
    assert pull_gguf("someone/tiny-GGUF", NAME, endpoint=hub.url).read_bytes == FIRST_BYTES


def test_the_bytes_may_lie_on_another_host_which_is_told_no_token(
    hub: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    with HubServer() as store:
        store.add("bucket/x", files={NAME: hub.repositories["someone/tiny-GGUF"].files[NAME]})
        hub.repositories["someone/tiny-GGUF"].large_file_elsewhere = f"{store.url}/bucket/x/resolve/main"
        hub.repositories["someone/tiny-GGUF"].commit = COMMIT
        with pytest.raises(HubError, match="which was not followed"):
            pull_gguf("someone/tiny-GGUF", NAME, endpoint=hub.url)
        assert store.asked == []
        monkeypatch.setenv("HEADROOM_STORAGE_HOSTS", store.url.removeprefix("http://"))
        pulled = pull_gguf("someone/tiny-GGUF", NAME, endpoint=hub.url)
        assert {asked.authorization for asked in store.asked} == {None}
    assert pulled.metadata["llama.block_count"] == 2


def test_the_only_file_is_found_and_one_of_many_has_to_be_named(hub: HubServer) -> None:
    assert pull_gguf("someone/tiny-GGUF", endpoint=hub.url).filename == NAME
    hub.repositories["someone/tiny-GGUF"].files["mmproj-F16.gguf"] = b"GGUF"
    assert pull_gguf("someone/tiny-GGUF", endpoint=hub.url).filename == NAME
    hub.repositories["someone/tiny-GGUF"].files["other.gguf"] = b"GGUF"
    with pytest.raises(HubError, match=r"has 2 \.gguf files: name one of other\.gguf, tiny-Q4_K_M\.gguf"):
        pull_gguf("someone/tiny-GGUF", endpoint=hub.url)
    hub.add("someone/plain", config={})
    with pytest.raises(HubError, match=r"no \.gguf file"):
        pull_gguf("someone/plain", endpoint=hub.url)


def test_a_file_s_page_names_all_three() -> None:
    page = "https://huggingface.co/someone/tiny-GGUF/blob/main/q4/tiny.gguf?download=true"
    assert gguf_address(page) == ("someone/tiny-GGUF", "q4/tiny.gguf", "main")
    assert gguf_address("someone/tiny-GGUF") == ("someone/tiny-GGUF", None, None)


@pytest.mark.parametrize(
    ("files", "name", "kind"),
    [
        ({NAME: b"NOPE" + WEIGHTS}, NAME, "bad_json"),
        ({NAME: header({**LLAMA, "split.count": (U32, 2)}) + WEIGHTS}, NAME, "bad_json"),
        ({NAME: header(LLAMA)[:100]}, NAME, "bad_json"),
        ({}, NAME, "not_found"),
        ({}, "../../etc/x.gguf", "bad_id"),
        ({}, "model.safetensors", "bad_id"),
    ],
)
def test_what_cannot_be_read_says_why(hub: HubServer, files: dict[str, bytes], name: str, kind: str) -> None:
    hub.add("someone/tiny-GGUF", files=files)
    with pytest.raises(HubError) as caught:
        pull_gguf("someone/tiny-GGUF", name, endpoint=hub.url)
    assert caught.value.kind == kind


@pytest.mark.parametrize(("fault", "kind"), [("gated", "gated"), ("hang", "timeout"), ("not_a_hub", "server_error")])
def test_a_fault_of_the_hub_has_its_own_kind(hub: HubServer, fault: str, kind: str) -> None:
    hub.repositories["someone/tiny-GGUF"].fault = fault
    with pytest.raises(HubError) as caught:
        pull_gguf("someone/tiny-GGUF", NAME, endpoint=hub.url, timeout=0.5)
    assert caught.value.kind == kind
