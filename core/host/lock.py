"""One holder at a time over all processes of this user on this machine; freed however the holder ends.

filelock takes the system's own lock (flock, or LockFile on Windows), which goes with its process; where a system has
neither it leaves a marker with the holder's number. Who holds it stands in a file beside it, since on Windows nobody
else can read a locked one.
"""

import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class Held(RuntimeError):
    """Another process holds it. `holder` says which, since when, as far as it is known."""

    def __init__(self, holder: str) -> None:
        super().__init__(f"held by {holder}")
        self.holder = holder


def lock_path(name: str) -> Path:
    """In the folder for temporary files; where users share it, the name has the user's number."""
    user = ""
    if sys.platform != "win32":
        user = f"-{os.getuid()}"
    return Path(tempfile.gettempdir()) / f"headroom-{name}{user}.lock"


@contextmanager
def only_one(name: str) -> Iterator[None]:
    """Holds `name` for the length of the block. Raises Held at once when another process does."""
    from filelock import FileLock, Timeout  # noqa: PLC0415  no page waits for it to open

    path = lock_path(name)
    lock = FileLock(path, timeout=0, mode=0o600)
    try:
        lock.acquire()
    except Timeout as e:
        raise Held(_holder(path)) from e
    try:
        _sign(path)
        yield
    finally:
        lock.release()


def _sign(path: Path) -> None:
    started = time.strftime("%H:%M:%S UTC", time.gmtime())
    signature = path.with_suffix(".holder")
    try:
        signature.unlink(missing_ok=True)  # never written through a link that someone has laid there
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
        with open(os.open(signature, flags, 0o600), "w", encoding="utf-8") as file:
            json.dump({"pid": os.getpid(), "started": started}, file)
    except OSError:
        return  # the lock holds without it; whoever finds it held is told less


def _holder(path: Path) -> str:
    try:
        holder = json.loads(path.with_suffix(".holder").read_text(encoding="utf-8"))
        return f"process {holder['pid']}, started {holder['started']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"
