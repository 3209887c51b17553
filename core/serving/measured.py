"""What a server itself had left for its cache, in place of what the inputs would leave."""

from dataclasses import dataclass

from core.errors import require_whole

MEASURED = "By the server's log: its share less weights less what it left for the cache. Stays while the job changes."


@dataclass(frozen=True, kw_only=True)
class MeasuredMemory:
    """Bytes of one accelerator by a server's log (core.serving.calibrated makes one for a job).

    cache_bytes   left for the cache when it was measured
    beside_bytes  kept for all else but weights and cache: what activations, graphs and the rest of that server took
    beyond_bytes  by how much the log leaves more than the inputs do; the budget is larger by that
    """

    cache_bytes: int
    beside_bytes: int
    beyond_bytes: int = 0

    def __post_init__(self) -> None:
        for name in ("cache_bytes", "beside_bytes", "beyond_bytes"):
            require_whole(name, getattr(self, name), 0, 2**60)
