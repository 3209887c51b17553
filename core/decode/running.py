"""A run as its parts see it: the job, the device, what is left of time and memory."""

from dataclasses import replace
from typing import Protocol

import torch

from core.decode.kernel import Kernel
from core.decode.plan import DecodeJob, bound
from core.decode.records import KernelResult, Roofline
from core.decode.state import Kept


class Running(Protocol):
    """What rounds.py and step.py ask of core.decode.run.Run."""

    job: DecodeJob
    device: torch.device
    kernels: tuple[Kernel, ...]
    limit_bytes: int
    cache_bytes: int
    kept: Kept
    done_parts: int

    @property
    def deadline(self) -> float:
        """The time limit as a time of time.monotonic()."""

    def generator(self, offset: int) -> torch.Generator:
        """Random numbers of the run's seed, another stream for each offset."""

    def disturbed(self) -> bool:
        """Whether something else took part of this machine since the run began."""

    def free(self) -> None:
        """Gives back what the last part held."""


def with_limits(run: Running, result: KernelResult, rates: Roofline) -> KernelResult:
    """The result with what these rates allow for its G, in seconds, and whether its reads fit the processor's cache."""
    limits = bound(
        run.job, result.kv_heads, bytes_per_second=rates.bytes_per_second,
        flops_per_second=rates.flops_per_second, exp_per_second=rates.exp_per_second,
    )  # fmt: skip
    return replace(
        result, roofline_seconds=limits.roofline_seconds, memory_seconds=limits.memory_seconds,
        matmul_seconds=limits.matmul_seconds, exponential_seconds=limits.exponential_seconds,
        fits_cache=limits.limit == "memory" and result.kv_bytes <= run.cache_bytes,
    )  # fmt: skip
