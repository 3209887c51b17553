"""Sweeps in SQLite, beside the kept runs: what waits, what runs, and every result once.

A point goes from waiting to running to done or failed; `finish` takes the first result of a point and no second, so a
retry that turns out to have been unnecessary changes nothing. Whoever drives a sweep holds its lock, and begins by
putting what a driver before it left running back among what waits.
"""

import json
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field

from core.cluster.points import Point, Sweep, job_from, sweep_from
from core.decode.record_files import InvalidRecord, from_json, to_json
from core.decode.records import RunRecord
from core.decode.store import opened
from core.host.lock import Held, only_one

WAITING, RUNNING, DONE, FAILED = "waiting", "running", "done", "failed"
UNDER_WAY, COMPLETE, CANCELLED, STOPPED = "under way", "complete", "cancelled", "stopped"  # of a sweep


class NoSuchSweep(ValueError):
    """No sweep of that id is kept."""


@dataclass(frozen=True, kw_only=True)
class SweepLine:
    """A sweep as a list shows it. status: under way, complete, cancelled, stopped (it can be resumed)."""

    sweep_id: str
    date: str
    status: str
    message: str
    sweep: Sweep


@dataclass(frozen=True, kw_only=True)
class KeptPoint:
    """A point and how it stands; seconds is how long its run took, place where it ran."""

    point: Point
    state: str
    attempts: int = 0
    doing: str = ""
    message: str = ""
    seconds: float | None = None
    record: RunRecord | None = None
    place: dict[str, str] = field(default_factory=dict)


def add(sweep: Sweep) -> str:
    """Keeps a sweep with all its points waiting; returns its id. Raises StoreUnavailable."""
    now = time.gmtime()
    sweep_id = f"{time.strftime('%Y%m%d-%H%M%S', now)}-{secrets.token_hex(4)}"
    date = time.strftime("%Y-%m-%dT%H:%M:%S+00:00", now)
    rows = [(sweep_id, p.id, n, p.device, json.dumps(asdict(p.job))) for n, p in enumerate(sweep.points())]
    with opened() as db:
        db.execute("INSERT INTO sweeps VALUES (?, ?, ?, '', ?)", (sweep_id, date, UNDER_WAY, json.dumps(asdict(sweep))))
        db.executemany(
            "INSERT INTO sweep_points (sweep_id, point_id, number, device, job) VALUES (?, ?, ?, ?, ?)", rows
        )
    return sweep_id


def sweeps(limit: int = 50) -> list[SweepLine]:
    """The newest first, without those that another version wrote and this one cannot read (`unread`).

    Raises StoreUnavailable.
    """
    return [line for line in _newest(limit) if isinstance(line, SweepLine)]


def unread(limit: int = 50) -> dict[str, str]:
    """The newest sweeps that this version cannot read, by id, and why. Raises StoreUnavailable."""
    return dict(line for line in _newest(limit) if not isinstance(line, SweepLine))


def _newest(limit: int) -> Iterator[SweepLine | tuple[str, str]]:
    with opened() as db:
        rows = db.execute(
            "SELECT sweep_id, date, status, message, sweep FROM sweeps ORDER BY date DESC, rowid DESC LIMIT ?", (limit,)
        ).fetchall()
    for row in rows:
        try:
            yield _line(row)
        except ValueError as e:  # InvalidJob too
            yield row[0], str(e)


def waiting() -> int:
    """Points of sweeps under way that no node has begun. Raises StoreUnavailable."""
    with opened() as db:
        row = db.execute(
            "SELECT COUNT(*) FROM sweep_points JOIN sweeps USING (sweep_id) WHERE status = ? AND state = ?",
            (UNDER_WAY, WAITING),
        ).fetchone()
    return int(row[0])


def find(sweep_id: str) -> SweepLine:
    """Raises NoSuchSweep, StoreUnavailable, and InvalidJob for one that another version wrote."""
    with opened() as db:
        row = db.execute(
            "SELECT sweep_id, date, status, message, sweep FROM sweeps WHERE sweep_id = ?", (sweep_id,)
        ).fetchone()
    if row is None:
        raise NoSuchSweep(f"no sweep {sweep_id!r} is kept: `python -m core.cluster list` names those that are.")
    return _line(row)


def _line(row: tuple[str, str, str, str, str]) -> SweepLine:
    return SweepLine(
        sweep_id=row[0], date=row[1], status=row[2], message=row[3], sweep=sweep_from(json.loads(row[4]))
    )  # fmt: skip


def points(sweep_id: str) -> list[KeptPoint]:
    """Every point in its order, results read; one whose result cannot be read counts as failed here, and is kept.

    Raises StoreUnavailable, and InvalidJob for a point that another version wrote.
    """
    columns = "point_id, device, job, state, attempts, doing, message, seconds, record, place"
    with opened() as db:
        rows = db.execute(
            f"SELECT {columns} FROM sweep_points WHERE sweep_id = ? ORDER BY number", (sweep_id,)
        ).fetchall()
    return [_point(*row) for row in rows]


def _point(
    point_id: str, device: str, job: str, state: str, attempts: int, doing: str, message: str, seconds: float | None,
    kept_record: str | None, place: str,
) -> KeptPoint:  # fmt: skip
    record = None
    try:
        record = from_json(kept_record) if kept_record else None
    except InvalidRecord as e:
        state, message = FAILED, f"Its result is kept and cannot be read: {e}"
    return KeptPoint(
        point=Point(id=point_id, device=device, job=job_from(json.loads(job))), state=state, attempts=attempts,
        doing=doing, message=message, seconds=seconds, record=record, place=json.loads(place),
    )  # fmt: skip


def begin(sweep_id: str, *, resumes: bool = True) -> None:
    """A driver takes over: what was left running waits again, and the sweep is under way.

    resumes: False where whoever asked for the driver has said so already, and may have cancelled since.
    """
    put_back(sweep_id)
    if resumes:
        resume(sweep_id)


def put_back(sweep_id: str) -> None:
    """What is left running waits again: nobody drives it."""
    with opened() as db:
        db.execute(
            "UPDATE sweep_points SET state = ?, doing = '' WHERE sweep_id = ? AND state = ?",
            (WAITING, sweep_id, RUNNING),
        )


def resume(sweep_id: str) -> None:
    """The sweep is under way, whatever ended it before."""
    end(sweep_id, UNDER_WAY)


def status(sweep_id: str) -> str:
    """Raises NoSuchSweep, StoreUnavailable."""
    with opened() as db:
        row = db.execute("SELECT status FROM sweeps WHERE sweep_id = ?", (sweep_id,)).fetchone()
    if row is None:
        raise NoSuchSweep(f"no sweep {sweep_id!r} is kept any more.")
    return str(row[0])


def end(sweep_id: str, status: str, message: str = "") -> None:
    """Says how a sweep ended, or that it is to end: a driver looks for CANCELLED several times a second."""
    with opened() as db:
        db.execute("UPDATE sweeps SET status = ?, message = ? WHERE sweep_id = ?", (status, message, sweep_id))


def started(sweep_id: str, point_id: str) -> None:
    """One attempt more."""
    _change(sweep_id, point_id, "state = ?, attempts = attempts + 1, doing = ''", RUNNING)


def progress(sweep_id: str, point_id: str, doing: str) -> None:
    """What a run is at, in words."""
    _change(sweep_id, point_id, "doing = ?", doing)


def give_back(sweep_id: str, point_id: str, why: str, *, counted: bool = True) -> None:
    """A point waits again: its worker or node was lost, or (not counted as an attempt) its device was busy."""
    minus = "" if counted else ", attempts = attempts - 1"
    _change(sweep_id, point_id, f"state = ?, doing = '', message = ?{minus}", WAITING, why)


def fail(sweep_id: str, point_id: str, why: str, place: dict[str, str]) -> None:
    """A point that will give no result."""
    _change(sweep_id, point_id, "state = ?, doing = '', message = ?, place = ?", FAILED, why, json.dumps(place))


def finish(sweep_id: str, point_id: str, record: RunRecord, place: dict[str, str], seconds: float) -> bool:
    """Keeps a point's result; False, and nothing changed, when it has one already."""
    return _change(
        sweep_id, point_id, "state = ?, doing = '', message = '', record = ?, place = ?, seconds = ?",
        DONE, to_json(record), json.dumps(place), seconds,
    )  # fmt: skip


def _change(sweep_id: str, point_id: str, what: str, *values: object) -> bool:
    """Never of a point that is done: its result stays."""
    with opened() as db:
        statement = f"UPDATE sweep_points SET {what} WHERE sweep_id = ? AND point_id = ? AND state != '{DONE}'"
        return db.execute(statement, (*values, sweep_id, point_id)).rowcount > 0


def try_again(sweep_id: str) -> int:
    """Failed points wait again, with all their attempts; how many they are."""
    with opened() as db:
        statement = "UPDATE sweep_points SET state = ?, attempts = 0 WHERE sweep_id = ? AND state = ?"
        return db.execute(statement, (WAITING, sweep_id, FAILED)).rowcount


def delete(sweep_id: str) -> bool:
    """Removes a sweep with its points; False when there was none."""
    with opened() as db:
        db.execute("DELETE FROM sweep_points WHERE sweep_id = ?", (sweep_id,))
        return db.execute("DELETE FROM sweeps WHERE sweep_id = ?", (sweep_id,)).rowcount > 0


class AlreadyDriven(RuntimeError):
    """Another process of this machine drives the sweep: the message says which."""


@contextmanager
def driving(sweep_id: str) -> Iterator[None]:
    """The right to drive a sweep, of one process at a time. Raises AlreadyDriven."""
    try:
        lock = only_one(f"sweep-{sweep_id}")
        lock.__enter__()
    except Held as e:
        raise AlreadyDriven(f"The sweep {sweep_id} is driven already by {e.holder}: it is shown as it goes.") from e
    try:
        yield
    finally:
        lock.__exit__(None, None, None)
