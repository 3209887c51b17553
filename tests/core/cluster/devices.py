"""Devices that answer at once, for tests of the queue: what each attempt at a point comes to is written down before."""

from collections.abc import Iterator
from dataclasses import replace

from core.cluster.points import Point
from core.cluster.queue import LOST, RECORD, Told
from tests.core.decode.records import result, run_record

LOSS = Told(point_id="", kind=LOST, message="The node died.")


def record_of(point: Point, milliseconds: float = 4.0):
    best = result(point.job.kv_heads[0], "host_kernel", milliseconds, best=True)
    return run_record(run_id=f"run-{point.id}", results=(best,))


class Written:
    """A source of `devices`; `script` has what the first attempts at a point tell, and then it is a record."""

    def __init__(self, devices: dict[str, int], script: dict[str, list[Told]] | None = None) -> None:
        self.devices, self.script = devices, script or {}
        self.begun: list[str] = []
        self.cancelled: list[str] = []
        self.most_at_once = 0
        self._running: list[Point] = []

    def counts(self) -> dict[str, int]:
        return self.devices

    def start(self, point: Point) -> None:
        self.begun.append(point.id)
        self._running.append(point)
        self.most_at_once = max(self.most_at_once, len(self._running))

    def poll(self) -> Iterator[Told]:
        running, self._running = self._running, []
        for point in running:
            told = self.script.get(point.id)
            if told:
                yield replace(told.pop(0), point_id=point.id)
            else:
                yield Told(
                    point_id=point.id, kind=RECORD, record=record_of(point), place={"host": "n1"}, seconds=2.0
                )  # fmt: skip

    def cancel(self, point_id: str) -> None:
        self.cancelled.append(point_id)
