"""What keeps a measurement from harming the machine: it ends with its parent, and goes first when memory runs out."""

import ctypes
import os
import resource
import signal
import sys
import threading
from pathlib import Path

PR_SET_PDEATHSIG = 1  # include/uapi/linux/prctl.h


def end_with_parent() -> None:
    """Ends this process when its parent goes: by the kernel where it can, and when the pipe on stdin closes."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    threading.Thread(target=_wait_for_end_of_stdin, daemon=True).start()


def _wait_for_end_of_stdin() -> None:
    while os.read(0, 1024):
        pass
    os._exit(1)


def prefer_to_be_killed() -> None:
    """When memory runs out, Linux ends this process rather than the dashboard."""
    path = Path("/proc/self/oom_score_adj")
    if path.exists():
        path.write_text("1000")


def restrict_address_space(count: int) -> None:
    """Allocations beyond `count` bytes of address space fail inside this process."""
    resource.setrlimit(resource.RLIMIT_AS, (count, count))
