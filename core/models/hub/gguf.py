"""The header of a .gguf file on the Hub: 64 KiB by a ranged request, then more up to 8 MiB, never the weights."""

import re
import time
from dataclasses import dataclass
from typing import Any

import httpx2
from huggingface_hub import get_hf_file_metadata, hf_hub_url
from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

from core.models.gguf.header import metadata_of
from core.models.hub import answers, gate
from core.models.hub.client import TIMEOUT_SECONDS
from core.models.hub.errors import host_of, hub_error
from core.models.hub.pulls import HubError, repository_id
from core.models.rules.facts import UnsupportedConfig

ENDING = ".gguf"
SHOWN_FILES = 12
_FILENAME = re.compile(r"[\w.\-+ ()]{1,200}(?:/[\w.\-+ ()]{1,200}){0,7}")
_PAGE = re.compile(
    r"(?:https?://)?(?:www\.)?(?:huggingface\.co|hf\.co)/([^/]+/[^/]+)/(?:blob|resolve)/([^/]+)/(.+?\.gguf)(?:\?.*)?"
)


@dataclass(frozen=True, kw_only=True)
class PulledHeader:
    """The keys of one file as the Hub gave them."""

    repository: str
    filename: str
    commit: str
    file_bytes: int | None  # of the whole file, weights included
    read_bytes: int  # that were asked for
    metadata: dict[str, Any]


def gguf_address(text: str) -> tuple[str, str | None, str | None]:
    """(repository, filename, revision) from a file's page, or (text, None, None)."""
    match = _PAGE.fullmatch(text.strip())
    return (match[1], match[3], match[2]) if match else (text, None, None)


def pull_gguf(
    repository: str,
    filename: str | None = None,
    revision: str | None = None,
    *,
    timeout: float = TIMEOUT_SECONDS,
    endpoint: str | None = None,
) -> PulledHeader:
    """The header of a repository's .gguf file; without a filename its only one, or the first part of its only model.

    timeout is in seconds, for each answer and, three times over, for the whole. Raises HubError; its kind is
    'bad_json' where the file's header is refused, with the reason.
    """
    page, named, at = gguf_address(repository)
    asked = repository_id(page)
    filename, revision = filename or named, revision or at
    if revision is not None and (
        re.fullmatch(r"[A-Za-z0-9][\w.\-/]{0,99}", revision, re.ASCII) is None or ".." in revision
    ):
        raise HubError("bad_id", asked, f"'{revision[:80]}' is not a revision. Write a branch, a tag or a commit.")
    try:
        if filename is None:
            filename = _only_file(asked, revision, timeout, endpoint)
        if not filename.endswith(ENDING) or ".." in filename or _FILENAME.fullmatch(filename) is None:
            raise HubError(
                "bad_id", asked, f"'{filename[:80]}' is no .gguf file of a repository. Write its name there."
            )
        return _pull(asked, filename, revision, timeout, endpoint)
    except (HfHubHTTPError, httpx2.HTTPError, httpx2.InvalidURL, OfflineModeIsEnabled) as error:
        raise hub_error(error, asked, filename or "file list", endpoint) from error


def _only_file(repository: str, revision: str | None, timeout: float, endpoint: str | None) -> str:
    info = answers.model_info(repository, revision=revision, timeout=timeout, endpoint=endpoint)
    names = sorted(name for name in answers.file_names(info) if name.endswith(ENDING))
    models = [name for name in names if "mmproj" not in name.rsplit("/", 1)[-1].lower()]
    if len(models) == 1:
        return models[0]
    if not models:
        raise HubError("not_found", repository, f"{repository} has no .gguf file. Pull its config.json.")
    more = f" and {len(models) - SHOWN_FILES} more" if len(models) > SHOWN_FILES else ""
    shown = ", ".join(models[:SHOWN_FILES])
    raise HubError("bad_id", repository, f"{repository} has {len(models)} .gguf files: name one of {shown}{more}.")


def _pull(repository: str, filename: str, revision: str | None, timeout: float, endpoint: str | None) -> PulledHeader:
    ends_at = time.monotonic() + 3 * timeout
    about = get_hf_file_metadata(
        hf_hub_url(repository, filename, revision=revision, endpoint=endpoint), token=gate.token(), timeout=timeout,
        endpoint=endpoint,
    )  # fmt: skip
    if about.commit_hash is None:
        raise HubError(
            "server_error", repository, f"{host_of(endpoint)} does not answer like the Hub. Check HF_ENDPOINT."
        )
    url = hf_hub_url(repository, filename, revision=about.commit_hash, endpoint=endpoint)
    held = bytearray()

    def read_start(count: int) -> bytes:
        most = count if about.size is None else min(count, about.size)
        if len(held) < most:
            held.extend(answers.read_range(url, repository, len(held), most, timeout=timeout, ends_at=ends_at))
        return bytes(held)

    try:
        metadata = metadata_of(read_start, file_bytes=about.size)
    except UnsupportedConfig as error:
        raise HubError("bad_json", repository, f"{filename} of {repository} cannot be read: {error}") from error
    return PulledHeader(
        repository=repository,
        filename=filename,
        commit=about.commit_hash,
        file_bytes=about.size,
        read_bytes=len(held),
        metadata=metadata,
    )
