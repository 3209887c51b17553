"""Runs kept in SQLite under HEADROOM_DATA_DIR, so that they outlive the dashboard and can be compared.

A run is stored as one JSON record, every sample included, beside the columns that a history lists. A data directory
that cannot be written is a StoreUnavailable that says so; the run itself is never lost for it.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from core.decode.database import NAME, NewerFile, connect, damaged_files, is_damage, set_aside
from core.decode.record_files import InvalidRecord, from_json, to_json
from core.decode.records import KernelResult, RunRecord
from core.host.folders import data_directory

_ELSEWHERE = "HEADROOM_DATA_DIR to a folder that can be written."
MOST_LISTED = 2_000
RECORDED_RUNS = Path(__file__).resolve().parents[1] / "data" / "decode_runs"


class StoreUnavailable(OSError):
    """The data directory cannot be read or written: the message names it and says what to do."""


@dataclass(frozen=True, kw_only=True)
class RunLine:
    """One line of the history."""

    run_id: str
    date: str
    device: str
    device_name: str
    status: str


@contextmanager
def opened() -> Iterator[sqlite3.Connection]:
    """A connection to the data directory's file for one operation. Raises StoreUnavailable."""
    folder: Path | str = "the usual folder"
    connection: sqlite3.Connection | None = None
    try:
        folder = data_directory()
        connection = connect(folder)
        with connection:
            yield connection
    except NewerFile as e:
        raise StoreUnavailable(f"Runs cannot be kept in {folder}: {e}. Update Headroom, or set {_ELSEWHERE}") from e
    except (OSError, sqlite3.Error) as e:
        if connection is not None:
            connection.close()  # a file that is open cannot be renamed everywhere
        raise StoreUnavailable(f"Runs cannot be kept in {folder}: {e}. {_advice(e, folder)}") from e
    finally:
        if connection is not None:
            connection.close()


def _advice(error: Exception, folder: Path | str) -> str:
    """What to do about it. A file found damaged in the middle of an operation is set aside for the next one."""
    if isinstance(error, sqlite3.Error) and is_damage(error) and isinstance(folder, Path):
        set_aside(folder / NAME)
        return "The damaged file is set aside: do it again."
    if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL:
        return f"Make room on its disk, or set {_ELSEWHERE}"
    return f"Set {_ELSEWHERE}"


def set_aside_files() -> list[Path]:
    """Files of kept runs that could not be read and were put beside the new one, oldest first."""
    try:
        return damaged_files(data_directory())
    except OSError:
        return []


def save(record: RunRecord) -> None:
    """Keeps a run, replacing one of the same id. Raises StoreUnavailable."""
    with opened() as db:
        db.execute("INSERT OR REPLACE INTO runs VALUES (?, ?, ?, ?, ?, ?)", _row(record))


def add(record: RunRecord) -> bool:
    """Keeps a run that comes from elsewhere; False, and nothing changed, when one of its id is already kept.

    Raises StoreUnavailable.
    """
    with opened() as db:
        return db.execute("INSERT OR IGNORE INTO runs VALUES (?, ?, ?, ?, ?, ?)", _row(record)).rowcount > 0


def _row(record: RunRecord) -> tuple[str, ...]:
    return (record.run_id, record.date, record.device, record.device_name, record.status, to_json(record))


def history(limit: int = MOST_LISTED) -> list[RunLine]:
    """The newest runs first, at most limit. Raises StoreUnavailable."""
    columns = ("run_id", "date", "device", "device_name", "status")
    with opened() as db:
        rows = db.execute(f"SELECT {', '.join(columns)} FROM runs ORDER BY date DESC LIMIT ?", (limit,)).fetchall()
    return [RunLine(**dict(zip(columns, row, strict=True))) for row in rows]


def load(run_id: str) -> RunRecord | None:
    """One run, or None when there is none of that id. Raises StoreUnavailable."""
    with opened() as db:
        row = db.execute("SELECT record FROM runs WHERE run_id = ?", (run_id,)).fetchone()
    return from_json(row[0]) if row else None


def delete(run_id: str) -> bool:
    """Removes a run; False when there was none. Raises StoreUnavailable."""
    with opened() as db:
        return db.execute("DELETE FROM runs WHERE run_id = ?", (run_id,)).rowcount > 0


def recorded_runs(folder: Path = RECORDED_RUNS) -> list[RunRecord]:
    """The runs shipped with Headroom, newest first. Raises InvalidRecord, naming the file."""
    runs = []
    for path in sorted(folder.glob("*.json")):
        try:
            runs.append(from_json(path.read_text(encoding="utf-8")))
        except InvalidRecord as e:
            raise InvalidRecord(f"{path.name}: {e}") from e
    return sorted(runs, key=lambda run: run.date, reverse=True)


@dataclass(frozen=True, kw_only=True)
class ComparedRow:
    """The best kernels of two runs at one G and dtype."""

    kv_heads: int
    dtype: str
    first: KernelResult
    second: KernelResult

    @property
    def ratio(self) -> float:
        """Seconds per KV byte of the second over the first: below 1 the second is faster, whatever the shapes."""
        a, b = self.first, self.second
        return ((b.median_seconds or 0) / b.kv_bytes) / ((a.median_seconds or 1) / a.kv_bytes)


def compare(first: RunRecord, second: RunRecord) -> list[ComparedRow]:
    """The G and dtype that both runs measured, in the order of the first."""
    theirs = {(r.kv_heads, r.dtype): r for r in second.results if r.best}
    return [
        ComparedRow(kv_heads=r.kv_heads, dtype=r.dtype, first=r, second=theirs[r.kv_heads, r.dtype])
        for r in first.results
        if r.best and (r.kv_heads, r.dtype) in theirs
    ]
