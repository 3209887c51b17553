"""What a server's pages take for one request of a hybrid model: the example of the lesson on paging."""

from dataclasses import dataclass
from functools import lru_cache

from core.engines.class_names import named_class
from core.engines.face import plan_cache
from core.engines.plan import EnginePlan
from core.models.registry import load_registry
from core.models.spec import read_config

MODEL = "Qwen3-Next 80B-A3B"
SHORT = 512
LENGTHS = (512, 4_096, 32_768)
BYTES = 2


@dataclass(frozen=True, kw_only=True)
class Taken:
    """vLLM's plan for one request, and the bytes of its keys and values."""

    plan: EnginePlan
    payload_bytes: int

    @property
    def times(self) -> float:
        """Bytes taken over keys and values."""
        return (self.plan.request_bytes or 0) / self.payload_bytes


@lru_cache(maxsize=16)
def taken(context_length: int) -> Taken:
    """The example at that length. Raises ValueError for a length that is none."""
    if not 1 <= context_length <= 1_000_000:
        raise ValueError(f"the request's length is {context_length!r}: give 1 to 1,000,000 tokens.")
    spec = named_class(read_config(next(model.config for model in load_registry() if model.name == MODEL)))
    return Taken(
        plan=plan_cache(spec, engine="vllm", context_length=context_length),
        payload_bytes=int(spec.kv_cache_bytes(context_length=context_length, bytes_per_element=BYTES)),
    )
