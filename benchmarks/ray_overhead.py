"""What Ray costs a point, and what a lost node costs a sweep: `python -m benchmarks.ray_overhead [--points 40]`.

On one machine, with ray installed (.venv-cluster of `make test-cluster`): a head and two nodes of one CPU; a sweep over
both of which one is killed after the first results; then a few points over the node that is left and the same points by
the local worker, in turns. Prints each, and one JSON object last: results, and seconds a point over Ray by seconds a
point here. Points are as long as the worker takes for a small shape, seconds of starting torch included; no kernel is
compiled (CXX=false) and torch has one thread on both sides.
"""

import argparse
import json
import os
import tempfile
import threading
import time
from collections.abc import Iterable

from core.cluster import kept, nodes
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


def driven(sweep: Sweep, source: Devices) -> tuple[str, float]:
    """The sweep's id and the seconds that all of it took."""
    sweep_id, begun = kept.add(sweep), time.monotonic()
    Drive(sweep_id=sweep_id, sources=(source,)).run()
    return sweep_id, time.monotonic() - begun


def killed_mid_sweep(cluster: LocalRay, points: int) -> dict[str, object]:
    """A sweep during which the first node goes once a tenth of the points is done."""

    def kill() -> None:
        while not (lines := kept.sweeps(1)) or done(kept.points(lines[0].sweep_id)) < max(1, points // 10):
            time.sleep(0.5)
        cluster.kill(0)

    threading.Thread(target=kill, daemon=True).start()
    sweep_id, seconds = driven(sweep_of(points, CPU, seed=1), nodes.Cluster((CPU,)))
    ended = kept.points(sweep_id)
    runs = [p.record.run_id for p in ended if p.record]
    return {
        "points": points, "results": done(ended), "different": len(set(runs)), "seconds": round(seconds, 1),
        "attempts": sum(p.attempts for p in ended),
    }  # fmt: skip


def done(points: Iterable[kept.KeptPoint]) -> int:
    return sum(p.state == kept.DONE for p in points)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--points", type=int, default=40)
    options.add_argument("--ratio-points", type=int, default=3)
    options.add_argument("--turns", type=int, default=2)
    asked = options.parse_args()
    with tempfile.TemporaryDirectory() as folder, local_ray() as cluster:
        os.environ |= {"HEADROOM_DATA_DIR": folder, "CXX": "false", "OMP_NUM_THREADS": "1"}
        nodes.connect(cluster.address)
        swept = killed_mid_sweep(cluster, asked.points)
        print(swept, flush=True)
        by_ray, here = 0.0, 0.0
        over_ray = nodes.Cluster((CPU,))
        for turn in range(asked.turns):
            by_ray += driven(sweep_of(asked.ratio_points, CPU, seed=turn), over_ray)[1]
            here += driven(sweep_of(asked.ratio_points, HOST, seed=turn), ThisHost())[1]
            print(f"after turn {turn + 1}: {by_ray:.1f} s over Ray, {here:.1f} s here", flush=True)
        count = asked.turns * asked.ratio_points
        print(json.dumps({"swept": swept, "seconds_a_point_here": here / count, "ray_over_local": by_ray / here}))


if __name__ == "__main__":
    main()
