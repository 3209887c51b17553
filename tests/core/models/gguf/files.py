"""GGUF headers made by hand, byte by byte, from the format's description."""

import struct
from typing import Any

U8, U32, I32, F32, BOOL, STRING, ARRAY, U64 = 0, 4, 5, 6, 7, 8, 9, 10
_CODES = {U8: "B", U32: "I", I32: "i", F32: "f", BOOL: "?", U64: "Q"}
LLAMA: dict[str, tuple[int, Any]] = {
    "general.architecture": (STRING, "llama"),
    "llama.block_count": (U32, 2),
    "llama.context_length": (U32, 4096),
    "llama.embedding_length": (U32, 64),
    "llama.feed_forward_length": (U32, 128),
    "llama.attention.head_count": (U32, 4),
    "llama.attention.head_count_kv": (ARRAY, (I32, [2, 1])),
    "llama.attention.key_length": (U32, 16),
    "llama.attention.value_length": (U32, 16),
    "llama.rope.freq_base": (F32, 10000.0),
}


def tokens(count: int) -> dict[str, tuple[int, Any]]:
    return {"tokenizer.ggml.tokens": (ARRAY, (STRING, [f"token {n}" for n in range(count)]))}


def text(value: str) -> bytes:
    raw = value.encode()
    return struct.pack("<Q", len(raw)) + raw


def value(kind: int, content: Any) -> bytes:
    if kind == STRING:
        return text(content)
    if kind == ARRAY:
        inner, elements = content
        return struct.pack("<IQ", inner, len(elements)) + b"".join(value(inner, element) for element in elements)
    return struct.pack(f"<{_CODES[kind]}", content)


def header(
    keys: dict[str, tuple[int, Any]], *, magic: bytes = b"GGUF", version: int = 3, count: int | None = None
) -> bytes:
    start = magic + struct.pack("<IQQ", version, 0, len(keys) if count is None else count)
    return start + b"".join(
        text(key) + struct.pack("<I", kind) + value(kind, held) for key, (kind, held) in keys.items()
    )
