"""What a Hub answers, read with bounds: bytes, time and redirects, and of JSON its depth and number of values.

A read stays with the host that was asked. Only a range of a large file may be led, once and without the token, to a
host that stores such files: the Hub's own (their names end on STORAGE) or one named in HEADROOM_STORAGE_HOSTS.
"""

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote, urljoin, urlsplit

import httpx2  # the HTTP client that huggingface_hub itself is built on
from huggingface_hub import constants, get_session
from huggingface_hub.utils import build_hf_headers, hf_raise_for_status  # type: ignore[attr-defined]  # no __all__

from core.models.hub import gate
from core.models.hub.errors import host_of
from core.models.hub.pulls import HubError, too_large
from core.models.rules.facts import UnsupportedConfig
from core.models.rules.file_bytes import json_object

STORAGE = (".huggingface.co", ".hf.co")  # cdn-lfs.huggingface.co, cas-bridge.xethub.hf.co, ...
STORAGE_HOSTS = "HEADROOM_STORAGE_HOSTS"
MAX_REDIRECTS = 5
MAX_INFO_BYTES, MAX_INFO_VALUES = 8 * 2**20, 200_000  # ten thousand files are said in 1 MiB


def read(url: str, repository: str, what: str, *, timeout: float, ends_at: float, max_bytes: int) -> bytes:
    """The body of url. Raises HubError (too_large) where it has more bytes, and what huggingface_hub raises."""
    body = bytearray()
    with _asked(url, repository, {}, timeout, to_storage=False) as response:
        for chunk in _chunks(response, ends_at):
            body += chunk
            if len(body) > max_bytes:
                raise too_large(repository, what, max_bytes)
    return bytes(body)


def read_range(url: str, repository: str, start: int, end: int, *, timeout: float, ends_at: float) -> bytes:
    """Bytes start to end - 1, or those that are there. A host that ignores the range is read to `end` and left."""
    body = bytearray()
    with _asked(url, repository, {"Range": f"bytes={start}-{end - 1}"}, timeout, to_storage=True) as response:
        skip = 0 if response.status_code == httpx2.codes.PARTIAL_CONTENT else start
        for chunk in _chunks(response, ends_at):
            body += chunk
            if len(body) >= skip + end - start:
                break
    return bytes(body[skip : skip + end - start])


def model_info(
    repository: str, *, timeout: float, endpoint: str | None, revision: str | None = None, expand: str | None = None
) -> dict[str, Any]:
    """What the Hub's API says of a repository, as it says it: a caller checks each value. Raises HubError."""
    at = "" if revision is None else f"/revision/{quote(revision, safe='')}"
    asked = "" if expand is None else f"?expand={expand}"
    url = f"{endpoint or constants.ENDPOINT}/api/models/{repository}{at}{asked}"
    ends_at = time.monotonic() + 3 * timeout
    body = read(url, repository, "What the Hub says", timeout=timeout, ends_at=ends_at, max_bytes=MAX_INFO_BYTES)
    return answered_object(body, repository, "What the Hub says", MAX_INFO_BYTES, MAX_INFO_VALUES)


def answered_object(body: bytes, repository: str, what: str, max_bytes: int, max_values: int) -> dict[str, Any]:
    """The JSON object of an answer. Raises HubError (bad_json) with what it is instead."""
    try:
        return json_object(body, max_bytes=max_bytes, max_values=max_values, advice="Check HF_ENDPOINT.")
    except UnsupportedConfig as error:
        raise HubError("bad_json", repository, f"{what} of {repository} cannot be read: {error}") from error


def file_names(info: Mapping[str, Any]) -> list[str]:
    """The names in a repository; entries that are none are passed over."""
    listed = info.get("siblings")
    entries = listed if isinstance(listed, list) else []
    names = [entry.get("rfilename") for entry in entries if isinstance(entry, dict)]
    return [name for name in names if isinstance(name, str)]


def _chunks(response: httpx2.Response, ends_at: float) -> Iterator[bytes]:
    """As they were sent: a body of zeros packed would unpack before it is counted."""
    for chunk in response.iter_raw():
        yield chunk
        if time.monotonic() > ends_at:
            raise httpx2.ReadTimeout("the body came too slowly")


@contextmanager
def _asked(
    url: str, repository: str, more: Mapping[str, str], timeout: float, *, to_storage: bool
) -> Iterator[httpx2.Response]:
    headers = {**build_hf_headers(token=gate.token()), "Accept-Encoding": "identity", **more}
    asked, may_leave = urlsplit(url), to_storage
    for _ in range(MAX_REDIRECTS + 1):
        with get_session().stream("GET", url, headers=headers, timeout=timeout, follow_redirects=False) as response:
            if not response.has_redirect_location:
                _check(response, repository)
                yield response
                return
            url = urljoin(url, response.headers["Location"])
        target = urlsplit(url)
        if (target.scheme, target.netloc) != (asked.scheme, asked.netloc):
            if not may_leave or not _stores(url):
                raise _elsewhere(repository, asked.netloc, target.hostname, may_be_named=to_storage)
            headers.pop("authorization", None)
            asked, may_leave = target, False
    raise httpx2.TooManyRedirects("round in a circle")


def _check(response: httpx2.Response, repository: str) -> None:
    """Raises for a refusal by its headers, its body unread, and for a body that came packed."""
    shown = {name: value for name, value in response.headers.items() if name.lower() != "content-encoding"}
    hf_raise_for_status(httpx2.Response(response.status_code, headers=shown, content=b"", request=response.request))
    if response.headers.get("Content-Encoding", "identity") != "identity":
        raise HubError("server_error", repository, f"The answer for {repository} is packed, though asked plain.")


def _stores(url: str) -> bool:
    target = urlsplit(url)
    named = [host.strip() for host in os.environ.get(STORAGE_HOSTS, "").lower().split(",") if host.strip()]
    if target.netloc.lower() in named:
        return True
    return target.scheme == "https" and target.port in (None, 443) and (target.hostname or "").endswith(STORAGE)


def _elsewhere(repository: str, host: str, other: str | None, *, may_be_named: bool) -> HubError:
    told = f"{host_of(host)} sends {repository} to {other or 'no host'}, which was not followed"
    if may_be_named:
        helps = f"name it in {STORAGE_HOSTS} if it stores the Hub's files"
    else:  # the host that answers for a name also says what is in its file
        helps = "a config.json and what the Hub says are read from the Hub alone. Download the file and give it itself"
    return HubError("server_error", repository, f"{told}: {helps}.")
