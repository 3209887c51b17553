"""The payload as an engine: no page, no padding, the least that the attention pattern needs."""

from typing import Any

from core.engines.plan import EngineError, EnginePlan
from core.models.spec import ModelSpec

VERSION = "payload"
MOST = 2**60
KEYS = ("context_length", "batch_size", "available_bytes", "cache_bits")


def translated(common: dict[str, Any]) -> dict[str, Any]:
    """The common job as it is; the payload of one copy of the model does not depend on its ranks."""
    return {key: value for key, value in common.items() if key != "tensor_parallel"}


def plan(spec: ModelSpec, **job: Any) -> EnginePlan:
    """cache_bytes + state_bytes of one request; fits asks for batch_size of them. Raises EngineError."""
    for key in job:
        if key not in KEYS:
            raise EngineError(f"payload has no setting {key!r}: it takes {', '.join(KEYS)}. Leave {key} out.")
    context, batch = job.get("context_length", 1), job.get("batch_size", 1)
    bits, memory = job.get("cache_bits", 16), job.get("available_bytes")
    for name, value in (("context_length", context), ("batch_size", batch), ("cache_bits", bits)):
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= MOST:
            raise EngineError(f"{name} is {str(value)[:40]}: it has to be above 0. Give a number up to {MOST:,}.")
    request = spec.cache_bytes(context_length=context, bytes_per_element=bits / 8) + spec.state_bytes()
    return EnginePlan(
        engine="payload",
        version=VERSION,
        request_bytes=request,
        fits=None if memory is None else request * batch <= memory,
        max_concurrency=None if memory is None or not request else memory / request,
    )
