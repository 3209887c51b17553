"""What the Hub refuses, and the sentence that says what to do about it.

Every failure of core.models.hub.client is a HubError: a kind for code, a sentence for people.
"""

import httpx2  # the HTTP client that huggingface_hub itself is built on
from huggingface_hub import constants, get_token
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from core.models.hub import gate
from core.models.hub.patience import BROKEN_OFF, retry_after_seconds
from core.models.hub.pulls import HubError


def hub_error(error: Exception, repository: str, filename: str, endpoint: str | None) -> HubError:
    """The sentence for what huggingface_hub or the network raised."""
    if isinstance(error, HfHubHTTPError):
        return _from_status(error, repository, filename)
    host = host_of(endpoint)
    if isinstance(error, httpx2.TimeoutException):
        return HubError("timeout", repository, f"{host} did not answer for {repository} in time. Try again.")
    if isinstance(error, OfflineModeIsEnabled):
        return HubError("offline", repository, "HF_HUB_OFFLINE is set, so nothing was asked. Unset it to pull.")
    if isinstance(error, httpx2.TooManyRedirects):
        return HubError("server_error", repository, f"{host} sends {repository} round in a circle. Check HF_ENDPOINT.")
    if isinstance(error, httpx2.ConnectError) and "CERTIFICATE" in str(error).upper():
        told = f"The certificate of {host} is not valid here. Check the clock, the proxy and HF_ENDPOINT."
        return HubError("offline", repository, told)
    if isinstance(error, (*BROKEN_OFF, ValueError)):
        return HubError("server_error", repository, f"The answer for {repository} broke off or is no JSON. Try again.")
    return HubError("offline", repository, f"{host} cannot be reached. Check the network, the proxy and HF_ENDPOINT.")


def _from_status(error: HfHubHTTPError, repository: str, filename: str) -> HubError:
    status = error.response.status_code
    page = f"https://huggingface.co/{repository}"
    if gate.is_shut() and (status == 403 or isinstance(error, GatedRepoError)):
        return HubError("gated", repository, f"{repository} is gated. {gate.SHUT}")
    if isinstance(error, GatedRepoError):
        sentence = (
            f"{repository} is gated. Accept its conditions at {page}, then start Headroom with that account's HF_TOKEN."
        )
        return HubError("gated", repository, sentence)
    if isinstance(error, RevisionNotFoundError):
        return HubError("not_found", repository, f"{repository} has no such revision. Leave it out to read main.")
    if isinstance(error, RepositoryNotFoundError):
        private = "is not shown here" if gate.is_shut() else "needs an HF_TOKEN that sees it"
        sentence = f"The Hub shows no {repository}. Check the spelling; a private one {private}."
        return HubError("not_found", repository, sentence)
    if status == 401:
        return HubError("bad_token", repository, "The Hub does not accept this HF_TOKEN. Renew it, or unset it.")
    if status == 403 and get_token() is None:
        sentence = (
            f"The Hub refuses {repository} to whoever sends no HF_TOKEN. Ask for access at {page}, then start Headroom "
            "with that account's HF_TOKEN."
        )
        return HubError("gated", repository, sentence)
    if status == 403:
        sentence = f"The Hub refuses {repository} to this HF_TOKEN. Ask for access at {page}, or use another token."
        return HubError("gated", repository, sentence)
    if status == 404:
        return HubError("not_found", repository, f"The Hub has no {filename} for {repository}. Check the spelling.")
    if status == 429:
        wait = retry_after_seconds(error.response.headers)
        when = "in a few minutes" if wait is None else f"in {wait:.0f} seconds"
        raised = "" if gate.is_shut() else "; an HF_TOKEN raises the limit"
        sentence = f"The Hub takes no more requests for now. Try again {when}{raised}."
        return HubError("rate_limited", repository, sentence)
    return HubError("server_error", repository, f"The Hub answered {status} for {repository}. Try again later.")


def host_of(endpoint: str | None) -> str:
    return (endpoint or constants.ENDPOINT).split("://")[-1].split("@")[-1]  # never a user or password
