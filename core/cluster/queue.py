"""The bounded queue of a sweep: as many runs at once as there are devices, each point until it has its result.

It asks its sources of devices (this host, a cluster) how many they have of a kind, hands each free one the next point
of its kind, and reads what they tell: progress, a record, a loss, a device that is busy. A lost worker or node gives
the point back to the queue, at most MOST_ATTEMPTS times. Nothing here knows Ray or torch.
"""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from core.cluster import store
from core.cluster.points import Point
from core.decode.records import RunRecord
from core.units import number_of

LOOK_SECONDS = 0.2
MOST_ATTEMPTS = 4
BUSY_SECONDS = 5.0  # a device that was busy with somebody else's run is left alone for so long
LOSS_SECONDS = 5.0  # and after a loss, times its attempts: a cluster takes a while to see that a node is gone
PATIENCE_SECONDS = 600.0  # without one device of any kind that is still waited for
PROGRESS, RECORD, LOST, BUSY, REFUSED = "progress", "record", "lost", "busy", "refused"


@dataclass(frozen=True, kw_only=True)
class Told:
    """What a source says of a point. kind: progress, record, lost (worker, node), busy (device), refused (by name)."""

    point_id: str
    kind: str
    message: str = ""
    record: RunRecord | None = None
    place: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0


class Devices(Protocol):
    """A source of devices."""

    def counts(self) -> dict[str, int]:
        """Runs that it takes at once, by kind of device; what is lost meanwhile is not counted."""

    def start(self, point: Point) -> None:
        """Begins a run and returns at once."""

    def poll(self) -> Iterable[Told]:
        """What happened since the last look; a point that ended is told once."""

    def cancel(self, point_id: str) -> None:
        """Ends a run; nothing more is told of it."""


@dataclass(kw_only=True)
class Drive:
    """One driver's work on one sweep, from begin() to the status it returns."""

    sweep_id: str
    sources: Sequence[Devices]
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    tell: Callable[[Told], None] = lambda told: None
    patience_seconds: float = PATIENCE_SECONDS
    _waiting: list[Point] = field(default_factory=list)
    _running: dict[str, tuple[Point, Devices]] = field(default_factory=dict)
    _attempts: dict[str, int] = field(default_factory=dict)
    _not_before: dict[str, float] = field(default_factory=dict)
    _losses: dict[str, int] = field(default_factory=dict)  # of this driver's: one that was killed loses no point
    _busy: list[tuple[Devices, str, float]] = field(default_factory=list)  # devices of a kind, and until when
    _heard: set[str] = field(default_factory=set)  # points that run and have told anything
    resumes: bool = True

    def run(self) -> str:
        """Drives the sweep to its end: complete, cancelled, or stopped where a device is missing for long.

        Raises StoreUnavailable; a point that ran then is measured again by the next driver.
        """
        store.begin(self.sweep_id, resumes=self.resumes)
        for p in store.points(self.sweep_id):
            self._attempts[p.point.id] = p.attempts
            if p.state == store.WAITING:
                self._waiting.append(p.point)
        try:
            return self._until_the_end()
        finally:
            for point_id, (_, source) in self._running.items():
                source.cancel(point_id)

    def _until_the_end(self) -> str:
        idle_since = self.clock()
        while self._waiting or self._running:
            if store.status(self.sweep_id) != store.UNDER_WAY:
                return self._ended(store.CANCELLED, "Cancelled: finished points are kept, and the rest can be resumed.")
            for source in self.sources:
                for told in source.poll():
                    self._take(told)
                self._hand_out(source)
            if any(self._may_answer(point, source) for point, source in self._running.values()):
                idle_since = self.clock()
            elif self.clock() - idle_since > self.patience_seconds:
                left = [*self._waiting, *(point for point, _ in self._running.values())]
                kinds = ", ".join(sorted({p.device for p in left}))
                why = f"No device took a point for {self.patience_seconds:,.0f} s; waited for: {kinds}. Resume it then."
                return self._ended(store.STOPPED, why)
            self.sleep(LOOK_SECONDS)
        failed = sum(p.state == store.FAILED for p in store.points(self.sweep_id))
        return self._ended(store.COMPLETE, f"{number_of(failed, 'point')} gave no result." if failed else "")

    def _may_answer(self, point: Point, source: Devices) -> bool:
        """Whether a run has begun for certain, or has a device that it can begin on: one may go before it does."""
        return point.id in self._heard or source.counts().get(point.device, 0) > 0

    def _ended(self, status: str, message: str) -> str:
        store.put_back(self.sweep_id)
        store.end(self.sweep_id, status, message)
        return status

    def _hand_out(self, source: Devices) -> None:
        """A point to each free device of the source."""
        self._busy = [busy for busy in self._busy if busy[2] > self.clock()]
        for device, most in source.counts().items():
            ours = sum(point.device == device for point, of in self._running.values() if of is source)
            others = sum(of is source and kind == device for of, kind, _ in self._busy)
            for _ in range(most - ours - others):
                point = self._next(device)
                if point is None:
                    break
                self._attempts[point.id] = self._attempts.get(point.id, 0) + 1
                store.started(self.sweep_id, point.id)
                self._running[point.id] = (point, source)
                source.start(point)

    def _next(self, device: str) -> Point | None:
        now = self.clock()
        for point in self._waiting:
            if point.device == device and self._not_before.get(point.id, now) <= now:
                self._waiting.remove(point)
                return point
        return None

    def _take(self, told: Told) -> None:
        if told.point_id not in self._running:
            return  # it was given up, or told before
        if told.kind == PROGRESS:
            self._heard.add(told.point_id)
            store.progress(self.sweep_id, told.point_id, told.message)
        else:
            point, source = self._running.pop(told.point_id)
            self._heard.discard(point.id)
            if told.kind == BUSY:
                self._busy.append((source, point.device, self.clock() + BUSY_SECONDS))
            self._settle(point, told)
        self.tell(told)

    def _settle(self, point: Point, told: Told) -> None:
        if told.kind == RECORD and told.record is not None:
            store.finish(self.sweep_id, point.id, told.record, told.place, told.seconds)
        elif told.kind == BUSY:
            self._attempts[point.id] -= 1
            store.give_back(self.sweep_id, point.id, told.message, counted=False)
            self._waiting.append(point)
        elif told.kind == LOST and self._lost(point) < MOST_ATTEMPTS:
            self._not_before[point.id] = self.clock() + LOSS_SECONDS * self._attempts[point.id]
            store.give_back(self.sweep_id, point.id, told.message)
            self._waiting.insert(0, point)
        else:
            times = f"Lost {self._losses[point.id]} times, last: " if told.kind == LOST else ""
            store.fail(self.sweep_id, point.id, f"{times}{told.message}", told.place)

    def _lost(self, point: Point) -> int:
        """One loss more; how many they are."""
        self._losses[point.id] = self._losses.get(point.id, 0) + 1
        return self._losses[point.id]


@dataclass(frozen=True, kw_only=True)
class Standing:
    """How far a sweep is: points by state, and the seconds left by what finished points of the same device took."""

    done: int
    failed: int
    running: int
    total: int
    seconds_left: float | None


def standing(points: Sequence[store.KeptPoint]) -> Standing:
    """seconds_left is None until a point of every device that has some left is done.

    Each kind's points left x its mean seconds, over its runs under way now (one at least); the slowest kind says.
    """
    by_state = {state: sum(p.state == state for p in points) for state in (store.DONE, store.FAILED, store.RUNNING)}
    left = [_seconds_left([p for p in points if p.point.device == d]) for d in {p.point.device for p in points}]
    known = [seconds for seconds in left if seconds is not None]
    return Standing(
        done=by_state[store.DONE], failed=by_state[store.FAILED], running=by_state[store.RUNNING], total=len(points),
        seconds_left=max(known) if known and len(known) == len(left) else None,
    )  # fmt: skip


def _seconds_left(points: Sequence[store.KeptPoint]) -> float | None:
    """Of one kind of device: a point under way counts whole, since how far it is says little."""
    left = sum(p.state in (store.WAITING, store.RUNNING) for p in points)
    took = [p.seconds for p in points if p.seconds is not None]
    if not left:
        return 0.0
    if not took:
        return None
    return left * sum(took) / len(took) / max(1, sum(p.state == store.RUNNING for p in points))
