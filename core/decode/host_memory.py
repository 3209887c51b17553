"""What can be said of this host without torch: is there a GPU, how much memory is free, and in which pages."""

import os
from pathlib import Path


def has_gpu() -> bool:
    """An NVIDIA device file is there; whether torch can use it, the run itself finds out."""
    return Path("/dev/nvidia0").exists()


def ask_for_huge_pages() -> None:
    """torch's buffers on the CPU, those of the bandwidth and those of the caches alike, in pages of 2 MiB.

    To be called before torch allocates: it reads this setting once. A decode step walks through gigabytes, and looking
    up each page of 4 KiB costs more than reading it.
    """
    os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")


def huge_pages() -> str:
    """Whether they were asked for, and what the system does with such a wish."""
    setting = Path("/sys/kernel/mm/transparent_hugepage/enabled")
    try:
        allowed = setting.read_text().split("[")[1].split("]")[0]
    except (OSError, IndexError):
        allowed = "unknown"
    asked = "asked for" if os.environ.get("THP_MEM_ALLOC_ENABLE") == "1" else "not asked for"
    return f"{asked}, system: {allowed}"


def available_bytes() -> int:
    """Half of the memory that the system calls available; a quarter of all memory where it does not say."""
    try:
        with open("/proc/meminfo") as lines:
            fields = dict(line.split(":", 1) for line in lines)
        return int(fields["MemAvailable"].split()[0]) * 1024 // 2
    except (OSError, KeyError):
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 4
