"""How many bytes a repository's safetensors files hold, without downloading them.

A file opens with a JSON header that says each tensor's dtype and place. The Hub sums elements by dtype, which are bytes
where nothing is packed; for packed integers (GPTQ, MXFP4, nf4) it counts what they unpack to, so the headers
themselves are read by ranged requests, 100 kB or the header's own length of each file.
"""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

import httpx2
from huggingface_hub import HfApi
from huggingface_hub.errors import (
    HfHubHTTPError,
    NotASafetensorsRepoError,
    OfflineModeIsEnabled,
    SafetensorsParsingError,
)

from core.models.hub.errors import hub_error
from core.models.hub.pulls import HubError, repository_id

BITS = {
    "F64": 64, "F32": 32, "F16": 16, "BF16": 16, "F8_E4M3": 8, "F8_E5M2": 8, "F8_E8M0": 8, "I64": 64, "I32": 32,
    "I16": 16, "I8": 8, "U64": 64, "U32": 32, "U16": 16, "U8": 8, "BOOL": 8,
}  # fmt: skip
MAX_FILES = 400
AT_ONCE = 8


def plain_bytes(by_dtype: Mapping[str, int]) -> int | None:
    """Bytes of elements by dtype; None where some are packed or of a dtype that is not known, or none are there."""
    packed = any(dtype.upper().startswith(("I", "U")) or dtype.upper() not in BITS for dtype in by_dtype)
    if packed or not by_dtype:
        return None
    return sum(number * BITS[dtype.upper()] for dtype, number in by_dtype.items()) // 8


def header_bytes(repository: str, revision: str, *, timeout: float, endpoint: str | None = None) -> int:
    """Bytes of all tensors by the headers of model*.safetensors at that revision. Raises HubError."""
    asked = repository_id(repository)
    api = HfApi(endpoint=endpoint)
    try:
        info = api.model_info(asked, revision=revision, timeout=timeout)
        names = [file.rfilename for file in info.siblings or [] if _is_weights(file.rfilename)]
        if not 0 < len(names) <= MAX_FILES:
            raise HubError(
                "not_found", asked, f"{asked} holds {len(names)} safetensors files: their headers say no size."
            )
        with ThreadPoolExecutor(max_workers=AT_ONCE) as pool:
            read = pool.map(
                lambda name: api.parse_safetensors_file_metadata(asked, name, revision=revision, timeout=timeout), names
            )
            headers = list(read)
    except (HfHubHTTPError, httpx2.HTTPError, OfflineModeIsEnabled, ValueError) as error:
        raise hub_error(error, asked, "weights", endpoint) from error
    # a header that is no object of tensors fails inside of huggingface_hub in ways of its own
    except (SafetensorsParsingError, NotASafetensorsRepoError, AttributeError, KeyError, TypeError) as error:
        raise HubError("not_found", asked, f"A safetensors header of {asked} cannot be read.") from error
    places = [tensor.data_offsets for header in headers for tensor in header.tensors.values()]
    return sum(end - start for start, end in places)


def _is_weights(name: str) -> bool:
    """model.safetensors or model-00001-of-00002.safetensors at the top, not an adapter or another copy."""
    return name.startswith("model") and name.endswith(".safetensors") and "/" not in name
