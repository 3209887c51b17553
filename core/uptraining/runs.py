"""One experiment at a time for the whole server: started, watched, cancelled, and remembered once it is done.

The work happens in a process of its own (core.uptraining.worker), so the dashboard never loads torch and a cancel is
immediate. The worker reads its parent's pipe and ends with it. A recipe names its result, so a recipe that was run
is answered from memory, and viewers who ask for the same one watch the same run.
"""

import atexit
import json
import threading
from collections import OrderedDict
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal

from core.host import children
from core.uptraining.recipe import Recipe
from core.uptraining.results import Result, collect, recorded_result

COMMAND = ("-m", "core.uptraining.worker")  # of this Python
MAX_REMEMBERED = 16

Status = Literal["running", "done", "cancelled", "failed"]


class BusyError(RuntimeError):
    """Another recipe runs: the message says which and what to do."""


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """Where a run stands. fraction is of all training steps; losses are (steps done, loss), as reported."""

    status: Status
    phase: str
    fraction: float
    losses: tuple[tuple[int, float], ...]
    num_points: int
    message: str | None = None


class Run:
    """One worker process and what it has said so far."""

    def __init__(self, recipe: Recipe, command: tuple[str, ...] = COMMAND) -> None:
        self.recipe = recipe
        self._lock = threading.Lock()
        self._events: list[dict[str, Any]] = []
        self._status: Status = "running"
        self._message: str | None = None
        self._process = children.start(*command)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def snapshot(self) -> Snapshot:
        """What can be shown now."""
        with self._lock:
            progress = [event for event in self._events if event["event"] == "progress"]
            last: dict[str, Any] = progress[-1] if progress else {"phase": "starting", "steps_done": 0}
            return Snapshot(
                status=self._status,
                phase=last["phase"],
                fraction=min(1.0, last["steps_done"] / self.recipe.total_steps),
                losses=tuple((event["steps_done"], event["loss"]) for event in progress),
                num_points=sum(event["event"] == "point" for event in self._events),
                message=self._message,
            )

    def result(self) -> Result | None:
        """The result once the status is 'done'; None before, and after a cancel or a failure."""
        with self._lock:
            return collect(self.recipe, self._events) if self._status == "done" else None

    def cancel(self) -> None:
        """End the worker at once; a run that is over stays as it ended."""
        with self._lock:
            if self._status != "running":
                return
            self._status = "cancelled"
        children.end(self._process)
        self._reader.join(timeout=10)

    def wait(self, timeout_s: float) -> None:
        """Until the worker is over, or the time is up."""
        self._reader.join(timeout=timeout_s)

    def _read(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            with suppress(BrokenPipeError):  # a worker that ended before it read: its status, below, says why
                self._process.stdin.write(json.dumps(self.recipe.as_dict()) + "\n")
                self._process.stdin.flush()
            for line in self._process.stdout:
                self._take(line)
        except (OSError, ValueError) as error:
            self._end("failed", f"The experiment's process could not be read: {error}. Start it again.")
        finally:
            self._close()

    def _take(self, line: str) -> None:
        event = json.loads(line)
        if event["event"] == "failed":
            self._end("failed", event["message"])
            return
        with self._lock:
            self._events.append(event)
        if event["event"] == "done":
            self._end("done", None)

    def _close(self) -> None:
        code = children.close(self._process)
        self._end("failed", f"The experiment's process {children.ending(code)}. Start it again.")

    def _end(self, status: Status, message: str | None) -> None:
        """The first ending counts."""
        with self._lock:
            if self._status == "running":
                self._status, self._message = status, message


_lock = threading.Lock()
_current: Run | None = None
_remembered: OrderedDict[Recipe, Result] = OrderedDict()


def start(recipe: Recipe) -> Run:
    """A new run, or the one under way where the recipe is the same. Raises BusyError while another recipe runs."""
    global _current  # one experiment for the server is the point
    with _lock:
        if _current is not None and _current.snapshot().status == "running":
            if _current.recipe == recipe:
                return _current
            raise BusyError("Another viewer's experiment is running here. Wait for its end, or look at its progress.")
        _current = Run(recipe)
        return _current


def current() -> Run | None:
    """The last run that was started, whatever became of it."""
    return _current


def finished(recipe: Recipe) -> Result | None:
    """The result of a recipe that ran since the server started, or else in the shipped runs; None where in neither."""
    with _lock:
        if _current is not None and _current.recipe == recipe and (result := _current.result()) is not None:
            _remembered[recipe] = result
            while len(_remembered) > MAX_REMEMBERED:
                _remembered.popitem(last=False)
        return _remembered.get(recipe) or recorded_result(recipe)


def stop_all() -> None:
    """End a run that is under way: for the server's own end."""
    if _current is not None:
        _current.cancel()


atexit.register(stop_all)
