"""What gguf-dump prints, as text or with --json, back into keys and values.

The text cuts arrays behind six elements and texts behind 57 characters; --json leaves arrays out unless --json-array is
given. What is cut stays Skipped, so that a key which needs it is refused and not taken for absent. Form: gguf 0.19.0.
"""

import ast
import json
import re
from typing import Any

from core.models.gguf.header import MAX_KEYS, Skipped, whole_model
from core.models.rules.facts import UnsupportedConfig

MAX_CHARACTERS = 32 * 2**20
OWN_FIELDS = "GGUF."  # version, tensor_count, kv_count: of the file, no keys
_LINE = re.compile(r"^\s*\d+:\s+(\[*)(\w+)\]*\s*\|\s*(\d{1,15})\s*\|\s*(\S+)(?: = (.*))?$")
_ELEMENT = 200_000  # characters of one value that are read


def read_dump(text: str) -> dict[str, Any]:
    """Keys and values of gguf-dump's output. Raises UnsupportedConfig for text that is none."""
    if len(text) > MAX_CHARACTERS:
        raise UnsupportedConfig(
            f"The text has {len(text):,} characters: at most {MAX_CHARACTERS:,} are read. Cut the tensors."
        )
    found = _from_json(text) if text.lstrip().startswith("{") else _from_lines(text)
    if not found:
        raise UnsupportedConfig("No line of gguf-dump's is in the text. Paste what `gguf-dump model.gguf` prints.")
    return found if found.get("split.no", 0) == 0 else whole_model(found)


def _from_json(text: str) -> dict[str, Any]:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UnsupportedConfig("The text is no JSON: paste all that `gguf-dump --json model.gguf` prints.") from error
    fields = document.get("metadata") if isinstance(document, dict) else None
    if not isinstance(fields, dict) or len(fields) > MAX_KEYS:
        raise UnsupportedConfig(
            "The JSON has no metadata: paste what `gguf-dump --json --json-array model.gguf` prints."
        )
    found = {}
    for key, entry in fields.items():
        if key.startswith(OWN_FIELDS):
            continue
        if not isinstance(entry, dict):
            raise UnsupportedConfig(
                "The JSON's metadata is not gguf-dump's, with type and value of each key: paste what it prints."
            )
        found[key] = entry["value"] if "value" in entry else Skipped(count=0)
    return found


def _from_lines(text: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for line in text.splitlines():
        if line.startswith("* Dumping") and "tensor" in line:
            break
        match = _LINE.match(line[:_ELEMENT])
        if match is None or match[4].startswith(OWN_FIELDS):
            continue
        key, value = match[4], match[5]
        if len(found) >= MAX_KEYS:
            raise UnsupportedConfig(f"The text has more than {MAX_KEYS:,} keys.")
        found[key] = _value(value, int(match[3]), is_array=bool(match[1]))
    return found


def _value(text: str | None, count: int, *, is_array: bool) -> Any:
    if text is None or (is_array and text.endswith("...]")):
        return Skipped(count=count)
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return Skipped(count=count, what="a value")
