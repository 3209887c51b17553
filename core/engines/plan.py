"""What every engine's plan says, and the one error of this package.

An engine's module holds its own rules, with no formula inherited from another's, and answers in these words. An
attribute that an engine does not have is None.
"""

from dataclasses import dataclass

from core.errors import SizingError
from core.models.notebook import html_table


class EngineError(SizingError):
    """The engine does not take this job: the message says which engine, which value, and what to do."""


@dataclass(frozen=True, kw_only=True)
class PlanNote:
    """One line that explains a plan: what is counted, with which numbers, and why it is more than the payload."""

    name: str  # 'block size', 'groups', 'request'
    formula: str  # 'ceil(context / block) blocks x page bytes x groups'
    numbers: str  # 'ceil(512 / 1,040) x 17,039,360 x 19'
    result: str  # '323,747,840 bytes'
    reason: str = ""  # why it is more than the payload; empty where it is not


@dataclass(frozen=True, kw_only=True)
class CacheGroup:
    """Layers that one pool or page table serves together (vLLM's groups, SGLang's pools, llama.cpp's caches)."""

    kind: str  # 'full attention', 'sliding window 1,024', 'state'
    num_layers: int  # layers that are in it
    padded_layers: int = 0  # places beyond those, which the group's equal size costs
    block_size: int | None = None  # tokens of a page
    page_bytes: int | None = None  # bytes of one page of the whole group
    pages_per_request: int | None = None  # pages that one request pins at most
    filled_bytes: int | None = None  # of these bytes, what its tokens and states fill


@dataclass(frozen=True, kw_only=True)
class OffloadedRequest:
    """What a tier outside the accelerators keeps of one request: so many chunks, each as large as a block of the
    pool."""

    chunks: int
    chunk_bytes: int  # of one rank, before they are laid side by side and rounded up to memory pages
    moved_bytes: int  # of one rank, that come back over its link
    same_on_every_rank: bool  # latents, which tensor-parallel ranks of one machine keep once for all


@dataclass(frozen=True, kw_only=True)
class EnginePlan:
    """What an engine takes on one rank for one job; attributes as each engine's log has them."""

    engine: str
    version: str  # the version that the rules state, 'vLLM 0.33.0'
    fits: bool | None = None  # None where no memory was given
    request_bytes: int | None = None  # vLLM: one request, states included; llama.cpp: the whole context of all slots
    block_size: int | None = None
    capacity_tokens: int | None = None
    max_concurrency: float | None = None
    bytes_per_token: float | None = None
    window_capacity_tokens: int | None = None
    state_slots: int | None = None
    slots_per_request: int | None = None
    max_running_requests: int | None = None
    offloaded: OffloadedRequest | None = None  # None where the engine's own offload is not stated
    shared_bytes: int | None = None  # of request_bytes, what requests with a shared prefix hold once together
    layer_bytes: tuple[int, ...] | None = None  # one number for each layer that holds a cache
    groups: tuple[CacheGroup, ...] = ()
    notes: tuple[PlanNote, ...] = ()

    def _repr_html_(self) -> str:
        told = ("fits", "request_bytes", "block_size", "capacity_tokens", "max_concurrency", "state_slots")
        return html_table(self.version, [(name, getattr(self, name)) for name in told])
