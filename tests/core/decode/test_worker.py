"""The child process of a run: real runs of real kernels, and every way in which one can end."""

import json
import logging
import logging.handlers
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from core.decode import store, worker
from core.decode.__main__ import job_of, parser
from core.decode.arguments import with_contexts
from core.decode.device_lock import DeviceBusy, device_lock
from core.decode.plan import DecodeJob
from tests.elsewhere import gone

pytestmark = pytest.mark.torch

ROOT = Path(__file__).resolve().parents[3]
SMALL = {
    "num_query_heads": 4, "kv_heads": (4, 1), "head_dim": 32, "context_length": 256, "batch_size": 2,
    "dtype": "float32", "device": "cpu", "kernels": ("packed_rows_matmul", "sdpa_enable_gqa"), "quick": True,
}  # fmt: skip
LONG = {**SMALL, "kv_heads": (4, 2, 1), "num_query_heads": 4, "context_length": 20_000, "head_dim": 128, "kernels": ()}


@pytest.fixture(autouse=True)
def own_folders(tmp_path, monkeypatch) -> Iterator[None]:
    """A data directory and a lock of the test's own; nothing runs on afterwards."""
    monkeypatch.setenv("HEADROOM_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    yield
    worker.stop_all()
    assert worker.running() == []


def job(shape: dict[str, object]) -> DecodeJob:
    return DecodeJob(**shape)


def until(run: worker.LiveRun, reached) -> worker.RunState:
    """Waits for a state; a run that ended without it fails the test with its message."""
    while not reached(run.state):
        assert run.state.running, run.state.message
        time.sleep(0.05)
    return run.state


@pytest.fixture
def said() -> Iterator[list[logging.LogRecord]]:
    """What the log of runs says, whatever the root logger is set to."""
    handler = logging.handlers.BufferingHandler(capacity=1_000)
    level = worker.LOG.level
    worker.LOG.addHandler(handler)
    worker.LOG.setLevel(logging.INFO)
    yield handler.buffer
    worker.LOG.removeHandler(handler)
    worker.LOG.setLevel(level)


def test_a_run_measures_checks_and_is_kept(said):
    before = worker.ENDED["complete"]
    run = worker.start(job(SMALL))
    state = run.wait()
    assert (state.status, state.message, state.warning) == ("complete", "", "")
    assert [(r.kv_heads, r.status) for r in state.results] == [(g, "accepted") for g in (4, 4, 1, 1)]
    assert [r.kv_heads for r in state.results if r.best] == [4, 1]
    assert state.record is not None
    assert state.record.roofline is not None
    assert state.record.machine["sampling"] == 0.04  # of the tests: tests/conftest.py
    assert store.load(state.record.run_id) == state.record
    assert "torch" in state.record.host
    assert worker.ENDED["complete"] == before + 1
    begun, ended = said
    assert (begun.getMessage(), begun.run, begun.device) == ("run started", run.key, "cpu")
    assert (ended.getMessage(), ended.run, ended.status) == ("run ended", run.key, "complete")
    assert (ended.kept_as, ended.levelname) == (state.record.run_id, "INFO")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("HEADROOM_NICE", "HEADROOM_NICE is 'low': say how far"),
        ("HEADROOM_SAMPLING", "HEADROOM_SAMPLING is 'low': say how many times"),
    ],
)
def test_a_setting_of_the_host_that_means_nothing_is_named(monkeypatch, name, message):
    monkeypatch.setenv(name, "low")
    state = worker.start(job(SMALL)).wait()
    assert state.status == "stopped"
    assert state.message.startswith(message)


def test_the_contexts_of_a_large_ragged_batch_reach_the_child(monkeypatch):
    monkeypatch.setattr(worker, "LONGEST_ARGUMENT", 5)
    state = worker.start(job({**SMALL, "lengths": (256, 100)})).wait()
    assert (state.status, state.message) == ("complete", "")
    assert state.record is not None
    assert state.record.job["lengths"] == [256, 100]
    assert " --lengths 256,100" in state.record.command  # the file that they came in is gone
    assert "@" not in state.record.command


@pytest.mark.parametrize("given", [("--lengths", "@{}"), ("--lengths=@{}",), ("--len", "@{}")])
def test_the_command_of_the_largest_ragged_batch_runs_without_its_file(tmp_path, given):
    lengths = tuple(16_000_000 + i for i in range(65_536))  # 589,823 letters, and Linux takes 131,072 of one argument
    file = tmp_path / "lengths"
    file.write_text(",".join(map(str, lengths)), encoding="utf-8")
    asked = ["run", *(part.format(file) for part in given), "--quick"]
    command = with_contexts(asked, parser().parse_args(asked).lengths)
    file.unlink()
    assert "--quick" in command
    assert max(map(len, command)) < 131_072
    assert job_of(parser().parse_args(command)).lengths == lengths


def test_contexts_in_a_file_that_cannot_be_read_are_named(tmp_path):
    command = [sys.executable, "-m", "core.decode", "run", "--lengths", f"@{tmp_path}/none"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert f"'{tmp_path}/none' cannot be read" in done.stderr


def test_two_at_once_are_one_and_a_message():
    first = worker.start(job(LONG))
    with pytest.raises(DeviceBusy, match="already running on this device"):
        worker.start(job(SMALL))
    assert worker.running() == [first]
    first.cancel()
    assert first.wait().status == "stopped"


def test_a_terminal_that_holds_the_device_is_named(tmp_path):
    """Before torch is loaded."""
    (tmp_path / "torch.py").write_text("raise SystemExit('torch was loaded')")
    with device_lock("cpu"):
        state = worker.start(job(SMALL), environment={**os.environ, "PYTHONPATH": str(tmp_path)}).wait()
    assert state.status == "stopped"
    assert f"Another measurement is running on cpu (process {os.getpid()}" in state.message


def test_cancel_ends_the_child_and_keeps_what_was_measured():
    run = worker.start(job(LONG))
    until(run, lambda state: len(state.results) >= 2)
    pid = run.pid
    run.cancel()
    state = run.wait()
    assert (state.status, state.message) == ("stopped", "Cancelled.")
    assert gone(pid)
    kept = store.load(state.record.run_id)
    assert kept.status == "stopped"
    assert len(kept.results) >= 2


def test_a_killed_child_is_a_message_and_harms_nothing():
    run = worker.start(job(LONG))
    until(run, lambda state: state.results)
    pid = run.pid
    psutil.Process(pid).kill()
    state = run.wait()
    assert state.status == "failed"
    assert gone(pid)
    assert state.message.startswith("The measurement was killed by the system, most likely because memory ran out.")
    assert state.record.status == "crashed"
    with device_lock("cpu"):  # the lock died with its holder: this raises DeviceBusy otherwise
        assert worker.running() == []


def test_a_crash_names_its_signal():
    run = worker.start(job(LONG))
    until(run, lambda state: state.plan)
    os.kill(run.pid, signal.SIGSEGV)
    assert "crashed with SIGSEGV" in run.wait().message


def test_memory_that_runs_out_is_a_message():
    # 2 GB of address space hold torch and the 0.74 GB cache, but no second copy of it: a kernel fails, the run goes on
    shape = {
        **LONG,
        "kv_heads": (1,),
        "context_length": 60_000,
        "batch_size": 12,
        "kernels": ("packed_rows_matmul", "packed_rows_matmul_transposed"),
    }
    state = worker.start(job(shape), "--address-space", "2").wait()
    assert state.status == "complete", state.message
    found = {r.kernel: r for r in state.results}
    assert found["packed_rows_matmul_transposed"].status == "failed"
    assert found["packed_rows_matmul_transposed"].detail.startswith("ran out of memory: ")


def test_too_little_memory_is_said_before_the_run():
    state = worker.start(job(SMALL), "--memory-limit", "0.01").wait()
    assert state.status == "stopped"
    assert "0.01 GB of memory are free, and the smallest run needs" in state.message


def test_a_data_directory_that_cannot_be_written_loses_nothing(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("HEADROOM_DATA_DIR", str(tmp_path / "file" / "below"))
    state = worker.start(job(SMALL)).wait()
    assert state.status == "complete"
    assert state.warning.startswith("Runs cannot be kept in ")
    assert any(r.best for r in state.results)


def test_a_child_ends_with_its_parent(tmp_path):
    script = (
        "import time\nfrom core.decode import worker\nfrom core.decode.plan import DecodeJob\n"
        f"run = worker.start(DecodeJob(**{LONG!r}))\n"
        "while run.pid is None or not run.state.plan: time.sleep(0.05)\n"
        "print(run.pid, flush=True)\ntime.sleep(600)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    child = int(parent.stdout.readline())
    assert not gone(child)
    parent.kill()
    parent.wait()
    parent.stdout.close()
    for _ in range(200):
        if gone(child):
            return
        time.sleep(0.05)
    pytest.fail(f"process {child} outlived its parent")


def test_the_server_stops_every_run():
    run = worker.start(job(LONG))
    until(run, lambda state: state.plan)
    worker.stop_all()
    assert run.state.message == "Ended with the server."
    assert gone(run.pid)


def test_the_dashboards_process_never_loads_torch():
    said = subprocess.run(
        [sys.executable, "-c", "import sys, core.decode.worker, core.decode.store; print('torch' in sys.modules)"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert said.stdout.strip() == "False"


BLOCKED = (
    "import sys\n"
    "missing = ('streamlit', 'altair', 'pandas', 'transformers', 'huggingface_hub', 'yaml', 'psutil', 'platformdirs')\n"
    "sys.modules.update(dict.fromkeys(missing))\n"
    "from core.decode.__main__ import main\nsys.exit(main(sys.argv[1:]))\n"
)


def terminal(*arguments: str) -> subprocess.CompletedProcess[str]:
    """The command line, in a Python that cannot import Streamlit, Altair or pandas."""
    return subprocess.run(
        [sys.executable, "-c", BLOCKED, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=500, check=False
    )


def test_the_terminal_ends_in_one_json_object_and_needs_no_streamlit():
    done = terminal(
        "run", "--query-heads", "4", "--kv-heads", "4,1", "--head-dim", "32", "--context", "128", "--batch", "1",
        "--dtype", "bfloat16", "--device", "cpu", "--kernels", "packed_rows_matmul,split_k_flash", "--quick",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout.splitlines()[-1])
    assert said["device"] == "cpu"
    assert said["roofline"]["bytes_per_second"] > 0
    assert said["roofline"]["flops_per_second"] > 0
    wanted = {"kv_heads", "dtype", "kernel", "median_ms", "kv_bytes", "relative_error", "roofline_fraction", "best"}
    assert all(wanted <= set(result) for result in said["results"])
    assert [(r["kv_heads"], r["kernel"]) for r in said["results"]] == [
        (4, "packed_rows_matmul"), (4, "split_k_flash"), (1, "packed_rows_matmul"), (1, "split_k_flash"),
    ]  # fmt: skip
    assert sum(r["best"] for r in said["results"]) == 2
    assert {r["kv_heads"]: r["kv_bytes"] for r in said["results"]} == {4: 65_536, 1: 16_384}  # 2 x G x 32 x 2 x 128
    kept = store.history()
    assert [line.run_id for line in kept] == [said["run_id"]]
    compared = terminal("compare", said["run_id"], said["run_id"])
    assert [r["time_per_byte_ratio"] for r in json.loads(compared.stdout.splitlines()[-1])["results"]] == [1.0, 1.0]


def test_the_roofline_alone():
    said = json.loads(terminal("roofline", "--dtype", "float32").stdout.splitlines()[-1])
    assert set(said["roofline"]) == {"bytes_per_second", "flops_per_second", "exponentials_per_second"}
    assert all(rate > 0 for rate in said["roofline"].values())


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("run", "--kv-heads", "7"), 2, "G = 7 does not divide 40 query heads"),
        (("run", "--kernels", "magic", "--context", "64"), 2, "no kernel magic on cpu: choose among"),
        (("run", "--step", "1,2"), 2, "--step has 2 numbers"),
        (("run", "--lengths", "a"), 2, "give whole numbers separated by commas"),
        (("run", "--lengths", "5,9", "--batch", "3"), 2, "--batch is 3, and --lengths has 2: leave --batch out."),
        (("run", "--seed", "9" * 30), 2, f"seed is {'9' * 30}: give 0 to 9,223,372,036,854,775,807."),
        (("run", "--device", "cuda"), 2, "torch sees no GPU here"),
        (("compare", "x", "y"), 2, "no run 'x'"),
    ],
)
def test_a_wrong_command_says_what_to_do(arguments, code, message):
    done = terminal(*arguments)
    assert done.returncode == code
    assert message in done.stderr
