"""The first bytes of a GGUF file, read with bounds: keys and values, no tensor, no token.

The format as ggml's docs/gguf.md has it: magic, u32 version, u64 tensors, u64 keys, then each key as string, type and
value; a string is a u64 length and its bytes, an array a type, a u64 count and its elements. The gguf package's reader
takes a path alone, stops at a file that ends early with an IndexError of numpy's, and keeps every token; here a file
may be cut anywhere, memory is bounded by what is kept and time by the bytes given.
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from core.models.gguf.tensors import with_tensors
from core.models.rules.facts import UnsupportedConfig, shown

FIRST_BYTES = 64 * 2**10  # the architecture's keys: before byte 1,000 in the files seen
MOST_BYTES = 8 * 2**20  # all keys, a vocabulary of 262,000 words with its merges included
MAX_KEYS = 65_536
MAX_KEY_BYTES = 65_535  # of the format
KEPT_TEXT_BYTES = 4_096  # longer text (a chat template) is skipped
KEPT_NUMBERS = 4_096  # longer arrays (tokens' scores) are skipped
KEPT_TEXTS = 64  # texts of an array that are kept (tags), where it holds no more
VERSIONS = (2, 3)
DAMAGED = "The file is damaged: download it again."
STRING, ARRAY = 8, 9
NUMBERS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
SMALLEST_KEY_BYTES = 8 + 1 + 4 + 1  # a key of one byte with a value of one
OTHER_FILES = {
    b"PK\x03\x04": "a zip archive (a PyTorch checkpoint)",
    b"vers": "a Git LFS pointer: the model itself was not downloaded",
    b"lmgg": "GGML, the format before GGUF",
    b"fmgg": "GGMF, a format before GGUF",
    b"tjgg": "GGJT, a format before GGUF",
    b"FUGG": "a GGUF file in big-endian order",
}


@dataclass(frozen=True, kw_only=True)
class Skipped:
    """A value that was not kept: an array's count or a text's bytes."""

    count: int
    what: str = "an array"

    def __str__(self) -> str:
        return f"{self.what} of {self.count:,} that was not read whole"


class HeaderTruncated(UnsupportedConfig):
    """The bytes end before the keys do: give at least needed_bytes from the file's start."""

    def __init__(self, needed_bytes: int, read: "Header") -> None:
        super().__init__(
            f"The GGUF header goes on behind the {read.num_bytes:,} bytes given: at least {needed_bytes:,} are needed. "
            "Give more of the file's start."
        )
        self.needed_bytes = needed_bytes
        self.read = read


@dataclass(kw_only=True)
class Header:
    """What was read so far; complete where every key was."""

    version: int
    num_tensors: int
    num_keys: int
    num_bytes: int  # given
    metadata: dict[str, Any] = field(default_factory=dict)
    ends_at: int = 0  # the byte behind the last key that was read
    reading: str = ""  # the key whose value is being read, where the bytes end

    @property
    def complete(self) -> bool:
        return len(self.metadata) == self.num_keys


class _End(Exception):
    """The bytes given end here."""

    def __init__(self, needed: int) -> None:
        self.needed = needed


class _Cursor:
    """Little-endian values, one after another; file_bytes is what the whole file holds, where it is known."""

    def __init__(self, data: bytes, file_bytes: int | None) -> None:
        self.data, self.at, self.file_bytes = data, 0, file_bytes

    def take(self, count: int) -> int:
        """The place of the next `count` bytes, which are then behind."""
        start, end = self.at, self.at + count
        if self.file_bytes is not None and end > self.file_bytes:
            raise UnsupportedConfig(
                f"A value of {count:,} bytes at byte {start:,} goes beyond the file's {self.file_bytes:,} bytes: "
                "the file is damaged or was not downloaded whole. Download it again."
            )
        if end > len(self.data):
            raise _End(end)
        self.at = end
        return start

    def number(self, kind: str) -> Any:
        return struct.unpack_from(f"<{kind}", self.data, self.take(struct.calcsize(f"<{kind}")))[0]

    def text(self, most: int, where: str) -> str | Skipped:
        """A string; one of more than `most` bytes is skipped."""
        length = self.number("Q")
        if length > 2**40:
            raise UnsupportedConfig(f"A text of {length:,} bytes in {where}: no file holds that. {DAMAGED}")
        start = self.take(length)
        if length > most:
            return Skipped(count=length, what="a text")
        return self.data[start : start + length].decode("utf-8", "replace")


def read_header(data: bytes, *, file_bytes: int | None = None) -> Header:
    """Every key and value of a GGUF file's start. file_bytes is the whole file's size, where it is known.

    Long arrays and texts come as Skipped. Raises HeaderTruncated where the bytes end first (with what was read and how
    many bytes are needed at least), UnsupportedConfig for a file that is none, or damaged; nothing else.
    """
    cursor = _Cursor(data, file_bytes)
    try:
        read = _start(cursor)
    except _End as end:
        empty = Header(version=0, num_tensors=0, num_keys=0, num_bytes=len(data))
        raise HeaderTruncated(end.needed, empty) from None
    try:
        for _ in range(read.num_keys):
            _read_key(cursor, read)
    except _End as end:
        raise HeaderTruncated(end.needed, read) from None
    return read


def _start(cursor: _Cursor) -> Header:
    at = cursor.take(4)
    magic = cursor.data[at : at + 4]
    if magic != b"GGUF":
        other = OTHER_FILES.get(magic, f"something else: it starts with {shown(magic.hex(' '))}")
        raise UnsupportedConfig(f"The file is no GGUF file but {other}. Give a .gguf file of version 2 or 3.")
    version = cursor.number("I")
    if version & 0xFFFF == 0 and version:
        raise UnsupportedConfig(
            "The file is a GGUF file in big-endian order, for s390x and the like. Give the little-endian one."
        )
    if version not in VERSIONS:
        raise UnsupportedConfig(f"The GGUF file is of version {version:,}: 2 and 3 are read. Convert the model again.")
    num_tensors, num_keys = cursor.number("Q"), cursor.number("Q")
    size = cursor.file_bytes
    if num_keys > MAX_KEYS or (size is not None and num_keys * SMALLEST_KEY_BYTES > size):
        raise UnsupportedConfig(f"The header claims {num_keys:,} keys: no file of this size holds them. {DAMAGED}")
    if num_tensors > 2**32 or (size is not None and num_tensors > size):
        raise UnsupportedConfig(f"The header claims {num_tensors:,} tensors: no file holds them. {DAMAGED}")
    return Header(
        version=version, num_tensors=num_tensors, num_keys=num_keys, num_bytes=len(cursor.data), ends_at=cursor.at
    )


def _read_key(cursor: _Cursor, read: Header) -> None:
    key = cursor.text(MAX_KEY_BYTES, "a key")
    if not isinstance(key, str):
        raise UnsupportedConfig(f"A key is {key.count:,} bytes long, {MAX_KEY_BYTES:,} are allowed. {DAMAGED}")
    if key in read.metadata:
        raise UnsupportedConfig(f"The key {shown(key)} stands twice: llama.cpp does not load that. {DAMAGED}")
    read.reading = key
    value = _value(cursor, cursor.number("I"), key)
    read.metadata[key] = value
    read.ends_at = cursor.at


def _value(cursor: _Cursor, kind: int, key: str) -> Any:
    if kind == STRING:
        return cursor.text(KEPT_TEXT_BYTES, shown(key))
    if kind == ARRAY:
        return _array(cursor, key)
    if kind not in NUMBERS:
        raise UnsupportedConfig(f"{shown(key)} is of type {kind:,}, which GGUF does not have. {DAMAGED}")
    return cursor.number(NUMBERS[kind])


def _array(cursor: _Cursor, key: str) -> Any:
    kind, count = cursor.number("I"), cursor.number("Q")
    if kind == ARRAY:
        raise UnsupportedConfig(f"{shown(key)} is an array of arrays: llama.cpp loads none. Convert the model again.")
    if kind != STRING and kind not in NUMBERS:
        raise UnsupportedConfig(f"{shown(key)} is an array of type {kind:,}, which GGUF does not have. {DAMAGED}")
    least = 8 if kind == STRING else struct.calcsize(f"<{NUMBERS[kind]}")
    if count > 2**40 or (cursor.file_bytes is not None and count * least > cursor.file_bytes):
        raise UnsupportedConfig(f"{shown(key)} claims {count:,} elements: no file of this size holds them. {DAMAGED}")
    if kind == STRING:
        return _texts(cursor, key, count)
    start = cursor.take(count * least)
    if count > KEPT_NUMBERS:
        return Skipped(count=count)
    return list(struct.unpack_from(f"<{count}{NUMBERS[kind]}", cursor.data, start))


def _texts(cursor: _Cursor, key: str, count: int) -> Any:
    """Strings have to be walked. Where so many of them cannot stand in the bytes given, nothing is walked."""
    if count * 8 > len(cursor.data) - cursor.at:
        raise _End(cursor.at + count * 8)
    if count > KEPT_TEXTS:
        data, at, end = cursor.data, cursor.at, len(cursor.data)
        unpack = struct.Struct("<Q").unpack_from
        for _ in range(count):
            if at + 8 > end:
                break
            at += 8 + unpack(data, at)[0]
        else:
            cursor.take(at - cursor.at)
            return Skipped(count=count)
        cursor.take(at + 8 - cursor.at)  # beyond the bytes given: says how many are needed, or that the file is damaged
    return [cursor.text(KEPT_TEXT_BYTES, shown(key)) for _ in range(count)]


def metadata_of(read_start: Callable[[int], bytes], *, file_bytes: int | None = None) -> dict[str, Any]:
    """The keys of a file whose first N bytes read_start(N) gives: 64 KiB, then more up to 8 MiB where they are needed.

    The tensor table goes with them (FileKeys.tensors) where it lies whole in the bytes that the keys took.
    Where a vocabulary fills the 8 MiB the keys before it are taken, since converters write the architecture's first.
    Raises UnsupportedConfig as read_header does, and for a part of a split model.
    """
    wanted = FIRST_BYTES
    while True:
        data = read_start(wanted)
        try:
            read = read_header(data, file_bytes=file_bytes)
            return whole_model(with_tensors(read.metadata, data, read.ends_at, read.num_tensors))
        except HeaderTruncated as cut:
            ended = len(data) < wanted
            if ended and file_bytes is None:
                raise
            if wanted >= MOST_BYTES or ended:
                if any(key.startswith("tokenizer.") for key in (*cut.read.metadata, cut.read.reading)):
                    return whole_model(cut.read.metadata)
                raise
            wanted = min(MOST_BYTES, max(cut.needed_bytes, wanted * 16))


def whole_model(metadata: dict[str, Any]) -> dict[str, Any]:
    """The same keys. Raises UnsupportedConfig for one file of a split model."""
    parts = metadata.get("split.count", 0)
    if parts not in (0, 1):
        number = metadata.get("split.no", 0)
        part = f"{number + 1}" if isinstance(number, int) else shown(number)
        raise UnsupportedConfig(
            f"This is file {part} of {shown(parts)} of a split model (split.count). Merge them with "
            "llama-gguf-split --merge, or paste what gguf-dump says of the first one."
        )
    return metadata


def read_gguf_file(path: str | Path) -> dict[str, Any]:
    """The keys of a local .gguf file, whatever its size: at most 8 MiB are read. Raises UnsupportedConfig."""
    try:
        with Path(path).open("rb") as file:
            size = file.seek(0, 2)

            def read_start(count: int) -> bytes:
                file.seek(0)
                return file.read(count)

            return metadata_of(read_start, file_bytes=size)
    except (OSError, ValueError) as error:
        if isinstance(error, UnsupportedConfig):
            raise
        reason = getattr(error, "strerror", None) or "no such path"
        raise UnsupportedConfig(f"{shown(str(path))} cannot be read: {reason}. Check the path.") from error
