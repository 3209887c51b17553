"""Configs with the KV cache that transformers 5.23 allocated for them, and files made to break a reader."""

import base64
import gzip
import json
from functools import lru_cache
from pathlib import Path
from typing import Any

TESTS = Path(__file__).resolve().parent.parent


@lru_cache(maxsize=1)
def measured_cases() -> list[dict[str, Any]]:
    """Each: case, model_type, tags, config, facts and truth (one entry per batch, context and element size)."""
    return json.loads(gzip.decompress((TESTS / "oracle_cases" / "cases.json.gz").read_bytes()))


@lru_cache(maxsize=1)
def hostile_files() -> list[dict[str, Any]]:
    """Each: name, expect ('error', 'reading', 'reading-or-error'), seq, kv_bytes_per_token, data."""
    files = json.loads(gzip.decompress((TESTS / "hostile" / "files.json.gz").read_bytes()))
    return [{**file, "data": base64.b64decode(file["bytes_base64"])} for file in files]
