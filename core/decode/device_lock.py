"""One measurement per device at a time, over all processes of this machine: a lock that dies with its holder.

The lock is flock on a file in the temporary directory: the kernel drops it when the process ends, however it ends.
The file says who holds it, for the person who finds the device busy.
"""

import fcntl
import json
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class DeviceBusy(RuntimeError):
    """Another measurement holds the device: the message says which process, since when."""


def lock_path(device: str) -> Path:
    name = device.replace(":", "-")
    return Path(tempfile.gettempdir()) / f"headroom-decode-{os.getuid()}-{name}.lock"


@contextmanager
def device_lock(device: str) -> Iterator[None]:
    """Holds the device for the length of the block. Raises DeviceBusy at once when another process holds it."""
    handle = os.open(lock_path(device), os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as e:
            raise DeviceBusy(_busy(device, handle)) from e
        os.ftruncate(handle, 0)
        started = time.strftime("%H:%M:%S UTC", time.gmtime())
        os.pwrite(handle, json.dumps({"pid": os.getpid(), "started": started}).encode(), 0)
        yield
    finally:
        os.close(handle)


def _busy(device: str, handle: int) -> str:
    try:
        holder = json.loads(os.pread(handle, 1000, 0))
        who = f"process {holder['pid']}, started {holder['started']}"
    except (ValueError, KeyError, TypeError):
        who = "another process"
    return f"Another measurement is running on {device} ({who}): wait for it to end, or cancel it."
