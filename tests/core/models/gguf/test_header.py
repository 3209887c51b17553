"""Headers whole, cut and hostile: read, or refused by name, in bounded time and memory."""

import contextlib
import struct
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.models.gguf.header import (
    FIRST_BYTES,
    MOST_BYTES,
    HeaderTruncated,
    Skipped,
    metadata_of,
    read_gguf_file,
    read_header,
)
from core.models.gguf.metadata import read_metadata
from core.models.rules.facts import UnsupportedConfig
from tests.core.models.gguf.files import ARRAY, BOOL, I32, LLAMA, STRING, U32, U64, header, text, tokens


def test_keys_come_as_plain_values_and_tokens_as_their_count() -> None:
    read = read_header(header({**LLAMA, **tokens(100), "general.quantization_version": (U32, 2)}))
    assert read.complete
    assert read.metadata["llama.attention.head_count_kv"] == [2, 1]
    assert read.metadata["llama.rope.freq_base"] == 10000.0
    assert read.metadata["tokenizer.ggml.tokens"] == Skipped(count=100)
    spec = read_metadata(read.metadata)
    assert [layer.num_kv_heads for layer in spec.layers] == [2, 1]
    assert spec.dimensions.vocab_size == 100


@settings(max_examples=60)
@given(cut=st.integers(0, 2_000))
def test_a_file_cut_anywhere_says_how_many_bytes_are_needed(cut: int) -> None:
    whole = header({**LLAMA, **tokens(100)})
    if cut >= len(whole):
        assert read_header(whole[:cut]).complete
        return
    with pytest.raises(HeaderTruncated) as truncated:
        read_header(whole[:cut])
    assert cut < truncated.value.needed_bytes <= len(whole)


def test_no_more_is_asked_for_than_is_needed() -> None:
    def asked(whole: bytes) -> tuple[list[int], dict[str, object]]:
        steps: list[int] = []

        def start(count: int) -> bytes:
            steps.append(count)
            return whole[:count]

        return steps, metadata_of(start, file_bytes=10**9)

    assert asked(header({**LLAMA, **tokens(100)}))[0] == [FIRST_BYTES]
    assert asked(header({**LLAMA, **tokens(30_000)}))[0] == [FIRST_BYTES, 16 * FIRST_BYTES]
    steps, metadata = asked(header({**LLAMA, "tokenizer.ggml.model": (STRING, "gpt2"), **tokens(600_000)}))
    assert steps[-1] == MOST_BYTES
    assert read_metadata(metadata).model_type == "llama"  # a vocabulary beyond 8 MiB: what stands before it is enough


def test_a_local_file_is_read_by_its_start(tmp_path) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "model.gguf"
    path.write_bytes(header({**LLAMA, **tokens(10)}) + bytes(10**6))
    assert read_gguf_file(path)["llama.block_count"] == 2
    with pytest.raises(UnsupportedConfig, match="cannot be read"):
        read_gguf_file(tmp_path / "absent.gguf")
    path.write_bytes(header(LLAMA)[:-3])
    with pytest.raises(UnsupportedConfig, match="goes beyond the file's"):
        read_gguf_file(path)


BILLION = struct.pack("<Q", 10**9)
TYPE = struct.pack("<I", U32) + b"\1"
HOSTILE = {
    "wrong magic": (header(LLAMA, magic=b"NOPE"), "no GGUF file"),
    "zip": (b"PK\x03\x04" + bytes(100), "PyTorch"),
    "lfs pointer": (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS pointer"),
    "big-endian": (b"GGUF" + struct.pack(">IQQ", 3, 0, 9) + bytes(100), "big-endian"),
    "version 1": (header(LLAMA, version=1), "version 1"),
    "version 9": (header(LLAMA, version=9), "version 9"),
    "keys beyond the file": (header(LLAMA, count=10**12), "1,000,000,000,000 keys"),
    "array beyond the file": (header({"a": (ARRAY, (U32, []))})[:-8] + BILLION, "1,000,000,000 elements"),
    "a thousand million strings": (header({"a": (ARRAY, (STRING, []))})[:-8] + BILLION, "1,000,000,000"),
    "text beyond the file": (header({"a": (STRING, "")})[:-8] + struct.pack("<Q", 2**63), "9,223,372,036,854,775,808"),
    "string lengths that overlap": (
        header({"a": (ARRAY, (STRING, ["x"] * 80))}).replace(struct.pack("<Q", 1) + b"x", struct.pack("<Q", 2**62), 1),
        "goes beyond",
    ),
    "nested arrays": (header({"a": (ARRAY, (ARRAY, [(U32, [1])]))}), "array of arrays"),
    "unknown type": (header({"a": (U32, 1)}).replace(TYPE, struct.pack("<I", 77) + b"\1"), "type 77"),
    "a key twice": (header(LLAMA, count=18) + header(LLAMA)[24:], "stands twice"),
    "part of a split model": (header({**LLAMA, "split.count": (U32, 3), "split.no": (U32, 1)}), "file 2 of 3"),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_header_is_refused_by_name_with_little_memory(name: str) -> None:
    data, says = HOSTILE[name]
    tracemalloc.start()
    with pytest.raises(UnsupportedConfig, match=says):
        metadata_of(lambda count: data[:count], file_bytes=len(data))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**20


def test_without_the_file_s_size_a_hostile_count_asks_for_more_and_reads_nothing() -> None:
    data = header({"a": (ARRAY, (STRING, []))})[:-8] + struct.pack("<Q", 10**9) + bytes(10**5)
    with pytest.raises(HeaderTruncated) as truncated:
        read_header(data)
    assert truncated.value.needed_bytes > 8 * 10**9
    with pytest.raises(HeaderTruncated):
        metadata_of(lambda count: data[:count])


@settings(max_examples=300)
@given(at=st.integers(0, 400), flip=st.integers(1, 255), cut=st.integers(0, 500))
def test_a_damaged_byte_raises_nothing_else(at: int, flip: int, cut: int) -> None:
    data = bytearray(header({**LLAMA, "x": (BOOL, True), "y": (U64, 7), "z": (ARRAY, (I32, [1] * 9))}))
    data[at % len(data)] ^= flip
    with contextlib.suppress(UnsupportedConfig):
        read_metadata(metadata_of(lambda count: bytes(data[: min(count, len(data) - cut % 50)]), file_bytes=len(data)))


def test_a_long_key_is_refused() -> None:
    data = b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + text("k" * 70_000) + struct.pack("<IB", 0, 1)
    with pytest.raises(UnsupportedConfig, match="70,000 bytes long"):
        read_header(data)
