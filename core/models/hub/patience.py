"""Asking again where the Hub says that it may help, and not before it says.

A passing answer (429, 500, 502, 503, 504) or a broken connection is asked again twice, after a wait that doubles with
some chance in it, or after the Retry-After of the answer (RFC 9110, 10.2.3: seconds or a date). A wait longer than
the caller's is not waited for: the repository is held until then, and asking it meanwhile is answered at once.
"""

import random
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TypeVar

import httpx2
from huggingface_hub.errors import HfHubHTTPError

from core.models.hub.pulls import HubError

Answer = TypeVar("Answer")
PASSING = frozenset({429, 500, 502, 503, 504})
BROKEN_OFF = (httpx2.RemoteProtocolError, httpx2.ReadError, httpx2.WriteError, httpx2.CloseError)  # once connected
ATTEMPTS = 3
MAX_HELD = 1_000
_held_until: dict[tuple[str, str], float] = {}  # by endpoint and repository, in time.monotonic()


def retry_after_seconds(headers: Mapping[str, str]) -> float | None:
    """The wait that an answer asks for; None where it says none that can be read."""
    said = headers.get("Retry-After", "").strip()
    if said.isdecimal():
        return float(said[:9])
    try:
        return max(0.0, (parsedate_to_datetime(said) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError, OverflowError):  # no date, or one without a zone
        return None


def patiently(ask: Callable[[], Answer], endpoint: str, repository: str, *, longest_wait_seconds: float) -> Answer:
    """ask()'s answer, asked up to ATTEMPTS times. Raises its last error, or HubError (rate_limited) while held."""
    _refuse_while_held(endpoint, repository)
    for attempt in range(ATTEMPTS):
        try:
            return ask()
        except (HfHubHTTPError, *BROKEN_OFF) as error:
            wait = _wait_seconds(error, attempt, longest_wait_seconds)
            if wait is None or attempt == ATTEMPTS - 1:
                raise
            if wait > longest_wait_seconds:
                _hold(endpoint, repository, wait)
                raise
            time.sleep(wait)
    raise AssertionError  # the last attempt returned or raised


def _wait_seconds(error: Exception, attempt: int, longest_wait_seconds: float) -> float | None:
    """None where asking again cannot help."""
    if isinstance(error, HfHubHTTPError):
        if error.response.status_code not in PASSING:
            return None
        said = retry_after_seconds(error.response.headers)
        if said is not None:
            return said
    doubled: float = longest_wait_seconds / 20 * 2**attempt
    return doubled * random.uniform(0.75, 1.25)


def _hold(endpoint: str, repository: str, seconds: float) -> None:
    while len(_held_until) >= MAX_HELD:
        del _held_until[next(iter(_held_until))]
    _held_until[endpoint, repository] = time.monotonic() + seconds


def _refuse_while_held(endpoint: str, repository: str) -> None:
    left = _held_until.get((endpoint, repository), 0.0) - time.monotonic()
    if left > 0:
        sentence = f"The Hub asked not to be asked for {repository} before {left:.0f} seconds from now. Wait for that."
        raise HubError("rate_limited", repository, sentence)
