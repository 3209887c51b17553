"""The only network code: config.json and parameter counts from the Hugging Face Hub.

Built on huggingface_hub, so HF_TOKEN, HF_HOME, HF_ENDPOINT and HF_HUB_OFFLINE mean what they mean everywhere. One pull
asks for the file's metadata (commit, ETag, size), takes the text from the cache when the ETag is known there, and else
reads it, never more than MAX_CONFIG_BYTES and never longer than the timeout allows. Nothing is executed: remote code
is not even downloaded. Every failure is a HubError with a kind and a sentence that says what to do.
"""

import hashlib
import os
import queue
import re
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import httpx2  # the HTTP client that huggingface_hub itself is built on
from huggingface_hub import constants, get_hf_file_metadata, hf_hub_url, try_to_load_from_cache
from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled, RemoteEntryNotFoundError

from core.models.hub import answers, gate, last_known
from core.models.hub.errors import host_of, hub_error
from core.models.hub.patience import patiently
from core.models.hub.pulls import (
    FILENAMES,
    HubError,
    PulledConfig,
    PullRequest,
    PullResult,
    repository_at,
    repository_id,
    too_large,
)
from core.models.rules.facts import UnsupportedConfig
from core.models.rules.file_bytes import config_text, load_config

MAX_CONFIG_BYTES = 4 * 2**20  # the largest config.json on the Hub that we know of has 0.3 MB
MAX_PARAMETERS = 10**16
TIMEOUT_SECONDS = 10.0
TOTAL_SECONDS = 60.0
# Headroom sends no telemetry. This also spares huggingface_hub's request for a list of harness names, which would go
# out before ours and outside of our timeout.
constants.HF_HUB_DISABLE_TELEMETRY = True
_REVISION = re.compile(r"[A-Za-z0-9][\w.\-/]{0,99}", re.ASCII)


@dataclass(frozen=True, kw_only=True)
class ParameterCount:
    """Elements of the safetensors files as the Hub counts them; packed formats (int4 in I32) count packed elements."""

    total: int
    by_dtype: dict[str, int]


class Offline:
    """Whether the Hub was out of reach once among pulls made together: then the others do not try it too."""

    def __init__(self) -> None:
        self.sentence: str | None = None


def pull_config(
    repository: str,
    revision: str | None = None,
    *,
    mirror: str | None = None,
    timeout: float = TIMEOUT_SECONDS,
    endpoint: str | None = None,
    offline: Offline | None = None,
) -> PulledConfig:
    """config.json of a repository, else its params.json; from mirror where the repository is gated.

    repository may be the address of its page, which names the revision where none is given.
    timeout is in seconds, for each answer and, three times over, for the whole of one file. endpoint overrides
    HF_ENDPOINT. Where the Hub cannot be asked now, the file that it gave last is returned, with stale_because. offline
    is shared by pulls made together. Raises HubError.
    """
    met = offline or Offline()
    asked, at = repository_at(repository)
    revision = at if revision is None else revision
    if revision is not None and (_REVISION.fullmatch(revision) is None or ".." in revision):
        raise HubError("bad_id", asked, f"'{revision[:80]}' is not a revision. Write a branch, a tag or a commit.")
    try:
        if met.sentence is not None:
            raise HubError("offline", asked, met.sentence)
        pulled = _pull_through_gate(asked, revision, mirror, timeout, endpoint)
    except HubError as error:
        met.sentence = str(error) if error.kind == "offline" else met.sentence
        known = _last_known(asked, revision, endpoint) if error.kind in last_known.PASSING else None
        if known is None:
            raise
        return replace(known, stale_because=str(error))
    last_known.keep(pulled, revision, endpoint)
    return pulled


def _pull_through_gate(
    asked: str, revision: str | None, mirror: str | None, timeout: float, endpoint: str | None
) -> PulledConfig:
    try:
        return _pull_first_of(FILENAMES, asked, asked, revision, timeout, endpoint)
    except HubError as gate:
        if gate.kind != "gated" or mirror is None:
            raise
        try:
            return _pull_first_of(FILENAMES, asked, repository_id(mirror), None, timeout, endpoint)
        except HubError as error:
            raise HubError("gated", asked, f"{gate} Its mirror {mirror} gave nothing either: {error}") from error


def _last_known(asked: str, revision: str | None, endpoint: str | None) -> PulledConfig | None:
    """What the Hub gave last, if its bytes are still on disk and still read; else huggingface_hub's own copy."""
    known = last_known.find(asked, revision, endpoint)
    body = _cached(known.repository, known.filename, known.commit, known.etag) if known is not None else None
    if known is None or body is None:
        return _of_shared_cache(asked, revision)
    try:
        config, text = load_config(body), config_text(body)
    except UnsupportedConfig:
        return None
    return PulledConfig(
        requested=asked, text=text, config=config, from_cache=True, repository=known.repository,
        filename=known.filename, commit=known.commit, etag=known.etag, pulled_at=known.pulled_at,
    )  # fmt: skip


def _of_shared_cache(asked: str, revision: str | None) -> PulledConfig | None:
    """The file of the commit that huggingface_hub's own cache (HF_HOME/hub) has for this revision.

    Not on a server that others reach: whose token read it the cache does not say.
    """
    for filename in () if gate.is_shut() else FILENAMES:
        path = try_to_load_from_cache(asked, filename, cache_dir=constants.HF_HUB_CACHE, revision=revision)
        if not isinstance(path, str):
            continue
        file = Path(path)
        try:
            if file.stat().st_size > MAX_CONFIG_BYTES:
                return None
            body, at = file.read_bytes(), datetime.fromtimestamp(file.stat().st_mtime, UTC)
            config, text = load_config(body), config_text(body)
        except (OSError, UnsupportedConfig):
            return None
        return PulledConfig(
            requested=asked, text=text, config=config, from_cache=True, repository=asked, filename=filename,
            commit=file.parent.name, etag="", pulled_at=at,
        )  # fmt: skip
    return None


def kept_repositories() -> list[str]:
    """The names that pull_config answers while the Hub cannot be asked: what it kept, and huggingface_hub's cache.

    None on a server that others reach: what one visitor asked for is not told to the next.
    """
    if gate.is_shut():
        return []
    folders = (path.name for path in Path(constants.HF_HUB_CACHE).glob("models--*"))
    shared = {name.removeprefix("models--").replace("--", "/") for name in folders}
    return sorted(name for name in {*last_known.names(), *shared} if _is_kept(name))


def _is_kept(name: str) -> bool:
    try:
        return _last_known(name, None, None) is not None
    except ValueError:  # a folder whose name is no repository's
        return False


def pull_many(
    requests: Sequence[PullRequest],
    *,
    timeout: float = TIMEOUT_SECONDS,
    total_seconds: float = TOTAL_SECONDS,
    workers: int = 8,
    endpoint: str | None = None,
) -> Iterator[PullResult]:
    """Results in the order in which they arrive, pulled together; every request gets exactly one.

    A Hub that is out of reach is found so by the pulls under way, at most `workers`, and not tried for the others.
    After total_seconds whatever is missing is yielded as a timeout, however long its host stays silent: the threads
    are daemons, so neither the caller nor the end of the process waits for them.
    """
    waiting: queue.SimpleQueue[PullRequest] = queue.SimpleQueue()
    for request in requests:
        waiting.put(request)
    done: queue.SimpleQueue[PullResult] = queue.SimpleQueue()
    stop, offline = threading.Event(), Offline()

    def pull(request: PullRequest) -> PulledConfig:
        return pull_config(
            request.repository, request.revision, mirror=request.mirror, timeout=timeout, endpoint=endpoint,
            offline=offline,
        )  # fmt: skip

    for _ in range(min(workers, len(requests))):
        threading.Thread(target=_work, args=(waiting, done, stop, pull), daemon=True).start()
    try:
        yield from _collect(requests, done, ends_at=time.monotonic() + total_seconds, total_seconds=total_seconds)
    finally:
        stop.set()


def safetensors_parameter_count(
    repository: str, *, revision: str | None = None, timeout: float = TIMEOUT_SECONDS, endpoint: str | None = None
) -> ParameterCount:
    """Exact element counts from the Hub's own safetensors metadata. Raises HubError."""
    asked = repository_id(repository)
    try:
        info = answers.model_info(asked, revision=revision, timeout=timeout, endpoint=endpoint, expand="safetensors")
    except (HfHubHTTPError, httpx2.HTTPError, httpx2.InvalidURL, OfflineModeIsEnabled) as error:
        raise hub_error(error, asked, "metadata", endpoint) from error
    said = info.get("safetensors")
    if not isinstance(said, dict):
        raise HubError(
            "not_found", asked, f"The Hub has no safetensors metadata for {asked}: it does not say its size."
        )
    by_dtype: Any = said.get("parameters")
    total: Any = said.get("total")
    if not isinstance(by_dtype, dict) or not all(map(_is_count, (total, *by_dtype.values()))):
        raise HubError("bad_json", asked, f"The Hub's safetensors metadata for {asked} are no counts.")
    return ParameterCount(total=total, by_dtype=by_dtype)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < MAX_PARAMETERS


def _work(
    waiting: "queue.SimpleQueue[PullRequest]",
    done: "queue.SimpleQueue[PullResult]",
    stop: threading.Event,
    pull: Callable[[PullRequest], PulledConfig],
) -> None:
    while not stop.is_set():
        try:
            request = waiting.get_nowait()
        except queue.Empty:
            return
        try:
            done.put(PullResult(request=request, pulled=pull(request)))
        except HubError as error:
            done.put(PullResult(request=request, error=error))


def _collect(
    requests: Sequence[PullRequest], done: "queue.SimpleQueue[PullResult]", *, ends_at: float, total_seconds: float
) -> Iterator[PullResult]:
    missing = {id(request): request for request in requests}
    while missing:
        try:
            result = done.get(timeout=max(0.0, ends_at - time.monotonic()))
        except queue.Empty:
            break
        del missing[id(result.request)]
        yield result
    for request in missing.values():
        sentence = f"No answer for {request.repository} within {total_seconds:g} seconds. Try again."
        yield PullResult(request=request, error=HubError("timeout", request.repository, sentence))


def _pull_first_of(
    filenames: tuple[str, ...], asked: str, repository: str, revision: str | None, timeout: float, endpoint: str | None
) -> PulledConfig:
    for filename in filenames:
        ask = partial(_pull_file, filename, asked, repository, revision, timeout, endpoint)
        try:
            return patiently(ask, endpoint or constants.ENDPOINT, repository, longest_wait_seconds=timeout)
        except RemoteEntryNotFoundError:
            continue
        except (HfHubHTTPError, httpx2.HTTPError, httpx2.InvalidURL, OfflineModeIsEnabled) as error:
            raise hub_error(error, repository, filename, endpoint) from error
    raise HubError(
        "not_found",
        repository,
        f"{repository} has no {' and no '.join(filenames)}. Adapters and GGUF files lack one: pull the base model.",
    )


def _pull_file(
    filename: str, asked: str, repository: str, revision: str | None, timeout: float, endpoint: str | None
) -> PulledConfig:
    ends_at = time.monotonic() + 3 * timeout
    url = hf_hub_url(repository, filename, revision=revision, endpoint=endpoint)
    metadata = get_hf_file_metadata(url, token=gate.token(), timeout=timeout, endpoint=endpoint)
    if metadata.commit_hash is None or metadata.etag is None:
        raise HubError(
            "server_error", repository, f"{host_of(endpoint)} does not answer like the Hub. Check HF_ENDPOINT."
        )
    if metadata.size is not None and metadata.size > MAX_CONFIG_BYTES:
        raise too_large(repository, filename, MAX_CONFIG_BYTES)
    cached = _cached(repository, filename, metadata.commit_hash, metadata.etag)
    if cached is None:
        pinned = hf_hub_url(repository, filename, revision=metadata.commit_hash, endpoint=endpoint)
        body = answers.read(pinned, repository, filename, timeout=timeout, ends_at=ends_at, max_bytes=MAX_CONFIG_BYTES)
    else:
        body = cached
    try:
        config = load_config(body)
        text = config_text(body)
    except UnsupportedConfig as error:
        raise HubError("bad_json", repository, f"{filename} of {repository} cannot be read: {error}") from error
    if cached is None:
        _store(repository, metadata.etag, body)
    return PulledConfig(
        requested=asked,
        repository=repository,
        filename=filename,
        text=text,
        config=config,
        commit=metadata.commit_hash,
        etag=metadata.etag,
        from_cache=cached is not None,
        pulled_at=datetime.now(UTC),
    )


def _cached(repository: str, filename: str, commit: str, etag: str) -> bytes | None:
    """What is on disk for this commit (huggingface_hub's own cache) or this ETag (ours, in HF_HOME/assets)."""
    shared = try_to_load_from_cache(repository, filename, cache_dir=constants.HF_HUB_CACHE, revision=commit)
    paths = [Path(shared)] if isinstance(shared, str) else []
    for path in (*paths, _cache_file(repository, etag)):
        try:
            if path.stat().st_size <= MAX_CONFIG_BYTES:
                return path.read_bytes()
        except OSError:  # not there, or not ours to read: then it is read from the Hub
            continue
    return None


def _cache_file(repository: str, etag: str) -> Path:
    name = hashlib.sha256(f"{repository}\n{etag}".encode()).hexdigest()
    return Path(constants.HF_ASSETS_CACHE) / "headroom" / "configs" / name


def _store(repository: str, etag: str, body: bytes) -> None:
    """Written beside and renamed, so that no reader meets half a file. A read-only HF_HOME only costs the next read."""
    target = _cache_file(repository, etag)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=target.parent, delete=False) as file:
            file.write(body)
        os.replace(file.name, target)
    except OSError:
        return
