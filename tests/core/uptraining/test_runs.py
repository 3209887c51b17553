"""One process at a time: a real run of a tiny recipe, a cancel, a crash, a closed pipe, and viewers who meet."""

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest

from core.host import children
from core.uptraining import results, runs
from core.uptraining.recipe import Recipe
from core.uptraining.results import Result
from core.uptraining.runs import COMMAND, BusyError, Run, Snapshot
from tests.dashboard import ROOT

TINY = Recipe(train_steps=20, uptrain_percent=10, batch_size=4, num_pairs=2, num_attributes=1, num_values=2, num_keys=4)
# Stand-ins for the worker: one that says a step and then nothing, one that dies, one that refuses.
STEP = {"event": "progress", "phase": "p", "steps_done": 5, "loss": 1.5}
SAYS_A_STEP = f"import sys; sys.stdin.readline(); print({json.dumps(STEP)!r}, flush=True); sys.stdin.read()"
WAITS = ("-c", SAYS_A_STEP)
DIES = ("-c", "import sys; sys.exit(3)")
REFUSES = ("-c", 'print(\'{"event": "failed", "message": "no such head"}\')')
BABBLES = ("-c", "print('not json')")


@pytest.fixture(autouse=True)
def alone() -> Iterator[None]:
    """No run is left from or for another test."""
    runs.stop_all()
    runs._current = None
    runs._remembered.clear()
    yield
    runs.stop_all()
    runs._current = None
    runs._remembered.clear()


@dataclass(frozen=True)
class Real:
    """A run to its end: the run that a second viewer gets meanwhile, where it stands, and what is remembered of it."""

    run: Run
    second: Run
    now: Snapshot
    finished: Result | None


@pytest.fixture(scope="module")
def real() -> Real:
    runs.stop_all()
    run = runs.start(TINY)
    second = runs.start(TINY)
    run.wait(120)
    return Real(run, second, run.snapshot(), runs.finished(TINY))


@pytest.mark.torch
def test_a_real_run_reaches_its_end_and_is_remembered(real: Real) -> None:
    assert real.second is real.run  # a second viewer watches the same one
    assert (real.now.status, real.now.message) == ("done", None)
    assert real.now.fraction == 1.0
    assert real.now.num_points == 10  # MHA, and three methods at G = 4, 2, 1
    result = real.finished
    assert result is not None
    assert [point.num_kv_heads for point in result.of("mean")] == [4, 2, 1]
    assert result.baseline.num_kv_heads == 8


def test_what_ships_answers_at_once_and_a_run_here_takes_its_place() -> None:
    shipped = runs.finished(Recipe())
    assert shipped == results.recorded_result(Recipe())
    assert shipped is not None
    own = replace(shipped, similarity=0.5)
    runs._remembered[Recipe()] = own
    assert runs.finished(Recipe()) is own


def test_what_ran_nowhere_has_no_result() -> None:
    assert runs.finished(TINY) is None


@pytest.mark.torch
def test_a_seed_names_a_result(real: Real) -> None:
    again = Run(TINY)
    again.wait(120)
    assert again.result() == real.finished is not None


@pytest.mark.torch
def test_the_worker_itself_refuses_a_bad_recipe() -> None:
    command = [sys.executable, *COMMAND]
    done = subprocess.run(command, input='{"seed": -1}\n', capture_output=True, text=True, cwd=ROOT, timeout=60)
    assert done.returncode == 1
    assert json.loads(done.stdout) == {
        "event": "failed",
        "message": "seed is -1: give a whole number from 0 to 10,000.",
    }


@pytest.mark.torch
def test_the_worker_ends_with_its_server() -> None:
    long = Recipe(train_steps=2_000, uptrain_percent=50)
    worker = children.start(*COMMAND)
    assert worker.stdin is not None
    assert worker.stdout is not None
    try:
        worker.stdin.write(json.dumps(long.as_dict()) + "\n")
        worker.stdin.flush()
        assert json.loads(worker.stdout.readline())["event"] == "progress"
        worker.stdin.close()
        worker.wait(timeout=30)
    finally:
        children.close(worker)


def wait_for_progress(run: Run) -> None:
    while not run.snapshot().losses and run.snapshot().status == "running":
        run.wait(0.02)


def test_progress_is_what_the_worker_said() -> None:
    run = Run(TINY, WAITS)
    wait_for_progress(run)
    now = run.snapshot()
    assert now.losses == ((5, 1.5),)
    assert now.fraction == 5 / TINY.total_steps
    assert run.result() is None
    run.cancel()


def test_a_cancel_ends_the_process_and_stays() -> None:
    run = Run(TINY, WAITS)
    wait_for_progress(run)
    run.cancel()
    run.cancel()
    assert run._process.poll() is not None
    assert run.snapshot().status == "cancelled"
    assert run.result() is None


@pytest.mark.parametrize(
    ("command", "says"), [(DIES, "exit code 3"), (REFUSES, "no such head"), (BABBLES, "could not be read")]
)
def test_a_failure_says_why(command: tuple[str, ...], says: str) -> None:
    run = Run(TINY, command)
    run.wait(30)
    now = run.snapshot()
    assert now.status == "failed"
    assert says in str(now.message)


def test_another_recipe_waits_its_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "_current", Run(TINY, WAITS))
    with pytest.raises(BusyError, match="Another viewer"):
        runs.start(TINY.with_seed(1))
    runs.stop_all()
    again = runs.start(TINY.with_seed(1))
    assert runs.current() is again


def test_the_dashboard_never_loads_torch() -> None:
    code = "import sys, core.uptraining.runs, core.uptraining.results; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, timeout=60).returncode == 0
