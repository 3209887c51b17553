"""What is asked of the Hub and what came back: ids, requests, results and the one error.

Apart from core.models.hub.client so that a page can name them without loading the Hub's client.
"""

import re
from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from urllib.parse import unquote

_PAGE = re.compile(r"(?:https?://)?(?:www\.)?(?:huggingface\.co|hf\.co)/(?:models/)?", re.IGNORECASE)
_AT_REVISION = ("tree", "blob", "raw", "resolve", "commit", "commits")  # what a page's address names a revision after
FILENAMES = ("config.json", "params.json")  # params.json: the format of Meta's and Mistral's own releases
_ID = re.compile(r"(?:[A-Za-z0-9][\w.\-]{0,95}/)?[A-Za-z0-9][\w.\-]{0,95}", re.ASCII)

Kind = Literal[
    "bad_id", "gated", "bad_token", "not_found", "rate_limited", "server_error", "timeout", "offline", "too_large",
    "bad_json",
]  # fmt: skip


FAULTS: Counter[str] = Counter()  # how often each kind was met since the start: for the server's metrics


class HubError(Exception):
    """The Hub did not give the file; str() says why and what to do, kind is for code."""

    def __init__(self, kind: Kind, repository: str, sentence: str) -> None:
        super().__init__(sentence)
        FAULTS[kind] += 1
        self.kind: Kind = kind
        self.repository = repository


@dataclass(frozen=True, kw_only=True)
class PulledConfig:
    """One file as the Hub gave it."""

    requested: str  # the repository that was asked for
    repository: str  # the one that answered: the mirror where the original is gated
    filename: str  # 'config.json' or 'params.json'
    text: str
    config: dict[str, Any]
    commit: str
    etag: str
    from_cache: bool  # the ETag was known: nothing but metadata was read
    pulled_at: datetime
    stale_because: str | None = None  # the Hub could not be asked now: this is the file of pulled_at


@dataclass(frozen=True, kw_only=True)
class PullRequest:
    """What pull_many asks for; key is the caller's own name of it."""

    key: str
    repository: str
    mirror: str | None = None
    revision: str | None = None


@dataclass(frozen=True, kw_only=True)
class PullResult:
    """Either pulled or error is set."""

    request: PullRequest
    pulled: PulledConfig | None = None
    error: HubError | None = None


def too_large(repository: str, filename: str, max_bytes: int) -> HubError:
    limit = f"{max_bytes / 2**20:.0f} MiB"
    return HubError("too_large", repository, f"{filename} of {repository} is larger than {limit}: it was not read.")


def repository_id(text: str) -> str:
    """'owner/name' from an id or a model page's address. Raises HubError (bad_id) before anything is asked."""
    stripped = _PAGE.sub("", text.strip(), count=1) if _PAGE.match(text.strip()) else text.strip()
    if stripped != text.strip():
        stripped = "/".join(stripped.split("?")[0].split("#")[0].split("/")[:2])
    if _ID.fullmatch(stripped) is None or ".." in stripped or "--" in stripped:
        shown = text.strip() if len(text.strip()) <= 80 else text.strip()[:77] + "..."
        raise HubError(
            "bad_id",
            text,
            f"'{shown}' is not a repository id. Write owner/name as the model's page has it, such as tiiuae/falcon-7b.",
        )
    return stripped


def is_page(text: str) -> bool:
    """Whether it is the address of a page of the Hub, and no id or path."""
    return _PAGE.match(text.strip()) is not None


def repository_at(text: str) -> tuple[str, str | None]:
    """(owner/name, revision) from an id or a page's address; None is what main holds.

    Raises HubError (bad_id) for the page of a file that is no config.json or params.json at the top of its repository.
    """
    repository = repository_id(text)
    if not is_page(text):
        return repository, None
    place = _PAGE.sub("", text.strip(), count=1).split("?")[0].split("#")[0].split("/")[2:]
    if len(place) < 2 or place[0] not in _AT_REVISION or not place[1]:
        return repository, None
    filename = unquote("/".join(place[2:]).rstrip("/"))
    if filename and filename not in FILENAMES:
        shown = filename if len(filename) <= 80 else filename[:77] + "..."
        sentence = f"'{shown}' of {repository} is not read: its config.json or params.json at the top is. "
        raise HubError("bad_id", repository, sentence + "Write owner/name, or download that file and give it itself.")
    revision = unquote(place[1])
    return repository, None if revision == "main" else revision
