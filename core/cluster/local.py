"""This host as a device of a sweep: one run at a time, by the worker of core.decode."""

import platform
import time
from collections.abc import Iterator

from core.cluster.points import HOST, Point
from core.cluster.queue import BUSY, LOST, PROGRESS, RECORD, REFUSED, Told
from core.decode import worker
from core.decode.device_lock import BUSY_WORDS


class ThisHost:
    """A Devices source with one place."""

    def __init__(self) -> None:
        self._run: tuple[Point, worker.LiveRun, float] | None = None
        self._said = ""

    def counts(self) -> dict[str, int]:
        return {HOST: 1}

    def start(self, point: Point) -> None:
        self._run = (point, worker.LiveRun(point.job, ("--no-save",)), time.monotonic())
        self._said = ""

    def poll(self) -> Iterator[Told]:
        if self._run is None:
            return
        point, run, begun = self._run
        state = run.state
        if state.running:
            if (said := doing(state)) != self._said:
                self._said = said
                yield Told(point_id=point.id, kind=PROGRESS, message=said)
            return
        self._run = None
        yield outcome(point.id, state, time.monotonic() - begun, {"host": platform.node()})

    def cancel(self, point_id: str) -> None:
        if self._run is not None and self._run[0].id == point_id:
            self._run[1].cancel()
            self._run[1].wait(worker.SECONDS_TO_STOP)
            self._run = None


def doing(state: worker.RunState) -> str:
    """A run's progress in words."""
    share = f" ({state.done} of {state.total})" if state.total else ""
    return f"{state.message}{share}"


def outcome(point_id: str, state: worker.RunState, seconds: float, place: dict[str, str]) -> Told:
    """How a run that is over counts: a record with a figure, a busy device, a refusal in words, or a lost child."""
    record = state.record
    if record is not None and record.status != "crashed" and record.best():
        return Told(point_id=point_id, kind=RECORD, record=record, place=place, seconds=seconds)
    kind = LOST if state.status == "failed" else REFUSED
    if state.message.startswith(BUSY_WORDS):
        kind = BUSY
    message = state.message or "No kernel gave a figure."
    return Told(point_id=point_id, kind=kind, message=message, place=place, seconds=seconds)
