"""Sweeps over a real Ray on this machine: a head and two nodes. `make test-cluster` runs it; `make test` does not."""

import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import psutil
import pytest

from core.cluster import store
from core.cluster.points import Sweep
from tests.cluster.local_ray import LocalRay, local_ray
from tests.dashboard import ROOT

SHAPE = ("--query-heads", "4", "--head-dim", "16", "--kernels", "sdpa_enable_gqa")


@pytest.fixture
def ray(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalRay]:
    monkeypatch.setenv("HEADROOM_DATA_DIR", str(tmp_path))
    with local_ray() as cluster:
        monkeypatch.setenv("RAY_ADDRESS", cluster.address)
        yield cluster


@pytest.fixture
def claimed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalRay]:
    """Nodes that claim two H100s, one L4, and two A100s with memory for one run, which nobody has."""
    monkeypatch.setenv("HEADROOM_DATA_DIR", str(tmp_path))
    h100 = ("--num-cpus=3", "--num-gpus=2", '--resources={"accelerator_type:H100": 1}')
    l4 = ("--num-cpus=2", "--num-gpus=1", '--resources={"accelerator_type:L4": 1}')
    a100 = ("--num-cpus=3", "--num-gpus=2", f"--memory={6 * 2**30}", '--resources={"accelerator_type:A100": 1}')
    with local_ray((h100, l4, a100)) as cluster:
        monkeypatch.setenv("RAY_ADDRESS", cluster.address)
        yield cluster


def started(*arguments: str, module: str = "core.cluster") -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", module, *arguments], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True, start_new_session=True,
    )  # fmt: skip


def said(process: "subprocess.Popen[str]") -> Any:
    out, errors = process.communicate(timeout=240)
    assert process.returncode == 0, errors or out
    return json.loads(out.splitlines()[-1])


def newest() -> list[store.KeptPoint]:
    lines = store.sweeps(1)
    return store.points(lines[0].sweep_id) if lines else []


def wait_for(what, seconds: float = 120.0) -> None:
    until = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < until, [(p.state, p.message) for p in newest()]
        time.sleep(0.1)


def done() -> int:
    return sum(p.state == store.DONE for p in newest())


def test_a_node_and_a_worker_are_killed_and_no_point_is_lost_or_there_twice(ray: LocalRay):
    assert [(kind["name"], kind["devices"]) for kind in said(started("devices"))["kinds"]] == [("CPU", 2)]
    sweep = started("sweep", *SHAPE, "--devices", "CPU", "--kv-heads", "4,2,1", "--contexts", "64,128")
    wait_for(lambda: done() >= 1)
    wait_for(lambda: measuring(ray, 1) is not None)
    killed = measuring(ray, 1)
    assert killed is not None
    killed.kill()  # the worker of core.decode, on one node
    wait_for(lambda: done() >= 2)
    wait_for(lambda: measuring(ray, 0) is not None)
    ray.kill(0)
    assert said(sweep) | {"sweep_id": ""} == {
        "sweep_id": "", "status": "complete", "done": 6, "failed": 0, "total": 6,
    }  # fmt: skip
    points = newest()
    assert Counter(p.state for p in points) == {"done": 6}
    assert len({p.record.run_id for p in points if p.record}) == 6
    assert sum(p.attempts for p in points) >= 8
    assert {p.place["ray"] for p in points} == {"2.60.0"}
    assert all(p.place["node"] and p.record and p.record.host["torch"] for p in points)


def measuring(ray: LocalRay, number: int) -> psutil.Process | None:
    """The child that measures on a node, if one does."""
    for child in psutil.Process(ray.nodes[number].pid).children(recursive=True):
        try:
            if "core.decode" in child.cmdline():
                return child
        except psutil.NoSuchProcess:
            continue
    return None


def test_a_driver_that_is_killed_is_followed_by_one_that_goes_on(ray: LocalRay):
    first = started("sweep", *SHAPE, "--devices", "CPU", "--kv-heads", "4,1", "--contexts", "64,128")
    wait_for(lambda: done() >= 1)
    os.killpg(first.pid, 9)
    first.communicate()
    before = {p.point.id: p.record for p in newest() if p.state == store.DONE}
    assert said(started("resume", store.sweeps()[0].sweep_id))["done"] == 4
    assert {p.point.id: p.record for p in newest() if p.point.id in before} == before


def test_a_cancelled_sweep_ends_its_runs_on_the_nodes(ray: LocalRay):
    sweep = Sweep(
        num_query_heads=4, head_dim=16, kv_heads=(4,), contexts=(64, 128, 256), batches=(1,), devices=("CPU",)
    )  # fmt: skip
    sweep_id = store.add(sweep)
    driver = started("resume", sweep_id)
    wait_for(lambda: measuring(ray, 0) is not None or measuring(ray, 1) is not None)
    store.end(sweep_id, store.CANCELLED)
    assert json.loads(driver.communicate(timeout=60)[0].splitlines()[-1])["status"] == "cancelled"
    wait_for(lambda: measuring(ray, 0) is None and measuring(ray, 1) is None, 20)


def test_a_whole_sweep_goes_over_the_clients_address(ray: LocalRay, monkeypatch: pytest.MonkeyPatch):
    """As from a laptop that is no node: ray://HEAD:10001."""
    monkeypatch.setenv("RAY_ADDRESS", ray.client_address)
    sweep = said(started("sweep", *SHAPE, "--devices", "CPU", "--kv-heads", "4,1", "--contexts", "64"))
    assert (sweep["status"], sweep["done"], sweep["failed"]) == ("complete", 2, 0)
    points = newest()
    assert len({p.record.run_id for p in points if p.record}) == 2
    assert all(p.place["node"] and p.seconds for p in points)


def test_runs_that_ask_for_a_gpu_get_the_kind_by_name_and_no_two_hold_one_at_a_time(claimed: LocalRay):
    kinds = said(started("devices"))["kinds"]
    assert [(kind["name"], kind["devices"]) for kind in kinds] == [("A100", 2), ("H100", 2), ("L4", 1)]
    placed = said(started("H100", "L4", module="tests.cluster.placed"))
    assert Counter((p["kind"], p["state"]) for p in placed) == {("H100", "done"): 4, ("L4", "done"): 4}
    nodes = {kind: {p["node"] for p in placed if p["kind"] == kind} for kind in ("H100", "L4")}
    assert [len(found) for found in nodes.values()] == [1, 1]
    assert nodes["H100"] != nodes["L4"]
    assert {p["gpu"] for p in placed if p["kind"] == "H100"} == {"0", "1"}
    assert all(p["shown"] == p["gpu"] for p in placed)  # what torch would see, and what the device's lock is named by
    for device in {(p["node"], p["gpu"]) for p in placed}:
        held = sorted((float(p["begun"]), float(p["ended"])) for p in placed if (p["node"], p["gpu"]) == device)
        assert all(ended <= begun for (_, ended), (begun, _) in pairwise(held))


def test_memory_is_asked_for_too(claimed: LocalRay):
    """4 GiB a run: a node with 6 GiB and two devices holds one run at a time, and every point is measured."""
    placed = said(started("A100", module="tests.cluster.placed"))
    assert Counter(p["state"] for p in placed) == {"done": 4}
    held = sorted((float(p["begun"]), float(p["ended"])) for p in placed)
    assert all(ended <= begun for (_, ended), (begun, _) in pairwise(held))


def test_a_node_that_claims_a_gpu_torch_does_not_see_refuses_the_point_by_name(claimed: LocalRay):
    driver = started("sweep", *SHAPE, "--devices", "L4", "--kv-heads", "4", "--contexts", "64")
    driver.communicate(timeout=240)
    [point] = newest()
    assert (point.state, point.attempts) == ("failed", 1)  # the next attempt would say the same
    assert "torch sees no GPU here" in point.message
