"""Answers of the meta device, kept on disk: one small file each, named by the content of the config and the versions.

They lie in the platform's cache folder (HEADROOM_CACHE_DIR overrides it), at most MAX_FILES of them; the oldest go.
A folder that cannot be written or a file that cannot be read costs time, never an error.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from core.host.folders import cache_directory

MAX_FILES = 2_000
WORKER_VERSION = 3  # of what an answer holds and means; a new number leaves old answers behind
NOT_SHAPE = ("_name_or_path", "transformers_version", "dtype", "torch_dtype", "quantization_config", "auto_map")
FIELDS = {
    "total", "embedding", "head", "tied", "routed_experts", "parts", "biases", "groups", "architecture", "transformers"
}  # fmt: skip


def folder() -> Path:
    """Where answers are kept. Raises OSError where the system names no place."""
    return cache_directory() / "parameters"


def kept_answer(config: Mapping[str, Any]) -> dict[str, Any] | None:
    """What the worker answered for this config before, None where nothing whole is kept."""
    try:
        answer = json.loads(_file(config).read_text(encoding="utf-8"))
    except (OSError, ValueError, TypeError, RecursionError):
        return None
    return answer if isinstance(answer, dict) and set(answer) == FIELDS else None


def keep_answer(config: Mapping[str, Any], answer: Mapping[str, Any]) -> None:
    """Writes an answer, whole or not at all, and lets the oldest go where there are too many."""
    import tempfile  # noqa: PLC0415  where an answer is kept alone

    try:
        file = _file(config)
        file.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=file.parent, suffix=".part", delete=False) as part:
            json.dump(dict(answer), part)
        os.replace(part.name, file)
        files = sorted(file.parent.glob("*.json"), key=lambda kept: kept.stat().st_mtime)
        for old in files[: max(len(files) - MAX_FILES, 0)]:
            old.unlink(missing_ok=True)
    except (OSError, ValueError, TypeError, RecursionError):
        return


def _file(config: Mapping[str, Any]) -> Path:
    shape = {key: value for key, value in config.items() if key not in NOT_SHAPE}
    text = json.dumps([WORKER_VERSION, *_versions(), shape], sort_keys=True, default=str)
    return folder() / f"{hashlib.sha256(text.encode()).hexdigest()}.json"


@cache
def _versions() -> tuple[str, str]:
    from importlib.metadata import PackageNotFoundError, version  # noqa: PLC0415  where an answer is kept alone

    found = []
    for package in ("transformers", "torch"):
        try:
            found.append(version(package))
        except PackageNotFoundError:
            found.append("none")
    return found[0], found[1]
