"""What a worker does so that it harms nobody: it ends with its parent, goes first when memory runs out, keeps a limit,
and leaves a busy processor to others.

Each of these the kernel of Linux does by itself. Elsewhere a thread of the worker looks several times a second and
ends the process; Python's other threads run on while torch computes, so it is not kept waiting for long.
"""

import os
import sys
import threading
import time
from collections.abc import Callable

from core.host import linux
from core.host.memory import free_bytes, total_bytes, used_bytes
from core.host.optional import psutil

ENDED_BY_MEMORY = 86  # exit code of a worker that a watch has ended; children.py says it in words
PARENT = "HEADROOM_PARENT"  # the process id of whoever started a worker (children.py sets it)
LOOK_SECONDS, PARENT_SECONDS = 0.1, 0.5
LEAST_FREE = 0.02  # of all memory: below it this process ends before the system stops answering
LESS_URGENT, LEAST_URGENT = 10, 19  # nice(2); where nobody else wants a core it changes nothing
NICE = "HEADROOM_NICE"  # how far a worker gives way, where LESS_URGENT is not wanted
WATCHED = "On this system the memory limit is watched, not enforced: what goes over it is ended within a second."


def end_with_parent(*, holds_stdin: bool, waited_for: bool) -> None:
    """Ends this process when its parent goes, however that ends.

    holds_stdin: the parent keeps our standard input open for as long as it lives, so its closing says the same at once.
    On Windows it is not read for that: a thread that waits in a read of it holds up every library that looks at the
    standard handles while it loads, as numpy's do. waited_for: the thread that started us waits for our end; Linux
    ties us to that thread and not to its process, so without it the kernel is not asked.
    """
    if waited_for:
        linux.die_with_parent()
    if holds_stdin and sys.platform != "win32":
        _in_background(_wait_for_end_of_stdin)
    else:
        _in_background(_ask_for_parent(int(os.environ.get(PARENT) or os.getppid())))


def prefer_to_be_killed() -> None:
    """When memory runs out this process goes, not the dashboard: by the kernel, or by its own hand where it watches."""
    total = total_bytes()
    if linux.be_killed_first() or sys.platform == "linux" or total is None:
        return
    _watch(lambda: free_bytes(), lambda free: free < LEAST_FREE * total, "the system had almost no memory left")


def give_way() -> bool:
    """Whoever else wants a core gets most of it, so that pages answer while all cores measure; False where refused.

    The number of threads stays what it is: on a machine that is quiet the figures are those of every core. ValueError
    where HEADROOM_NICE is no whole number from 0, which leaves all as it is, to 19.
    """
    nice, ps = _nice(), psutil()
    if ps is None:
        return False
    if nice == 0:
        return True
    this = ps.Process()
    try:
        this.nice(ps.BELOW_NORMAL_PRIORITY_CLASS if sys.platform == "win32" else max(this.nice(), nice))
    except (ps.Error, OSError, AttributeError):  # psutil names Windows' classes on Windows alone
        return False
    linux.give_way_as_a_group(nice)
    return True


def _nice() -> int:
    said = os.environ.get(NICE) or str(LESS_URGENT)
    if not said.isdecimal() or int(said) > LEAST_URGENT:
        raise ValueError(
            f"{NICE} is '{said}': say how far a measurement gives way to other work, as a whole number from 0, not at"
            f" all, to {LEAST_URGENT}."
        )
    return int(said)


def limit_memory(count: int, *, of_addresses: bool = True) -> bool:
    """Holds this process to `count` bytes. True: enforced, an allocation beyond fails. False: watched, and over it the
    process ends; on Linux neither where a lower limit stands already.

    of_addresses: Linux counts every address that is mapped, else only data, without the files of libraries.
    """
    if sys.platform == "linux":
        return linux.bound_address_space(count) if of_addresses else linux.bound_data(count)
    _watch(lambda: used_bytes(), lambda used: used > count, f"it held more than its limit of {count / 1e9:,.1f} GB")
    return False


def limit_in_words() -> str:
    """For the page: how a memory limit is kept here; empty where it is enforced."""
    return "" if sys.platform == "linux" else WATCHED


def _watch(measure: Callable[[], int | None], over: Callable[[int], bool], why: str) -> None:
    def watch() -> None:
        while (found := measure()) is not None:  # None: the system does not say, and nothing can be watched
            if over(found):
                _leave(ENDED_BY_MEMORY, why)
            time.sleep(LOOK_SECONDS)

    _in_background(watch)


def _wait_for_end_of_stdin() -> None:
    while os.read(0, 1024):
        pass
    _leave(1, "the process that had started it ended")


def _ask_for_parent(pid: int) -> Callable[[], None]:
    is_there = _is_there(pid)

    def ask() -> None:
        while is_there():
            time.sleep(PARENT_SECONDS)
        _leave(1, "the process that had started it ended")

    return ask


def _is_there(pid: int) -> Callable[[], bool]:
    """Whether the parent lives. On Windows by its id and start, since a launcher may stand between it and us."""
    if sys.platform != "win32":
        return lambda: os.getppid() == pid
    ps = psutil()
    if ps is None:
        return lambda: True
    try:
        parent = ps.Process(pid)
    except ps.NoSuchProcess:
        return lambda: False
    return lambda: bool(parent.is_running())


def _leave(code: int, why: str) -> None:
    """Ends this process at once, and what it started with it: no clean-up of Python's, which may wait for a lock."""
    try:
        os.write(2, f"{why}\n".encode())
        ps = psutil()
        for child in [] if ps is None else ps.Process().children(recursive=True):
            child.kill()
    except Exception:  # noqa: BLE001  nothing may keep it from ending
        pass
    finally:
        os._exit(code)


def _in_background(work: Callable[[], None]) -> None:
    threading.Thread(target=work, daemon=True).start()
