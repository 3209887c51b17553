"""What the dashboard asks of a cluster, without loading ray: is one named, what has it, start a sweep, how far is it.

Ray speaks in processes of its own (`python -m core.cluster`), so that a lost cluster takes no page along. The driver of
a sweep ends with the dashboard; the sweep stands in SQLite, and the next dashboard goes on with it.
"""

import json
import logging
import os
import subprocess
import threading
from importlib.util import find_spec

from core.cluster import store
from core.cluster.points import Sweep
from core.decode.store import StoreUnavailable
from core.host import children

ADDRESS = "RAY_ADDRESS"
REPORT_SECONDS = 90.0
LOG = logging.getLogger("headroom.runs")


class NoAnswer(RuntimeError):
    """The cluster did not say what it has: the message is its driver's."""


def offered() -> bool:
    """Whether RAY_ADDRESS names a cluster and ray is installed; looks at neither."""
    return bool(os.environ.get(ADDRESS)) and find_spec("ray") is not None


def report() -> dict[str, str]:
    """The cluster's kinds of device by name, each with its sentence; takes seconds. Raises NoAnswer."""
    child = children.start("-m", "core.cluster", "devices", stderr=subprocess.STDOUT)
    try:
        said, _ = child.communicate(timeout=REPORT_SECONDS)
    except subprocess.TimeoutExpired as e:
        raise NoAnswer(f"The cluster at {os.environ.get(ADDRESS)} did not answer in {REPORT_SECONDS:,.0f} s.") from e
    finally:
        children.close(child)
    last = (said.strip().splitlines() or ["The cluster's driver said nothing."])[-1]
    if child.returncode:
        raise NoAnswer(last)
    return {kind["name"]: kind["sentence"] for kind in json.loads(last)["kinds"]}


_drivers: dict[str, threading.Thread] = {}
_wanted: set[str] = set()  # sweeps to be resumed when the driver that is ending has ended
_guard = threading.Lock()


def start(sweep: Sweep) -> str:
    """Keeps the sweep and begins to drive it; returns its id. Raises StoreUnavailable."""
    sweep_id = store.add(sweep)
    go_on(sweep_id)
    return sweep_id


def go_on(sweep_id: str, *, failed_too: bool = False) -> None:
    """Drives a sweep in a child of this process, unless one does already.

    failed_too: one that ended is under way again, with what failed; where its driver is still ending, after that.
    """
    with _guard:
        if sweep_id not in _drivers:
            if failed_too:
                store.resume(sweep_id)
            thread = threading.Thread(
                target=_to_its_end, args=(sweep_id, failed_too), name=f"sweep-{sweep_id}", daemon=True
            )
            _drivers[sweep_id] = thread
            thread.start()
        elif failed_too and store.status(sweep_id) != store.UNDER_WAY:
            _wanted.add(sweep_id)


def _to_its_end(sweep_id: str, failed_too: bool) -> None:
    """One driver after the other, as long as somebody wants the sweep resumed meanwhile."""
    try:
        _drive(sweep_id, failed_too)
        while _wanted_again(sweep_id):
            store.resume(sweep_id)
            _drive(sweep_id, failed_too=True)
    finally:
        with _guard:
            if _drivers.get(sweep_id) is threading.current_thread():
                del _drivers[sweep_id]


def _wanted_again(sweep_id: str) -> bool:
    """Where not, nobody drives it from here on: whoever asks next begins a driver."""
    with _guard:
        if sweep_id in _wanted:
            _wanted.remove(sweep_id)
            return True
        del _drivers[sweep_id]
        return False


def _drive(sweep_id: str, failed_too: bool) -> None:
    """The driver from its start to its end. In this thread: Linux ties a child's end to the thread that started it."""
    more = ("--failed-too",) if failed_too else ()
    child = children.start("-m", "core.cluster", "resume", sweep_id, "--with-parent", *more)
    try:
        assert child.stdout is not None  # it was opened as a pipe
        for _ in child.stdout:
            pass  # what it says is in SQLite too
    finally:
        children.close(child)


def go_on_with_what_was_left() -> None:
    """Sweeps that were under way when their dashboard ended; the lock of a sweep keeps two drivers apart."""
    for line in store.sweeps():
        if line.status == store.UNDER_WAY:
            go_on(line.sweep_id)


def go_on_after_a_restart() -> None:
    """At a server's start: what was left goes on without a page being opened; nothing where no cluster is named."""
    if not offered():
        return
    try:
        go_on_with_what_was_left()
    except StoreUnavailable as e:
        LOG.warning("sweeps were not resumed", extra={"why": str(e)})  # the page says so too


def is_driven(sweep_id: str) -> bool:
    """Whether a child of this process drives it."""
    with _guard:
        return sweep_id in _drivers


def cancel(sweep_id: str) -> None:
    """Its driver ends what runs; finished points stay."""
    with _guard:
        _wanted.discard(sweep_id)
    store.end(sweep_id, store.CANCELLED, "Cancelled: finished points are kept, and the rest can be resumed.")
