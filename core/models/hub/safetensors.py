"""How many bytes a repository's safetensors files hold, without downloading them.

A file opens with a JSON header that says each tensor's dtype and place. The Hub sums elements by dtype, which are bytes
where nothing is packed; for packed integers (GPTQ, MXFP4, nf4) it counts what they unpack to, so the headers
themselves are read by ranged requests, 100 kB or the header's own length of each file.
"""

import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import httpx2
from huggingface_hub import hf_hub_url
from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

from core.models.hub import answers
from core.models.hub.errors import hub_error
from core.models.hub.pulls import HubError, repository_id, too_large

BITS = {
    "F64": 64, "F32": 32, "F16": 16, "BF16": 16, "F8_E4M3": 8, "F8_E5M2": 8, "F8_E8M0": 8, "I64": 64, "I32": 32,
    "I16": 16, "I8": 8, "U64": 64, "U32": 32, "U16": 16, "U8": 8, "BOOL": 8,
}  # fmt: skip
MAX_FILES = 400
AT_ONCE = 8
FIRST_BYTES = 100_001  # holds nearly every header: one request a file
MAX_HEADER_BYTES = 8 * 2**20  # some 60,000 tensors; a shard of a large model holds some hundred
MAX_HEADER_VALUES = 1_000_000
MAX_FILE_BYTES = 2**50


def plain_bytes(by_dtype: Mapping[str, int]) -> int | None:
    """Bytes of elements by dtype; None where some are packed or of a dtype that is not known, or none are there."""
    packed = any(dtype.upper().startswith(("I", "U")) or dtype.upper() not in BITS for dtype in by_dtype)
    if packed or not by_dtype:
        return None
    return sum(number * BITS[dtype.upper()] for dtype, number in by_dtype.items()) // 8


def header_bytes(repository: str, revision: str, *, timeout: float, endpoint: str | None = None) -> int:
    """Bytes of all tensors by the headers of model*.safetensors at that revision. Raises HubError."""
    asked = repository_id(repository)
    try:
        info = answers.model_info(asked, revision=revision, timeout=timeout, endpoint=endpoint)
        names = [name for name in answers.file_names(info) if _is_weights(name)]
        if not 0 < len(names) <= MAX_FILES:
            raise HubError(
                "not_found", asked, f"{asked} holds {len(names)} safetensors files: their headers say no size."
            )
        read = partial(_header, asked, revision, timeout, endpoint)
        with ThreadPoolExecutor(max_workers=AT_ONCE) as pool:  # read together, parsed one at a time
            return sum(
                _tensor_bytes(body, asked, name) for name, body in zip(names, pool.map(read, names), strict=True)
            )
    except (HfHubHTTPError, httpx2.HTTPError, httpx2.InvalidURL, OfflineModeIsEnabled) as error:
        raise hub_error(error, asked, "weights", endpoint) from error


def _header(repository: str, revision: str, timeout: float, endpoint: str | None, name: str) -> bytes:
    """The JSON at a file's start, behind its length in 8 bytes (the format's README, "Format")."""
    ends_at = time.monotonic() + 3 * timeout
    url = hf_hub_url(repository, name, revision=revision, endpoint=endpoint)
    start = answers.read_range(url, repository, 0, FIRST_BYTES, timeout=timeout, ends_at=ends_at)
    length = int.from_bytes(start[:8], "little")
    if length > MAX_HEADER_BYTES:
        raise too_large(repository, f"The header of {name}", MAX_HEADER_BYTES)
    if len(start) < 8 + length:
        start += answers.read_range(url, repository, len(start), 8 + length, timeout=timeout, ends_at=ends_at)
    if len(start) < max(8 + length, 10):
        raise HubError("bad_json", repository, f"The header of {name} of {repository} ends too early.")
    return start[8 : 8 + length]


def _tensor_bytes(header: bytes, repository: str, name: str) -> int:
    what = f"The header of {name}"
    entries = answers.answered_object(header, repository, what, MAX_HEADER_BYTES, MAX_HEADER_VALUES)
    tensors = [entry for key, entry in entries.items() if key != "__metadata__"]
    sizes = [_place_bytes(entry.get("data_offsets")) if isinstance(entry, dict) else None for entry in tensors]
    known = [size for size in sizes if size is not None]
    if len(known) < len(sizes):
        raise HubError("bad_json", repository, f"{what} of {repository} holds a tensor without its place.")
    return sum(known)


def _place_bytes(place: object) -> int | None:
    """end - start of [start, end]; None where it is no place in a file."""
    if not isinstance(place, list) or len(place) != 2 or not all(type(value) is int for value in place):
        return None
    start, end = place
    return int(end - start) if 0 <= start <= end < MAX_FILE_BYTES else None


def _is_weights(name: str) -> bool:
    """model.safetensors or model-00001-of-00002.safetensors at the top, not an adapter or another copy."""
    return name.startswith("model") and name.endswith(".safetensors") and "/" not in name
