"""The file of kept runs: killed writers, a damaged, a full, an older and a newer file."""

import json
import sqlite3
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from core.decode import database, store
from core.decode.records import RunRecord
from tests.core.decode.records import run_record
from tests.dashboard import ROOT


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    kept = tmp_path / "kept"
    monkeypatch.setenv("HEADROOM_DATA_DIR", str(kept))
    return kept


@pytest.mark.skipif(sys.platform == "win32", reason="writers are forks")
def test_two_hundred_kills_lose_no_committed_run() -> None:
    command = [sys.executable, "-m", "tests.core.decode.killed_writer", "--kills", "200"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    assert found["kills"] >= 200
    assert found["commits"] >= 200  # up to three are waited for before each kill
    assert found["lost"] == 0


def test_the_log_is_written_ahead(folder: Path) -> None:
    store.save(run_record())
    with sqlite3.connect(folder / database.NAME) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()


@pytest.mark.parametrize("content", [b"not a database at all, and longer than a header has to be " * 40, b"SQLite"])
def test_a_damaged_file_is_set_aside_and_a_new_one_begun(folder: Path, content: bytes) -> None:
    folder.mkdir()
    (folder / database.NAME).write_bytes(content)
    store.save(run_record())
    assert [line.run_id for line in store.history()] == [run_record().run_id]
    (aside,) = store.set_aside_files()
    assert aside.name.startswith("decode_runs.damaged-")
    assert aside.read_bytes() == content


def test_damage_found_in_the_middle_is_said_and_the_next_time_works(folder: Path) -> None:
    record = run_record()
    for number in range(20):
        store.save(replace(record, run_id=f"run-{number}"))
    path = folder / database.NAME
    whole = bytearray(path.read_bytes())
    assert len(whole) > 8_192
    whole[4_096:] = b"\xff" * (len(whole) - 4_096)  # the first page says that all is well
    path.write_bytes(whole)
    with pytest.raises(store.StoreUnavailable, match="The damaged file is set aside: do it again"):
        store.history()
    assert store.history() == []
    assert len(store.set_aside_files()) == 1


def test_a_file_of_before_gets_what_it_lacks_and_keeps_its_runs(folder: Path) -> None:
    folder.mkdir()
    with sqlite3.connect(folder / database.NAME) as connection:
        connection.execute(database.MIGRATIONS[0])
        connection.execute("INSERT INTO runs VALUES ('old', '2024', 'cpu', 'a', 'complete', '{}')")
    connection.close()
    assert [line.run_id for line in store.history()] == ["old"]
    with sqlite3.connect(folder / database.NAME) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (len(database.MIGRATIONS),)
        assert ("runs_by_date",) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'index'").fetchall()
    connection.close()


def test_a_newer_file_is_left_as_it_is(folder: Path) -> None:
    store.save(run_record())
    with sqlite3.connect(folder / database.NAME) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(store.StoreUnavailable, match=r"written by a newer Headroom .*99.* Update Headroom"):
        store.history()
    assert store.set_aside_files() == []


def save_a_hundred(record: RunRecord) -> None:
    for number in range(100):
        store.save(replace(record, run_id=f"more-{number}"))


def test_a_full_disk_is_said_and_what_was_kept_stays(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record = run_record()
    store.save(record)
    ready = database._ready

    def with_no_room(path: Path) -> sqlite3.Connection:
        connection = ready(path)
        connection.execute("PRAGMA max_page_count = 1")  # SQLite's own way to be full: no more pages than there are
        return connection

    monkeypatch.setattr(database, "_ready", with_no_room)
    with pytest.raises(store.StoreUnavailable, match=r"full\. Make room on its disk, or set HEADROOM_DATA_DIR"):
        save_a_hundred(record)
    assert store.load(record.run_id) == record
