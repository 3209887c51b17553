"""Bytes of a JSON or YAML file to a mapping, bounded before anything expands them.

JSON keeps the rules of load_config (4 MiB, 100 levels); YAML, slower to read, may have fewer bytes (yaml_text.py).
"""

from typing import Any

from core.models.rules.facts import UnsupportedConfig
from core.models.rules.file_bytes import load_config

ADVICE = "Give the file as its tool wrote it."
MAX_YAML_BYTES = 512 * 2**10  # recipes and model_config.yaml files have a few KiB
BINARY = (
    b"version https://git-lfs",
    b"\x89PNG",
    b"\xff\xd8\xff",
    b"GIF8",
    b"PK\x03\x04",
    b"%PDF",
    b"\xff\xfe",
    b"\xfe\xff",
)


def parse(data: bytes) -> dict[str, Any]:
    """The mapping that a JSON or YAML file holds. Raises UnsupportedConfig with what the bytes are instead."""
    if is_json(data):
        return load_config(data)
    if len(data) > MAX_YAML_BYTES:
        raise UnsupportedConfig(
            f"The file has {len(data):,} bytes, is no JSON, and the limit for YAML is {MAX_YAML_BYTES:,}. {ADVICE}"
        )
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UnsupportedConfig(
            f"The file is not valid UTF-8 text: byte {error.start:,} cannot be read. {ADVICE}"
        ) from None
    from core.models.formats.yaml_text import mapping_of  # noqa: PLC0415  JSON needs no reader of YAML

    return mapping_of(text)


def is_json(data: bytes) -> bool:
    """Whether load_config is to judge: a JSON value, something binary, or nothing at all."""
    start = data[:4096].removeprefix(b"\xef\xbb\xbf").lstrip()
    return not start or start[:1] in b'{["' or data.startswith(BINARY)
