"""What an accelerator gives a job: floor(memory x utilisation), of the memory that whoever serves it counts.

The payload is judged on what the device reports. A named engine counts a share of what torch sees of it (79.11 of an
H100's 79.65 GiB), and where the system shares the memory it gets what the system leaves at most: vLLM refuses to start
where less is free than its share. A job that compares G on one card (memory_reading 'device') keeps the card's own.
"""

from fractions import Fraction
from functools import lru_cache
from math import floor

from core.serving.job import PAYLOAD, ServingJob
from core.units import format_binary


def budget_bytes(job: ServingJob) -> int:
    """Bytes of one accelerator that the job may fill, rounded down; more where its server measured that it has more."""
    share, left = share_bytes(budget_memory_bytes(job), job.memory_utilization), job.device.memory_free_bytes
    computed = share if left is None or not counted_by_server(job) else min(share, left)
    return computed if job.measured is None else computed + job.measured.beyond_bytes


def budget_formula(job: ServingJob) -> tuple[str, str]:
    """How the budget is found: in words, and with its numbers."""
    counted, budget = budget_memory_bytes(job), budget_bytes(job)
    difference = budget - share_bytes(counted, job.memory_utilization)
    if not difference:
        return "memory × utilisation, rounded down", f"{counted:,} × {job.memory_utilization:g}"
    kept = ", and what the log has beyond it" if difference > 0 else ", or what the system leaves"
    return f"memory × utilisation, rounded down{kept}", f"{budget:,}"


def is_another_server_s(job: ServingJob) -> bool:
    """Whether the log left more for the cache than this accelerator could: the budget is then that server's."""
    return job.measured is not None and job.measured.beyond_bytes > 0


def counted_by_server(job: ServingJob) -> bool:
    """Whether the budget is a share of what a server sees, and not of the device's own reading."""
    return job.engine != PAYLOAD and job.memory_reading == "server"


def budget_memory_bytes(job: ServingJob) -> int:
    """The memory that the budget is a share of."""
    memory = job.device.server_bytes if counted_by_server(job) else job.device.memory_bytes
    assert memory is not None  # ServingJob refuses accelerators of unknown memory
    return memory


def budget_basis(job: ServingJob) -> str:
    """One sentence: which reading of the memory that is, with its source."""
    if job.measured is not None and is_another_server_s(job):
        left = format_binary(job.measured.cache_bytes, 2)
        return f"Weights, and the {left} that the server's log left for the cache: more than the accelerator above has."
    return job.device.server_basis if counted_by_server(job) else job.device.memory_basis


@lru_cache(maxsize=1024)
def share_bytes(memory_bytes: int, utilization: float) -> int:
    """floor(memory x utilisation), exact."""
    return floor(memory_bytes * Fraction(str(utilization)))
