"""A cache beyond the accelerator: in the host's memory or on NVMe, bound by the link that brings it back.

    requests kept = floor(bytes kept outside / bytes of one request)
    seconds to bring one back >= bytes of one request / bandwidth of the link
    seconds to work it out again >= its prefill bound (prefill.py)

What lies outside is the cache of requests that are not being decoded: vLLM's offloading connector holds whole blocks
there (core/engines/vllm/offload.py), and loads them before a request goes on. A running request's cache stays on the
accelerator, so the requests that decode at once do not change.
"""

from dataclasses import dataclass

from core.engines.plan import OffloadedRequest
from core.errors import SizingError, require_number

TIERS = {  # 16 or 32 GT/s (PCIe 4.0, 5.0) x lanes / 8 bits, one direction, before coding and protocol take of it
    "pcie4": ("host memory over PCIe 4.0 x16", 32e9),
    "pcie5": ("host memory over PCIe 5.0 x16", 64e9),
    "nvme4": ("one NVMe drive on PCIe 4.0 x4", 8e9),
    "nvme5": ("one NVMe drive on PCIe 5.0 x4", 16e9),
}


@dataclass(frozen=True, kw_only=True)
class Offload:
    """Bytes for the cache of one accelerator outside it, and the bandwidth of the link. Raises SizingError."""

    num_bytes: int
    bandwidth_bytes_per_s: float

    def __post_init__(self) -> None:
        require_number("offload bytes", self.num_bytes, 1, 1e16)
        require_number("offload bandwidth, bytes a second", self.bandwidth_bytes_per_s, 1e6, 1e14)


@dataclass(frozen=True, kw_only=True)
class OffloadBound:
    """What an offload gives one job, per accelerator; recompute_seconds is None where no rate is known."""

    request_bytes: int
    requests_kept: int
    load_seconds: float
    recompute_seconds: float | None
    chunks_kept: int | None = None  # of a copy; None where no engine says in which pieces it keeps a cache
    chunks_of_a_request: int | None = None
    chunk_moves: int | None = None  # of a request kept so: its groups' own pages, without what pads a chunk

    @property
    def moved_bytes(self) -> int:
        """Of one request, what comes back over the link of one accelerator."""
        return self.request_bytes if self.chunk_moves is None else self.chunk_moves

    @property
    def pays(self) -> bool | None:
        """Whether bringing a request back is bound to less time than working it out again."""
        return None if self.recompute_seconds is None else self.load_seconds < self.recompute_seconds


def offload_bound(offload: Offload, request_bytes: int, recompute_seconds: float | None) -> OffloadBound:
    """The bound for requests of so many bytes on one accelerator. Raises SizingError where a request keeps nothing."""
    if request_bytes < 1:
        raise SizingError("One request keeps no bytes, so there is nothing to offload")
    return OffloadBound(
        request_bytes=request_bytes,
        requests_kept=int(offload.num_bytes // request_bytes),
        load_seconds=request_bytes / offload.bandwidth_bytes_per_s,
        recompute_seconds=recompute_seconds,
    )


def by_chunks(
    offload: Offload, kept: OffloadedRequest, ranks: int, chunk_bytes: int, recompute_seconds: float | None
) -> OffloadBound:
    """The bound where an engine keeps chunks: as many as lie in the bytes of all ranks of a copy together."""
    chunks = int(offload.num_bytes * ranks // chunk_bytes)
    return OffloadBound(
        request_bytes=-(-kept.chunks * chunk_bytes // ranks),
        requests_kept=chunks // kept.chunks,
        load_seconds=kept.moved_bytes / offload.bandwidth_bytes_per_s,
        recompute_seconds=recompute_seconds,
        chunks_kept=chunks,
        chunks_of_a_request=kept.chunks,
        chunk_moves=kept.moved_bytes,
    )


def tier(name: str) -> tuple[str, float]:
    """What a tier is, and its bandwidth. Raises SizingError for a name that is none."""
    if name not in TIERS:
        raise SizingError(f"offload tier is {name!r}: use one of {', '.join(TIERS)}, or give the bandwidth itself")
    return TIERS[name]
