"""Bytes of an uploaded or fetched file to a dict, bounded before anything parses them."""

import json
import re
import sys
from typing import Any

from core.models.rules.facts import UnsupportedConfig

MAX_BYTES = 4 * 2**20  # the largest config.json seen on the Hub is far below 1 MB
MAX_DEPTH = 100
MAX_VALUES = 200_000  # the labels of ImageNet-22k, twice, are 44 thousand
ADVICE = "Give the config.json of a model repository."


def load_config(data: bytes) -> dict[str, Any]:
    """Parse the bytes of a config.json. Raises UnsupportedConfig with what the bytes look like instead."""
    return json_object(data, max_bytes=MAX_BYTES, max_values=MAX_VALUES, advice=ADVICE)


def config_text(data: bytes) -> str:
    """The same bytes as text, without a byte order mark. Raises UnsupportedConfig."""
    return _text(data, ADVICE)


def json_object(data: bytes, *, max_bytes: int, max_values: int, advice: str) -> dict[str, Any]:
    """The object that a JSON file holds, its bytes, levels and values counted before it is parsed.

    Values are keys' and lists' alike, those inside of others too. Raises UnsupportedConfig.
    """
    if len(data) > max_bytes:
        raise UnsupportedConfig(
            f"The file has {len(data):,} bytes and the limit is {max_bytes:,}: too many for a config. {advice}"
        )
    text = _text(data, advice)
    _check_shape(text, max_values, advice)
    try:
        found = json.loads(text)
    except RecursionError:
        raise UnsupportedConfig(f"The file nests too deep to be a config. {advice}") from None
    except ValueError as error:
        raise UnsupportedConfig(f"The file is not JSON: {_reason(error)}. {advice}") from None
    if not isinstance(found, dict):
        raise UnsupportedConfig(f"The file holds {_spoken(found)}, not a JSON object. {advice}")
    return found


def _text(data: bytes, advice: str) -> str:
    if data.startswith(b"version https://git-lfs"):
        raise UnsupportedConfig("The file is a Git LFS pointer, not the file itself. Download the real config.json.")
    if data.startswith((b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"PK\x03\x04", b"GGUF", b"%PDF")):
        raise UnsupportedConfig(f"The file is a picture, an archive or weights, not JSON. {advice}")
    encoding = "utf-16" if data.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        name = "UTF-16" if encoding == "utf-16" else "UTF-8"
        raise UnsupportedConfig(
            f"The file is not valid {name} text: byte {error.start:,} cannot be read. {advice}"
        ) from None


# A string, possibly cut off at the end of the text, or a bracket (or a comma); possessive, so that hostile quotes stay
# linear.
_BRACKETS = re.compile(r'"(?:[^"\\]++|\\.)*+(?:"|\Z)|[\[\]{}]', re.DOTALL)
_AND_COMMAS = re.compile(r'"(?:[^"\\]++|\\.)*+(?:"|\Z)|[\[\]{},]', re.DOTALL)


def _check_shape(text: str, max_values: int, advice: str) -> None:
    """Count brackets and commas outside strings before the parser recurses into them and makes the values.

    A value follows a comma or opens a list or an object. Commas are looked at only where there are enough of them.
    """
    depth = values = 0
    many = sum(map(text.count, ",[{")) > max_values
    for match in (_AND_COMMAS if many else _BRACKETS).finditer(text):
        token = match.group()
        if token in ("{", "["):
            depth, values = depth + 1, values + 1
        elif token in ("}", "]"):
            depth -= 1
        elif token == ",":
            values += 1
        if depth > MAX_DEPTH:
            raise UnsupportedConfig(f"The file nests more than {MAX_DEPTH} levels deep. {advice}")
        if values > max_values:
            raise UnsupportedConfig(f"The file holds more than {max_values:,} values. {advice}")


def _reason(error: ValueError) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg} at line {error.lineno}, column {error.colno}"
    return f"it holds an integer of more than {sys.get_int_max_str_digits():,} digits"


def _spoken(value: object) -> str:
    if value is None:
        return "null"
    return {bool: "true or false", int: "a number", float: "a number", str: "a text"}.get(type(value), "a list")
