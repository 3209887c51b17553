"""A file that was asked for outlives other people's runs, and not for ever."""

import pytest
from streamlit.runtime.media_file_manager import MediaFileManager
from streamlit.runtime.media_file_storage import MediaFileStorageError
from streamlit.runtime.memory_media_file_storage import MemoryMediaFileStorage

from pages.shell import kept_files


@pytest.fixture(autouse=True)
def _patched(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the patch for this test alone, whether or not a page of another test has it."""
    found = MediaFileManager._delete_file
    monkeypatch.setattr(MediaFileManager, kept_files.NAME, getattr(found, "__wrapped__", found))
    kept_files.install()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [1000.0]
    monkeypatch.setattr(kept_files.time, "monotonic", lambda: now[0])
    return now


STORED = MemoryMediaFileStorage("/media")


def made(manager: MediaFileManager, content: bytes = b"rows") -> str:
    """A file behind a pressed button; its address ends in this name."""
    asked = manager.add_deferred(lambda: content, "text/csv", "0.1", "rows.csv")
    return manager.execute_deferred(asked).rpartition("/")[2]


def test_runs_of_others_leave_the_file_for_a_minute(clock: list[float]):
    manager = MediaFileManager(STORED)
    name = made(manager)
    for _ in range(5):
        manager.remove_orphaned_files()
    assert STORED.get_file(name).content == b"rows"
    clock[0] += 59
    manager.remove_orphaned_files()
    assert STORED.get_file(name).content == b"rows"
    clock[0] += 1
    manager.remove_orphaned_files()
    with pytest.raises(MediaFileStorageError):
        STORED.get_file(name)


def test_a_file_made_again_has_its_minute_again(clock: list[float]):
    manager = MediaFileManager(STORED)
    name = made(manager)
    for _ in range(2):
        manager.remove_orphaned_files()
    clock[0] += 59
    assert made(manager) == name
    for _ in range(2):
        manager.remove_orphaned_files()
    clock[0] += 59
    manager.remove_orphaned_files()
    assert STORED.get_file(name).content == b"rows"


def test_what_a_page_no_longer_shows_goes_at_once():
    manager = MediaFileManager(STORED)
    address = manager.add(b"picture", "image/png", "0.2")
    manager.clear_session_refs()
    manager.remove_orphaned_files()
    with pytest.raises(MediaFileStorageError):
        STORED.get_file(address.rpartition("/")[2])


def test_installing_twice_wraps_once():
    once = MediaFileManager._delete_file
    kept_files.install()
    assert MediaFileManager._delete_file is once
