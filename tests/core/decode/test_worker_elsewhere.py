"""A run on other systems' paths: the child answers as on Windows or macOS, and so does what starts and ends it here."""

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from core.decode import store, worker
from core.decode.plan import DecodeJob
from tests.dashboard import ROOT
from tests.elsewhere import SYSTEMS, environment, gone, whole

pytestmark = pytest.mark.torch

LONG = {
    "num_query_heads": 4, "kv_heads": (4, 2, 1), "head_dim": 128, "context_length": 20_000, "batch_size": 2,
    "dtype": "float32", "device": "cpu", "quick": True,
}  # fmt: skip
PLATFORM = {"windows": "win32", "macos": "darwin"}
HOLDS = (
    "import sys\nfrom core.decode.device_lock import device_lock\n"
    "with device_lock('cpu'):\n    print('held', flush=True)\n    sys.stdin.readline()\n"
)
STARTS = (
    "import time\nfrom core.decode import worker\nfrom core.decode.plan import DecodeJob\n"
    f"run = worker.start(DecodeJob(**{LONG!r}))\n"
    "while run.pid is None or not run.state.plan: time.sleep(0.05)\n"
    "print(run.pid, flush=True)\ntime.sleep(600)\n"
)


@pytest.fixture(params=SYSTEMS)
def there(request, tmp_path, monkeypatch) -> Iterator[dict[str, str]]:
    """The environment of a process on that system; this process ends its children as it would there."""
    own = environment(request.param, tmp_path)
    monkeypatch.setenv("HEADROOM_DATA_DIR", own["HEADROOM_DATA_DIR"])
    stand_in = SimpleNamespace(platform=PLATFORM[request.param], executable=sys.executable)
    monkeypatch.setattr("core.host.children.sys", stand_in)
    yield own
    worker.stop_all()
    assert worker.running() == []


def until(run: worker.LiveRun, reached) -> worker.RunState:
    while not reached(run.state):
        assert run.state.running, run.state.message
        time.sleep(0.05)
    return run.state


def test_cancel_ends_the_child_and_keeps_what_was_measured(there):
    run = worker.start(DecodeJob(**LONG), environment=there)
    until(run, lambda state: state.results)
    run.cancel()
    state = run.wait()
    assert (state.status, state.message) == ("stopped", "Cancelled.")
    assert gone(run.pid)
    assert store.load(state.record.run_id).status == "stopped"


def test_the_time_limit_ends_the_child(there, monkeypatch):
    monkeypatch.setattr(worker, "GRACE_SECONDS", 1.0)
    monkeypatch.setattr(worker, "command_line", lambda job, _options: _without_its_own_limit(job))
    run = worker.start(DecodeJob(**LONG, seconds_limit=5), environment=there)
    assert run.wait().message == "Ended at the time limit of 6 s."
    assert gone(run.pid)


_COMMAND_LINE = worker.command_line


def _without_its_own_limit(job: DecodeJob) -> list[str]:
    command = _COMMAND_LINE(job)
    command[command.index("--time-limit") + 1] = "300"
    return command


def test_a_memory_limit_is_watched_and_said(there):
    run = worker.start(DecodeJob(**LONG), "--address-space", "0.4", environment=there)
    state = run.wait()
    assert state.status == "failed"
    assert state.message == (
        "The measurement was ended because memory ran short, which this system leaves to Headroom to watch. "
        "Its last line: it held more than its limit of 0.4 GB"
    )
    assert gone(run.pid)


def test_the_device_is_one_holders_until_it_ends_however_it_ends(there):
    command = [sys.executable, "-c", HOLDS]
    holder = subprocess.Popen(
        command, cwd=ROOT, env=whole(there), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout.readline() == "held\n"
        state = worker.start(DecodeJob(**LONG), environment=there).wait()
        assert state.status == "stopped"
        assert f"Another measurement is running on cpu (process {holder.pid}, started " in state.message
    finally:
        holder.kill()
        holder.communicate()
    run = worker.start(DecodeJob(**LONG), environment=there)
    until(run, lambda state: state.plan)  # past the lock: a busy device ends the run


def test_a_child_ends_with_its_parent(there):
    command = [sys.executable, "-c", STARTS]
    parent = subprocess.Popen(command, cwd=ROOT, env=whole(there), stdout=subprocess.PIPE, text=True)
    child = int(parent.stdout.readline())
    assert not gone(child)
    psutil.Process(parent.pid).kill()
    parent.communicate()
    psutil.wait_procs([psutil.Process(child)] if not gone(child) else [], timeout=20)
    assert gone(child)


def test_contexts_of_a_large_batch_reach_a_child_whose_folders_have_backslashes(there, monkeypatch, tmp_path):
    monkeypatch.setattr(worker, "LONGEST_ARGUMENT", 5)
    monkeypatch.setattr("tempfile.tempdir", there["TEMP"])
    small = {**LONG, "context_length": 256, "kv_heads": (1,), "lengths": (256, 100), "kernels": ("packed_rows_matmul",)}
    state = worker.start(DecodeJob(**small), environment=there).wait()
    assert (state.status, state.message) == ("complete", "")
    assert state.record.job["lengths"] == [256, 100]
    assert list(Path(there["TEMP"]).glob("headroom-run-*")) == []
