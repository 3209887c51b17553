"""What the dashboard can say about this host before a run, without torch: is there a GPU, how much memory is free."""

import os
from pathlib import Path


def has_gpu() -> bool:
    """An NVIDIA device file is there; whether torch can use it, the run itself finds out."""
    return Path("/dev/nvidia0").exists()


def available_bytes() -> int:
    """Half of the memory that the system calls available; a quarter of all memory where it does not say."""
    try:
        with open("/proc/meminfo") as lines:
            fields = dict(line.split(":", 1) for line in lines)
        return int(fields["MemAvailable"].split()[0]) * 1024 // 2
    except (OSError, KeyError):
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 4
