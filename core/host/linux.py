"""What only Linux has: a parent's end as a signal, the order of killing, bounds on memory, huge pages, and malloc's.

Every function is safe to call elsewhere and says by its answer that nothing was done. No other module asks for these.
"""

import ctypes
import os
import sys
from pathlib import Path

M_ARENA_MAX, ARENAS = -8, 2  # malloc.h of glibc; its own number is eight a core, each with holes of its own
PR_SET_PDEATHSIG, SIGKILL = 1, 9  # include/uapi/linux/prctl.h, include/uapi/asm-generic/signal.h
HUGE_PAGES = Path("/sys/kernel/mm/transparent_hugepage/enabled")
THP_SETTING = "THP_MEM_ALLOC_ENABLE"  # torch: c10/core/impl/alloc_cpu.cpp


def die_with_parent() -> bool:
    """The kernel kills this process when the thread that started it ends; False where it is not asked to."""
    if sys.platform != "linux":
        return False
    try:
        return int(ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, SIGKILL)) == 0
    except (OSError, AttributeError):  # a C library without it
        return False


def be_killed_first() -> bool:
    """When memory runs out, the kernel ends this process before all others; False where it cannot be told so."""
    if sys.platform != "linux":
        return False
    try:
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")  # written, the one way to say it
    except OSError:
        return False
    return True


def give_way_as_a_group(nice: int) -> bool:
    """A session of its own is a group of its own to Linux's scheduler, and between groups this counts (sched(7),
    autogroup); False where there are none, as in most containers."""
    if sys.platform != "linux":
        return False
    try:
        Path("/proc/self/autogroup").write_text(str(nice), encoding="ascii")
    except OSError:
        return False
    return True


def bound_address_space(count: int) -> bool:
    """Allocations beyond `count` bytes of address space fail in this process; False where nothing bounds them."""
    return _bound("RLIMIT_AS", count)


def bound_data(count: int) -> bool:
    """The same for what the process writes to alone, without the libraries that it maps: those of torch for a GPU take
    gigabytes of addresses and no memory."""
    return _bound("RLIMIT_DATA", count)


def _bound(name: str, count: int) -> bool:
    if sys.platform != "linux":
        return False
    try:
        import resource  # noqa: PLC0415  Windows has no such module

        resource.setrlimit(getattr(resource, name), (count, count))
    except (ImportError, ValueError, OSError):  # above a limit that is set already
        return False
    return True


def keep_few_arenas() -> bool:
    """Threads to come share ARENAS of malloc, so that one takes what another gave back; False where it is not glibc."""
    return _malloc("mallopt", M_ARENA_MAX, ARENAS)


def give_memory_back() -> bool:
    """Pages that malloc holds and nobody uses go back to the system; False where there were none, or it cannot."""
    return _malloc("malloc_trim", 0)


def _malloc(name: str, *values: int) -> bool:
    if sys.platform != "linux":
        return False
    try:
        return bool(getattr(ctypes.CDLL(None), name)(*values))
    except (OSError, AttributeError):  # a C library without it
        return False


def ask_for_huge_pages() -> None:
    """torch's buffers on the CPU in pages of 2 MiB, those of the bandwidth and those of the caches alike.

    To be called before torch allocates: it reads this setting once. A decode step walks through gigabytes, and looking
    up each page of 4 KiB costs more than reading it. macOS and Windows choose pages by themselves.
    """
    if sys.platform == "linux":
        os.environ.setdefault(THP_SETTING, "1")


def huge_pages() -> str:
    """Whether they were asked for, and what the system does with such a wish."""
    if sys.platform != "linux":
        return "chosen by the system"
    try:
        allowed = HUGE_PAGES.read_text(encoding="ascii").split("[")[1].split("]")[0]
    except (OSError, IndexError):
        allowed = "unknown"
    asked = "asked for" if os.environ.get(THP_SETTING) == "1" else "not asked for"
    return f"{asked}, system: {allowed}"
