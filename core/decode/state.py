"""What a kernel finds the process in and must leave it in: threads, determinism, precision, compiler, environment.

A kernel that leaves torch on one thread, or asks for deterministic algorithms, would change the figure of every kernel
after it. So the round, not the kernel, sets all of it before each call, and looks after each what was left otherwise.
"""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch

from core.host.processor import usable_cores, use_cores

# What torch's threads, allocators and compilers read from the environment.
WATCHED = ("OMP_", "MKL_", "KMP_", "GOMP_", "TORCH", "PYTORCH", "THP_", "CUDA_", "TRITON_", "MALLOC_")
COMPILER = ("torch._dynamo.config", "torch._inductor.config")


@dataclass(frozen=True, kw_only=True)
class Setting:
    """One part of the state: how it is read and set. words: what it is called where it was left otherwise."""

    words: str
    read: Callable[[], Any]
    write: Callable[[Any], object]


def _determinism() -> tuple[bool, bool]:
    return torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name.startswith(WATCHED)}


def _set_environment(wanted: dict[str, str]) -> None:
    for name in _environment().keys() - wanted.keys():
        del os.environ[name]
    os.environ.update(wanted)


def _compiler() -> dict[str, dict[str, Any]]:
    """What is set otherwise than by default in torch's compilers; nothing where they are not loaded."""
    found = {}
    for name in COMPILER:
        module = sys.modules.get(name)
        if module is not None:
            values: dict[str, Any] = module.get_config_copy()
            found[name] = {key: value for key, value in values.items() if value != module._config[key].default}
    return {name: changed for name, changed in found.items() if changed}


def _set_compiler(wanted: dict[str, dict[str, Any]]) -> None:
    for name in COMPILER:
        module = sys.modules.get(name)
        if module is None:
            continue
        keep = wanted.get(name, {})
        for key in _compiler().get(name, {}).keys() - keep.keys():
            setattr(module, key, module._config[key].default)
        for key, value in keep.items():
            setattr(module, key, value)


def _fill() -> bool:
    return bool(torch.utils.deterministic.fill_uninitialized_memory)  # type: ignore[attr-defined]


def _set_fill(on: bool) -> None:
    torch.utils.deterministic.fill_uninitialized_memory = on  # type: ignore[attr-defined]


SETTINGS = (
    Setting(words="threads", read=torch.get_num_threads, write=torch.set_num_threads),
    Setting(
        words="deterministic algorithms",
        read=_determinism,
        write=lambda wanted: torch.use_deterministic_algorithms(wanted[0], warn_only=wanted[1]),
    ),
    Setting(words="filling of fresh memory", read=_fill, write=_set_fill),
    Setting(
        words="precision of float32 products",
        read=torch.get_float32_matmul_precision,
        write=torch.set_float32_matmul_precision,
    ),
    Setting(words="default dtype", read=torch.get_default_dtype, write=torch.set_default_dtype),
    Setting(words="gradients", read=torch.is_grad_enabled, write=torch.set_grad_enabled),
    Setting(
        words="subnormal numbers",
        read=lambda: float(torch.tensor(1e-40) * 1.0) == 0,
        write=torch.set_flush_denormal,
    ),
    Setting(words="the compiler's settings", read=_compiler, write=_set_compiler),
    Setting(words="environment of threads and allocators", read=_environment, write=_set_environment),
    Setting(words="cores that may be used", read=usable_cores, write=use_cores),
)


@dataclass(kw_only=True)
class Seen:
    """Of one kernel: torch's threads in its calls, and what it left otherwise."""

    threads: int
    left: list[str] = field(default_factory=list)

    @property
    def words(self) -> str:
        return f"left other than it was found, and set back: {', '.join(self.left)}" if self.left else ""


class Kept:
    """The state of the process when a run begins; every kernel of the run starts from it."""

    def __init__(self) -> None:
        self.values = {setting.words: setting.read() for setting in SETTINGS}

    @property
    def threads(self) -> int:
        """torch's threads when the run began."""
        return int(self.values["threads"])

    def set_back(self, threads: int | None = None) -> list[str]:
        """Sets everything as it was, torch on `threads` where a kernel asks for that; what was otherwise, in words."""
        wanted = self.values | ({"threads": threads} if threads else {})
        otherwise = [s for s in SETTINGS if s.read() != wanted[s.words]]
        for setting in otherwise:
            setting.write(wanted[setting.words])
        return [s.words for s in otherwise]

    @contextmanager
    def around(self, threads: int | None = None) -> Iterator[Seen]:
        """For one kernel, or one call of it: set before, checked and set back after."""
        self.set_back(threads)
        seen = Seen(threads=torch.get_num_threads())
        try:
            yield seen
        finally:
            seen.threads = min(seen.threads, torch.get_num_threads())
            found = self.set_back(threads)
            seen.left += [words for words in found if words not in seen.left]
            self.set_back()
