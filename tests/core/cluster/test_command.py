"""`python -m core.cluster` without Ray: this host's outcomes, refusals in words, what a list and a comparison print."""

import json
from pathlib import Path

import pytest

from core.cluster import store
from core.cluster.__main__ import main
from core.cluster.local import outcome
from core.cluster.points import Sweep
from core.decode.device_lock import _physical
from core.decode.plan import DecodeJob
from core.decode.worker import RunState
from tests.core.cluster.devices import record_of
from tests.core.decode.records import run_record

JOB = DecodeJob(num_query_heads=8, kv_heads=(8,), head_dim=64, context_length=1024, batch_size=2)


@pytest.fixture(autouse=True)
def data_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADROOM_DATA_DIR", str(tmp_path))
    monkeypatch.delenv("RAY_ADDRESS", raising=False)


@pytest.mark.parametrize(
    ("state", "kind"),
    [
        ({"status": "complete", "record": run_record()}, "record"),
        ({"status": "stopped", "record": run_record(status="stopped")}, "record"),  # at the time limit, with a figure
        ({"status": "failed", "message": "was killed", "record": run_record(status="crashed")}, "lost"),
        ({"status": "failed", "message": "The measurement crashed with SIGSEGV."}, "lost"),
        ({"status": "stopped", "message": "Another measurement is running on cpu (process 1)"}, "busy"),
        ({"status": "stopped", "message": "device is cuda, and torch sees no GPU here"}, "refused"),
        ({"status": "complete", "record": run_record(results=())}, "refused"),
    ],
)
def test_how_a_run_that_is_over_counts(state: dict[str, object], kind: str):
    assert outcome("p", RunState(job=JOB, **state), 2.0, {}).kind == kind


def test_without_an_address_a_cluster_is_refused_in_words(capsys: pytest.CaptureFixture[str]):
    assert main(["devices"]) == 2
    assert "RAY_ADDRESS is not set: set it to ray://HEAD:10001" in capsys.readouterr().err
    assert main(["sweep", "--devices", "H100"]) == 2
    assert store.sweeps()[0].status == "stopped"


def test_a_sweep_that_no_run_takes_is_not_kept(capsys: pytest.CaptureFixture[str]):
    assert main(["sweep", "--kv-heads", "7"]) == 2
    assert "G = 7 does not divide 40 query heads" in capsys.readouterr().err
    assert store.sweeps() == []


def test_show_compares_what_is_done(capsys: pytest.CaptureFixture[str]):
    sweep = Sweep(
        num_query_heads=8, head_dim=64, kv_heads=(8,), contexts=(1024,), batches=(2,), devices=("H100", "L4")
    )  # fmt: skip
    sweep_id, point = store.add(sweep), sweep.points()[0]
    store.finish(sweep_id, point.id, record_of(point), {"host": "n1"}, 2.0)
    assert main(["show", sweep_id, "--prices", "H100=3.6", "--layers", "10"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[1].endswith("L4: G = 8, 2 × 1,024, bfloat16: waiting")
    assert said[2].endswith("20 a million tokens")
    assert json.loads(said[-1])["compared"][0]["cost_per_million"] == pytest.approx(20.0)


@pytest.mark.parametrize("prices", ["HOST=2", "=2", "host=1,host=2", "host"])
def test_a_price_of_no_device_of_the_sweep_is_refused(capsys: pytest.CaptureFixture[str], prices: str):
    sweep = Sweep(num_query_heads=8, head_dim=64, kv_heads=(8,), contexts=(1024,), batches=(2,))
    sweep_id = store.add(sweep)
    try:
        code = main(["show", sweep_id, "--prices", prices])
    except SystemExit as refused:  # argparse's own
        code = refused.code
    assert code == 2
    said = capsys.readouterr().err
    assert "--prices names HOST: the sweep has host." in said or "give prices per hour, each once" in said


def test_failed_points_of_a_sweep_that_is_driven_stay_as_they_are(capsys: pytest.CaptureFixture[str]):
    sweep = Sweep(num_query_heads=8, head_dim=64, kv_heads=(8,), contexts=(1024,), batches=(2,))
    sweep_id, point = store.add(sweep), sweep.points()[0]
    store.fail(sweep_id, point.id, "no memory", {})
    with store.driving(sweep_id):
        assert main(["resume", sweep_id, "--failed-too"]) == 2
    assert "is driven already by" in capsys.readouterr().err
    assert [p.state for p in store.points(sweep_id)] == ["failed"]


def test_a_gpu_is_locked_by_its_own_number(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert [_physical(name) for name in ("cpu", "cuda:0")] == ["cpu", "cuda:0"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,5")
    assert [_physical(name) for name in ("cpu", "cuda:0", "cuda:1", "cuda:2")] == ["cpu", "cuda:3", "cuda:5", "cuda:2"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "MIG-4a/0")
    assert _physical("cuda:0") == "cuda:MIG-4a-0"
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert _physical("cuda:0") == "cuda:0"
