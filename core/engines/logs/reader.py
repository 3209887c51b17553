"""Which server a text is of, and its figures; a text that is none is refused in a sentence."""

from collections.abc import Callable

from core.engines.logs import llama_cpp_lines, sglang_lines, vllm_lines
from core.engines.logs.figures import LogError, ServerLog
from core.errors import SizingError

MOST_CHARACTERS = 16 * 1024 * 1024
LOOKED_AT = 65_536
_READERS: tuple[Callable[[str], ServerLog | None], ...] = (
    sglang_lines.read,
    vllm_lines.read,
    llama_cpp_lines.read,
)


def read_log(data: str | bytes) -> ServerLog:
    """The figures of the last start in the text. Raises LogError for a text that is too long, binary, or of no server
    that is known."""
    if len(data) > MOST_CHARACTERS:
        raise LogError(
            f"The text has {len(data):,} characters and at most {MOST_CHARACTERS:,} are read. Paste the lines of the "
            "start alone: they are the first of a log."
        )
    if _looks_binary(data[:LOOKED_AT]):
        raise LogError("This is a binary file and no log. Paste the text that the server printed at its start.")
    text = data.decode("utf-8", "replace") if isinstance(data, bytes) else data
    if not text.strip():
        raise LogError("The text is empty. Paste the lines that the server printed at its start.")
    try:
        for read in _READERS:
            if (found := read(text)) is not None:
                return found
    except ValueError as error:  # a setting such as '0.0.8', a count of more digits than Python converts
        if isinstance(error, SizingError):
            raise
        raise LogError(f"A number in the log cannot be read ({error}). Paste it as it was printed.") from error
    raise LogError(
        "No line of a start of vLLM, SGLang or llama.cpp is in this text. Looked for are lines such as 'Available KV "
        "cache memory: 7.71 GiB', 'KV Cache is allocated. #tokens: 367404' and 'llama_kv_cache: size = 8.00 MiB'."
    )


def _looks_binary(head: str | bytes) -> bool:
    """Whether the beginning holds what no log prints: NUL, or many bytes that are no text."""
    if isinstance(head, bytes):
        if b"\0" in head:
            return True
        head = head.decode("utf-8", "replace")
    strange = sum(head.count(character) for character in ("\ufffd", "\x01", "\x02", "\x03", "\x04", "\x06", "\x0e"))
    return "\0" in head or strange > max(len(head) // 50, 8)
