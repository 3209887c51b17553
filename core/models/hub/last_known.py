"""The file that a repository gave last, for when the Hub cannot be asked: older facts beat none, and say their age."""

import hashlib
import json
import os
import tempfile
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from huggingface_hub import constants, get_token

from core.models.hub import gate
from core.models.hub.pulls import Kind, PulledConfig

# What may pass by itself. A gate, a wrong token or a file that is gone says something new, and is not papered over.
PASSING: frozenset[Kind] = frozenset({"timeout", "offline", "server_error", "rate_limited"})


class LastKnown(NamedTuple):
    """Where the bytes lie (core.models.hub.client finds them by these) and when the Hub said so."""

    repository: str
    filename: str
    commit: str
    etag: str
    pulled_at: datetime
    open_to_all: bool  # read without a token


def keep(pulled: PulledConfig, revision: str | None, endpoint: str | None) -> None:
    """Written beside and renamed. A folder that cannot be written only costs the fallback."""
    target = _file(pulled.requested, revision, endpoint)
    known = {
        "requested": pulled.requested, "repository": pulled.repository, "filename": pulled.filename,
        "commit": pulled.commit, "etag": pulled.etag,
        "pulled_at": pulled.pulled_at.isoformat(), "open_to_all": gate.is_shut() or get_token() is None,
    }  # fmt: skip
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=target.parent, delete=False, encoding="utf-8") as file:
            json.dump(known, file)
        os.replace(file.name, target)
    except OSError:
        return


def find(repository: str, revision: str | None, endpoint: str | None) -> LastKnown | None:
    """What keep() wrote for this repository, revision and endpoint; None where nothing readable, or to be shown, is."""
    try:
        known = json.loads(_file(repository, revision, endpoint).read_text(encoding="utf-8"))
        known.pop("requested", None)
        at, open_to_all = datetime.fromisoformat(known.pop("pulled_at")), known.pop("open_to_all", False) is True
        if gate.is_shut() and not open_to_all:
            return None
        return LastKnown(**{name: str(value) for name, value in known.items()}, pulled_at=at, open_to_all=open_to_all)
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None


def names() -> list[str]:
    """What was asked for and kept, each of any revision and endpoint: find() says whether it stands for a name."""
    found = set()
    for path in (Path(constants.HF_ASSETS_CACHE) / "headroom" / "last").glob("*"):
        try:
            known = json.loads(path.read_text(encoding="utf-8"))
            found.add(str(known.get("requested") or known["repository"]))
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            continue
    return sorted(found)


def _file(repository: str, revision: str | None, endpoint: str | None) -> Path:
    asked = f"{endpoint or constants.ENDPOINT}\n{repository}\n{revision or ''}"
    return Path(constants.HF_ASSETS_CACHE) / "headroom" / "last" / hashlib.sha256(asked.encode()).hexdigest()
