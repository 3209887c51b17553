"""A worker process: started with pipes for lines of JSON, ended with everything that it started, its end in words.

This Python with Headroom's folder in front of its path, UTF-8 on every pipe, and a group of its own, so that
Ctrl-C in a terminal reaches the dashboard alone and ending a worker reaches what it started.
"""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from core.host.guard import ENDED_BY_MEMORY, PARENT
from core.host.optional import psutil

ROOT = Path(__file__).resolve().parents[2]
LOOK_SECONDS = 0.2  # between two looks at a cancel and the clock
SIGKILL = 9  # by number: Windows has no such name
# Windows says by status what elsewhere is a signal (ntstatus.h); Popen gives it as an unsigned number.
NO_MEMORY, ACCESS_VIOLATION, FIRST_STATUS = (0xC0000017, 0xC000012D), 0xC0000005, 0x80000000


def start(
    *arguments: str,
    environment: Mapping[str, str] | None = None,
    stderr: int | IO[Any] | None = None,
    python: str | None = None,
) -> "subprocess.Popen[str]":
    """This Python, or the one named, with `arguments` ("-m", a module and what it takes) and pipes to its input and
    output; stderr is dropped unless given.

    Raises OSError where the system starts no process.
    """
    return subprocess.Popen(
        [python or sys.executable, *arguments],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL if stderr is None else stderr,
        text=True, encoding="utf-8", errors="replace", cwd=ROOT, env=_environment(environment),
        start_new_session=True, creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
    )  # fmt: skip


def _environment(own: Mapping[str, str] | None) -> dict[str, str]:
    found = {**os.environ, **(own or {})}
    paths = [str(ROOT), *filter(None, found.get("PYTHONPATH", "").split(os.pathsep))]
    return {
        **found, "PYTHONPATH": os.pathsep.join(dict.fromkeys(paths)), "PYTHONIOENCODING": "utf-8",
        PARENT: str(os.getpid()),
    }  # fmt: skip


class Cancelled(Exception):
    """Somebody no longer wants the answer."""


def answer(
    process: "subprocess.Popen[str]", question: str, time_limit_seconds: float, cancelled: threading.Event | None
) -> str:
    """All that a worker prints for one question, looked after while it works; the caller close()s it.

    Empty where it ended before it read the question. Raises TimeoutError past the limit, and Cancelled once the event
    is set.
    """
    deadline = time.monotonic() + time_limit_seconds
    pending: str | None = question
    while True:
        try:
            return process.communicate(pending, timeout=LOOK_SECONDS)[0]
        except subprocess.TimeoutExpired:
            pending = None
        except OSError:
            return ""
        if cancelled is not None and cancelled.is_set():
            raise Cancelled
        if time.monotonic() > deadline:
            raise TimeoutError(f"no answer within {time_limit_seconds:.0f} s")


def end(process: "subprocess.Popen[str]") -> None:
    """Ends a worker and everything that it started; the process that is over already is no error.

    Not waited for: its thread reads what is left and calls close().
    """
    started = [] if process.returncode is not None else _started_by(process.pid)
    if sys.platform != "win32" and process.returncode is None:  # once it is waited for, its number may be another's
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, SIGKILL)
    if process.poll() is None:
        with contextlib.suppress(OSError):
            process.kill()
    for child in started:
        with contextlib.suppress(OSError, *_gone()):
            child.kill()


def close(process: "subprocess.Popen[str]") -> int:
    """Ends it with all it started, closes the pipes and waits. Returns the exit code."""
    end(process)
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with contextlib.suppress(OSError, ValueError):
                pipe.close()
    return process.wait()


def _started_by(pid: int) -> list[Any]:
    """Children and theirs. On Windows a child keeps the number of a parent that is gone, and is found by it."""
    ps = psutil()
    if ps is None:
        return []
    try:
        return list(ps.Process(pid).children(recursive=True))
    except ps.NoSuchProcess:
        left = [] if sys.platform != "win32" else list(ps.process_iter(["ppid"]))
        return [process for process in left if process.info["ppid"] == pid]
    except (ps.Error, OSError):
        return []


def _gone() -> tuple[type[Exception], ...]:
    ps = psutil()
    return () if ps is None else (ps.Error,)


def ending(code: int) -> str:
    """How a worker ended, to follow 'The measurement': 'crashed with SIGSEGV', 'was killed by the system, ...'."""
    if code == ENDED_BY_MEMORY:
        return "was ended because memory ran short, which this system leaves to Headroom to watch"
    if code == -SIGKILL:
        return "was killed by the system, most likely because memory ran out"
    if code in NO_MEMORY:
        return "was ended by the system, because memory ran out"
    if code == ACCESS_VIOLATION:
        return "crashed with an access violation"
    if code >= FIRST_STATUS:
        return f"crashed with status {code:#x}"
    if code < 0:
        return f"crashed with {_signal(-code)}"
    return f"ended with exit code {code} and without a result"


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # one that this system has no name for
        return f"signal {number}"
