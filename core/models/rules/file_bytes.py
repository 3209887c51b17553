"""Bytes of an uploaded or fetched file to a dict, bounded before anything parses them."""

import json
import re
import sys
from typing import Any

from core.models.rules.facts import UnsupportedConfig

MAX_BYTES = 4 * 2**20  # the largest config.json seen on the Hub is far below 1 MB
MAX_DEPTH = 100
ADVICE = "Give the config.json of a model repository."


def load_config(data: bytes) -> dict[str, Any]:
    """Parse the bytes of a config.json. Raises UnsupportedConfig with what the bytes look like instead."""
    if len(data) > MAX_BYTES:
        raise UnsupportedConfig(
            f"The file has {len(data):,} bytes and the limit is {MAX_BYTES:,}: too many for a config. {ADVICE}"
        )
    text = _text(data)
    _check_depth(text)
    try:
        config = json.loads(text)
    except RecursionError:
        raise UnsupportedConfig(f"The file nests too deep to be a config. {ADVICE}") from None
    except ValueError as error:
        raise UnsupportedConfig(f"The file is not JSON: {_reason(error)}. {ADVICE}") from None
    if not isinstance(config, dict):
        raise UnsupportedConfig(f"The file holds {_spoken(config)}, not a JSON object. {ADVICE}")
    return config


def _text(data: bytes) -> str:
    if data.startswith(b"version https://git-lfs"):
        raise UnsupportedConfig("The file is a Git LFS pointer, not the file itself. Download the real config.json.")
    if data.startswith((b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"PK\x03\x04", b"GGUF", b"%PDF")):
        raise UnsupportedConfig(f"The file is a picture, an archive or weights, not JSON. {ADVICE}")
    encoding = "utf-16" if data.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        name = "UTF-16" if encoding == "utf-16" else "UTF-8"
        raise UnsupportedConfig(
            f"The file is not valid {name} text: byte {error.start:,} cannot be read. {ADVICE}"
        ) from None


# A string, possibly cut off at the end of the text, or a bracket; possessive, so that hostile quotes stay linear.
_BRACKETS = re.compile(r'"(?:[^"\\]++|\\.)*+(?:"|\Z)|[\[\]{}]', re.DOTALL)


def _check_depth(text: str) -> None:
    """Count brackets outside strings before the parser recurses into them."""
    depth = 0
    for match in _BRACKETS.finditer(text):
        token = match.group()
        if token in ("{", "["):
            depth += 1
        elif token in ("}", "]"):
            depth -= 1
        if depth > MAX_DEPTH:
            raise UnsupportedConfig(f"The file nests more than {MAX_DEPTH} levels deep. {ADVICE}")


def _reason(error: ValueError) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg} at line {error.lineno}, column {error.colno}"
    return f"it holds an integer of more than {sys.get_int_max_str_digits():,} digits"


def _spoken(value: object) -> str:
    if value is None:
        return "null"
    return {bool: "true or false", int: "a number", float: "a number", str: "a text"}.get(type(value), "a list")
