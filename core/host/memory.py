"""What memory this machine has free, by psutil: the system's own call on each."""

import os
import sys
from typing import Any

from core.host.optional import psutil

UNKNOWN_BYTES = 2 * 10**9  # what a run may take where the system says nothing of its memory


def available_bytes() -> int:
    """Half of the memory that the system calls available; a quarter of all memory where it does not say."""
    free = free_bytes()
    if free is not None:
        return free // 2
    total = total_bytes()
    return UNKNOWN_BYTES if total is None else total // 4


def free_bytes() -> int | None:
    """Memory that can be had without swapping; None where the system does not say."""
    found = _virtual_memory()
    return None if found is None else int(found.available)


def total_bytes() -> int | None:
    """All memory of the machine; None where the system does not say."""
    found = _virtual_memory()
    if found is not None:
        return int(found.total)
    if sys.platform != "win32":
        try:
            return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        except (OSError, ValueError):
            return None
    return None


def used_bytes() -> int | None:
    """Memory that this process holds: resident, or private where the system says that (Windows); None if unknown."""
    ps = psutil()
    if ps is None:
        return None
    try:
        held = ps.Process().memory_info()
    except (ps.Error, OSError):
        return None
    return int(getattr(held, "private", held.rss))


def _virtual_memory() -> Any:
    ps = psutil()
    try:
        return None if ps is None else ps.virtual_memory()
    except (ps.Error, OSError, RuntimeError, ValueError):
        return None
