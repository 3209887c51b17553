"""A run as its parts see it: the job, the device, what is left of time and memory."""

from typing import Protocol

import torch

from core.decode.kernel import Kernel
from core.decode.plan import DecodeJob
from core.decode.state import Kept


class Running(Protocol):
    """What rounds.py and step.py ask of core.decode.run.Run."""

    job: DecodeJob
    device: torch.device
    kernels: tuple[Kernel, ...]
    limit_bytes: int
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
