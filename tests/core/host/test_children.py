"""A worker's life: started with lines of text either way, ended with all that it started, its end in words."""

import json
import subprocess

import psutil
import pytest

from core.host import children, guard, lock
from tests.core.host.systems import seem
from tests.dashboard import ROOT
from tests.elsewhere import gone

SYSTEMS = ("linux", "macos", "windows")
# A worker whose own child has left its group, and tells the number of it
STARTS_ANOTHER = (
    "import subprocess, sys\n"
    "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'], start_new_session=True)\n"
    "print(child.pid, flush=True)\nsys.stdin.readline()\n"
)
SAYS_WHERE = (
    "import json, os, sys\n"
    "print(json.dumps([os.getcwd(), sys.path[1], sys.stdin.readline(), 'G ≤ H'], ensure_ascii=False), flush=True)\n"
)


def test_lines_go_both_ways_in_utf_8_from_headrooms_folder():
    worker = children.start("-c", SAYS_WHERE)
    worker.stdin.write("8 → 1\n")
    worker.stdin.flush()
    assert json.loads(worker.stdout.readline()) == [str(ROOT), str(ROOT), "8 → 1\n", "G ≤ H"]
    assert worker.wait(timeout=60) == 0
    assert children.close(worker) == 0


@pytest.mark.parametrize("system", SYSTEMS)
def test_nothing_that_it_started_is_left(monkeypatch, system):
    seem(monkeypatch, system)
    worker = children.start("-c", STARTS_ANOTHER)
    other = int(worker.stdout.readline())
    assert not gone(other)
    children.close(worker)
    assert gone(worker.pid)
    psutil.wait_procs([psutil.Process(other)] if not gone(other) else [], timeout=20)
    assert gone(other)


@pytest.mark.parametrize("system", SYSTEMS)
def test_ending_what_has_ended_is_no_error(monkeypatch, system):
    seem(monkeypatch, system)
    worker = children.start("-c", "pass")
    assert worker.wait(timeout=60) == 0
    children.end(worker)
    assert children.close(worker) == 0


def test_it_ends_without_psutil_and_without_its_view_of_processes(monkeypatch):
    monkeypatch.setattr(children, "psutil", lambda: None)
    for _ in range(2):
        worker = children.start("-c", "import sys; sys.stdin.readline()")
        children.close(worker)
        assert worker.returncode == -9
        monkeypatch.setattr(children, "psutil", lambda: psutil)
        monkeypatch.setattr(psutil, "Process", _no_such_process)


def _no_such_process(pid):
    raise psutil.NoSuchProcess(pid)  # as where /proc is out of reach


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (3, "ended with exit code 3 and without a result"),
        (-11, "crashed with SIGSEGV"),
        (-9, "was killed by the system, most likely because memory ran out"),
        (-250, "crashed with signal 250"),
        (86, "was ended because memory ran short, which this system leaves to Headroom to watch"),
        (0xC0000005, "crashed with an access violation"),
        (0xC0000017, "was ended by the system, because memory ran out"),
        (0xC00000FD, "crashed with status 0xc00000fd"),
    ],
)
def test_an_ending_in_words(code, words):
    assert children.ending(code) == words


def run(script: str, **environment: str) -> subprocess.Popen[str]:
    return children.start("-c", script, environment=environment)


AS_ON = (
    "from types import SimpleNamespace\nfrom core.host import guard, linux\n"
    "guard.sys = linux.sys = SimpleNamespace(platform={!r})\n"
)


@pytest.mark.parametrize("platform", ["linux", "darwin", "win32"])
def test_a_worker_goes_when_its_parent_does(platform):
    """The parent is a process that starts a worker and is killed; the worker tells its number first."""
    guarded = (
        AS_ON.format(platform) + "import os, time\n"
        "guard.end_with_parent(holds_stdin=False, waited_for=True)\nprint(os.getpid(), flush=True)\ntime.sleep(600)\n"
    )
    starts = f"from core.host import children\nw = children.start('-c', {guarded!r})\nprint(w.stdout.readline())\n"
    parent = run(starts + "import sys; sys.stdout.flush(); sys.stdin.readline()")
    worker = psutil.Process(int(parent.stdout.readline()))
    psutil.Process(parent.pid).kill()
    parent.communicate()
    psutil.wait_procs([worker], timeout=20)
    assert gone(worker.pid)


@pytest.mark.parametrize("platform", ["darwin", "win32"])
def test_a_watched_limit_ends_the_process(platform):
    script = (
        AS_ON.format(platform) + "import time\n"
        "print(guard.limit_memory(200_000_000), flush=True)\nheld = bytearray(b'1') * 300_000_000\ntime.sleep(600)\n"
    )
    worker = run(script)
    assert worker.stdout.readline() == "False\n"
    assert worker.wait(timeout=60) == guard.ENDED_BY_MEMORY
    children.close(worker)


def test_an_enforced_limit_fails_an_allocation_and_the_process_goes_on():
    script = (
        "from core.host import guard\nprint(guard.limit_memory(600_000_000), flush=True)\n"
        "try: bytearray(900_000_000)\nexcept MemoryError: print('no memory', flush=True)\n"
    )
    worker = run(script)
    assert worker.stdout.read().split("\n")[:2] == ["True", "no memory"]
    assert children.close(worker) == 0


@pytest.mark.parametrize("platform", ["darwin", "win32"])
def test_where_almost_no_memory_is_left_the_worker_goes(platform):
    script = (
        AS_ON.format(platform) + "import time\n"
        "guard.total_bytes, guard.free_bytes = lambda: 32 * 10**9, lambda: 10**8\n"
        "guard.prefer_to_be_killed()\ntime.sleep(600)\n"
    )
    worker = run(script)
    assert worker.wait(timeout=60) == guard.ENDED_BY_MEMORY
    children.close(worker)


def test_a_name_is_held_once_and_says_by_whom(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    held = rf"held by process {psutil.Process().pid}, started \d\d:"
    with lock.only_one("it"), pytest.raises(lock.Held, match=held), lock.only_one("it"):
        pytest.fail("held twice")
    with lock.only_one("it"):
        lock.lock_path("it").with_suffix(".holder").unlink()
        with pytest.raises(lock.Held, match="held by another process"), lock.only_one("it"):
            pytest.fail("held twice")


def test_a_link_laid_in_the_holders_place_is_not_written_through(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    precious = tmp_path / "precious"
    precious.write_text("kept", encoding="utf-8")
    lock.lock_path("it").with_suffix(".holder").symlink_to(precious)
    with lock.only_one("it"):
        assert precious.read_text(encoding="utf-8") == "kept"


def test_the_locks_name_has_the_user_where_users_share_the_folder(monkeypatch):
    seem(monkeypatch, "windows")
    assert lock.lock_path("decode-cpu").name == "headroom-decode-cpu.lock"
    monkeypatch.undo()
    assert lock.lock_path("decode-cpu").name.startswith("headroom-decode-cpu-")
