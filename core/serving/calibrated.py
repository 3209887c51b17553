"""A job whose memory is a machine's own: what its server logged as left for the cache is what the cache gets.

The server's share less weights less the logged memory is what that machine keeps for all else. It stays as measured
while the job changes, so another G, length or width is answered for that machine.
"""

from core.errors import SizingError, require_number
from core.serving.budget import budget_bytes
from core.serving.footprint import Footprint, footprints
from core.serving.job import ServingJob
from core.serving.measured import MeasuredMemory
from core.units import GIB

MOST_GIB = 2**20


def require_left_gib(name: str, gib: float, job: ServingJob) -> None:
    """Raises SizingError for memory left for a cache that is more than the job's accelerator has in all."""
    require_number(name, gib, 0, MOST_GIB)
    memory = job.device.memory_bytes
    if memory is not None and gib * GIB > memory:
        raise SizingError(
            f"{name} is {gib:,g}, and one {job.device.name} has {memory / GIB:,.2f}: choose the accelerator of the log"
        )


def left_bytes(job: ServingJob) -> int:
    """What a job with measured memory leaves for the cache after a change: calibrated(job, that) is the same job."""
    assert job.measured is not None
    plain = job.where(measured=None)
    needs = _heaviest(plain)
    beside = job.measured.beside_bytes - job.measured.beyond_bytes
    return budget_bytes(plain) - needs.weight_bytes - needs.draft_weight_bytes - beside


def calibrated(job: ServingJob, cache_bytes: int) -> ServingJob:
    """The job with cache_bytes (of one accelerator) left for the cache. Raises SizingError for what no memory is."""
    plain = job.where(measured=None)
    needs = _heaviest(plain)
    beside = budget_bytes(plain) - needs.weight_bytes - needs.draft_weight_bytes - cache_bytes
    return plain.where(
        measured=MeasuredMemory(cache_bytes=cache_bytes, beside_bytes=max(beside, 0), beyond_bytes=max(-beside, 0))
    )


def _heaviest(job: ServingJob) -> Footprint:
    """The stage that loads the most: a draft lies whole on the last one, which may so be the heaviest."""
    return max(footprints(job), key=lambda stage: stage.weight_bytes + stage.draft_weight_bytes)
