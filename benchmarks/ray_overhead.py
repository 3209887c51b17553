"""What Ray costs a point, and what a lost node costs a sweep: `python -m benchmarks.ray_overhead [--points 40]`.

On one machine, with ray installed (.venv-cluster of `make test-cluster`): a head and two nodes of one CPU; a sweep over
both of which one is killed after the first results; then pairs of one point over the node that is left and the same
point by the local worker, in turns, whichever is first changing each time. Prints each, and one JSON object last: the
sweep's results, the median pair's ratio of seconds, and that of CPU seconds, which a busy machine disturbs less (all of
the cluster's processes and this driver, against this driver and its worker). A pair before the first is not counted: it
starts Ray's worker process. Points last as long as the worker takes for a small shape, seconds of starting torch
included; no kernel is compiled (CXX=false) and torch has one thread on both sides.

    --client              the driver joins by ray://, as from a machine that is no node
    --keep DIR --for 200  a sweep that is stopped after 200 s, and goes on with the next call on the same folder
"""

import argparse
import json
import os
import statistics
import tempfile
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from core.cluster import nodes, store
from core.cluster.local import ThisHost
from core.cluster.points import CPU, HOST, Sweep
from core.cluster.queue import Devices, Drive
from tests.cluster.local_ray import LocalRay, local_ray


def sweep_of(count: int, device: str, seed: int) -> Sweep:
    """`count` points of one device: contexts of 256 tokens and more, at G = 1."""
    return Sweep(
        num_query_heads=8, head_dim=64, kv_heads=(1,), contexts=tuple(256 + 16 * n for n in range(count)), batches=(1,),
        devices=(device,), kernels=("sdpa_enable_gqa",), seed=seed,
    )  # fmt: skip


def killed_mid_sweep(cluster: LocalRay, points: int, seconds: float | None) -> dict[str, object]:
    """A sweep during which the first node goes once a tenth of the points is done; a kept one goes on."""
    lines = store.sweeps(1)
    sweep_id = lines[0].sweep_id if lines else store.add(sweep_of(points, CPU, seed=1))
    before, begun, stopping = done(store.points(sweep_id)), time.monotonic(), threading.Event()

    def disturb() -> None:
        killed = False
        while not stopping.wait(0.5):
            if not killed and done(store.points(sweep_id)) >= before + max(1, points // 10):
                cluster.kill(0)
                killed = True
            if seconds and time.monotonic() - begun > seconds:
                store.end(sweep_id, store.CANCELLED)

    watcher = threading.Thread(target=disturb, daemon=True)
    watcher.start()
    Drive(sweep_id=sweep_id, sources=(nodes.Cluster((CPU,)),)).run()
    stopping.set()
    watcher.join()
    ended = store.points(sweep_id)
    runs = [p.record.run_id for p in ended if p.record]
    return {
        "points": len(ended), "results": done(ended), "different": len(set(runs)),
        "attempts": sum(p.attempts for p in ended), "seconds": round(time.monotonic() - begun, 1),
    }  # fmt: skip


def done(points: Iterable[store.KeptPoint]) -> int:
    return sum(p.state == store.DONE for p in points)


def cpu_seconds(roots: Iterable[int]) -> float:
    """What these processes and all that they started have used, with those that ended and were waited for."""
    found: dict[int, float] = {}
    for root in roots:
        with suppress(psutil.Error):
            for process in (psutil.Process(root), *psutil.Process(root).children(recursive=True)):
                with suppress(psutil.Error):
                    found[process.pid] = sum(process.cpu_times()[:4])
    return sum(found.values())


def taken(sweep: Sweep, source: Devices, roots: Iterable[int]) -> tuple[float, float]:
    """Seconds of a sweep, and CPU seconds of the processes under `roots` meanwhile."""
    sweep_id, begun, used = store.add(sweep), time.monotonic(), cpu_seconds(roots)
    Drive(sweep_id=sweep_id, sources=(source,)).run()
    if not all(p.state == store.DONE for p in store.points(sweep_id)):
        raise SystemExit(f"a point gave no result: {[p.message for p in store.points(sweep_id)]}")
    return time.monotonic() - begun, cpu_seconds(roots) - used


def paired(cluster: LocalRay, pairs: int) -> dict[str, object]:
    """The same point over Ray and here, in turns."""
    own = [os.getpid()]
    sides: dict[str, tuple[str, Devices, list[int]]] = {
        "ray": (CPU, nodes.Cluster((CPU,)), [*own, *cluster.pids]), "here": (HOST, ThisHost(), own),
    }  # fmt: skip
    found: list[dict[str, tuple[float, float]]] = []
    for pair in range(pairs + 1):
        order = sorted(sides, reverse=pair % 2 == 0)
        both = {}
        for name in order:
            device, source, roots = sides[name]
            both[name] = taken(sweep_of(1, device, seed=pair), source, roots)
        print(f"pair {pair}: " + ", ".join(f"{n} {s:.1f} s, {c:.1f} CPU s" for n, (s, c) in both.items()), flush=True)
        found.append(both)
    counted = found[1:]
    return {
        "pairs": pairs, "seconds_a_point_here": round(statistics.median(both["here"][0] for both in counted), 2),
        "ray_over_local": _ratio(counted, 0), "ray_over_local_cpu": _ratio(counted, 1),
    }  # fmt: skip


def _ratio(pairs: list[dict[str, tuple[float, float]]], what: int) -> float:
    return round(statistics.median(both["ray"][what] / both["here"][what] for both in pairs), 3)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--points", type=int, default=40, help="of the sweep in which a node is killed; 0: none")
    options.add_argument("--pairs", type=int, default=5, help="of the same point over Ray and here; 0: none")
    options.add_argument("--client", action="store_true", help="join by ray://")
    options.add_argument("--keep", type=Path, help="keep the sweep in this folder, and go on with the one there")
    options.add_argument("--for", type=float, dest="seconds", help="stop the sweep after so many seconds")
    asked = options.parse_args()
    said: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder, local_ray() as cluster:
        os.environ |= {"HEADROOM_DATA_DIR": str(asked.keep or folder), "CXX": "false", "OMP_NUM_THREADS": "1"}
        nodes.connect(cluster.client_address if asked.client else cluster.address)
        if asked.points:
            said["swept"] = killed_mid_sweep(cluster, asked.points, asked.seconds)
            print(said["swept"], flush=True)
        if asked.pairs:
            said |= paired(cluster, asked.pairs)
        print(json.dumps(said))


if __name__ == "__main__":
    main()
