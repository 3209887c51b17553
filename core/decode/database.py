"""The SQLite file of kept runs: opened in WAL, brought up to date, and set aside where it is damaged.

Several servers may share the folder: readers do not wait for a writer (write-ahead log), writers wait for each other up
to BUSY_SECONDS. Each operation opens and closes its own connection, so that nothing is held between them.
"""

import sqlite3
import time
from contextlib import closing, suppress
from pathlib import Path

NAME = "decode_runs.sqlite3"
BUSY_SECONDS = 10
# What each version of the file adds to the one before; PRAGMA user_version says how many of them a file has.
MIGRATIONS = (
    "CREATE TABLE IF NOT EXISTS runs (run_id TEXT PRIMARY KEY, date TEXT NOT NULL, device TEXT NOT NULL, "
    "device_name TEXT NOT NULL, status TEXT NOT NULL, record TEXT NOT NULL)",
    "CREATE INDEX IF NOT EXISTS runs_by_date ON runs (date)",
    "CREATE TABLE IF NOT EXISTS sweeps (sweep_id TEXT PRIMARY KEY, date TEXT NOT NULL, status TEXT NOT NULL, "
    "message TEXT NOT NULL, sweep TEXT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS sweep_points (sweep_id TEXT NOT NULL, point_id TEXT NOT NULL, number INTEGER NOT NULL, "
    "device TEXT NOT NULL, job TEXT NOT NULL, state TEXT NOT NULL DEFAULT 'waiting', "
    "attempts INTEGER NOT NULL DEFAULT 0, doing TEXT NOT NULL DEFAULT '', message TEXT NOT NULL DEFAULT '', "
    "seconds REAL, record TEXT, place TEXT NOT NULL DEFAULT '{}', PRIMARY KEY (sweep_id, point_id))",
)
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


class NewerFile(OSError):
    """The file was written by a Headroom that is newer than this one."""


def connect(folder: Path) -> sqlite3.Connection:
    """A connection to the folder's file, up to date; a damaged file is set aside and a new one begun.

    Raises OSError, sqlite3.Error, and NewerFile where an older Headroom would not know what it reads.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / NAME
    try:
        return _ready(path)
    except sqlite3.DatabaseError as error:
        if not is_damage(error):
            raise
    set_aside(path)
    return _ready(path)


def is_damage(error: sqlite3.Error) -> bool:
    """Whether SQLite says that the file itself is broken, rather than busy, full or out of reach."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in _DAMAGED  # the low byte; the rest says where it was seen


def damaged_files(folder: Path) -> list[Path]:
    """The files that were set aside, oldest first; they stay until somebody removes them."""
    return sorted(folder.glob(f"{Path(NAME).stem}.damaged-*.sqlite3"))


def set_aside(path: Path) -> None:
    """Renames a file that is still damaged, its log beside it; another server may have done so meanwhile."""
    from filelock import FileLock

    with FileLock(path.with_suffix(".lock"), timeout=BUSY_SECONDS):
        if _is_whole(path):
            return
        stem = f"{path.stem}.damaged-{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}-{time.time_ns() % 10**6:06d}"
        for ending in ("", "-wal", "-shm"):
            with suppress(FileNotFoundError):
                path.with_name(path.name + ending).rename(path.with_name(f"{stem}.sqlite3{ending}"))


def _is_whole(path: Path) -> bool:
    try:
        with closing(_ready(path)) as connection:
            return bool(connection.execute("PRAGMA quick_check(1)").fetchone() == ("ok",))
    except sqlite3.DatabaseError as error:
        return not is_damage(error)


def _ready(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=BUSY_SECONDS)
    try:
        _bring_up_to_date(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection


def _bring_up_to_date(connection: sqlite3.Connection, path: Path) -> None:
    version = _version(connection)
    if version > len(MIGRATIONS):
        raise NewerFile(
            f"{path.name} was written by a newer Headroom (version {version} of the file, {len(MIGRATIONS)} is known)"
        )
    if version == len(MIGRATIONS):
        return
    with suppress(sqlite3.OperationalError):  # another server reads; it keeps the old way of writing until next time
        connection.execute("PRAGMA journal_mode = WAL")
    with connection:
        connection.execute("BEGIN IMMEDIATE")
        for statement in MIGRATIONS[_version(connection) :]:
            connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])
