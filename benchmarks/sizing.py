"""How long a sweep of 10,000 jobs takes on one core, beside the same jobs planned one by one.

Run from the root:    python -m benchmarks.sizing Theory first: a sweep works out G x KV bits x accelerator once and
the rest as integer columns, so its time should hardly depend on how many batches and contexts are asked. The last
line is JSON.
"""

import json
import os
import statistics
import sys
import time
from collections.abc import Callable

from core.serving.job import ServingJob
from core.serving.memory_plan import plan
from core.serving.model_shapes import LLAMA_2_13B
from core.serving.sweep import frontier, sweep
from core.serving.ways_to_fit import ways_to_fit
from core.serving.what_if import allowed_kv_heads

KV_BITS = (16, 8, 4)
ACCELERATORS = ("a100-80-sxm", "h100-sxm", "h200-sxm", "b200-sxm", "mi300x")
BATCHES = tuple(range(4, 4 + 4 * 12, 4))
CONTEXTS = tuple(4096 * step for step in range(1, 8))
REPEATS = 7


def main() -> None:
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})  # one core
    heads = allowed_kv_heads(LLAMA_2_13B)
    job = ServingJob(model=LLAMA_2_13B, num_kv_heads=8, batch_size=32, context_length=65_536)
    chosen = {"num_kv_heads": heads, "kv_bits": KV_BITS, "batch_size": BATCHES, "context_length": CONTEXTS}
    frame = sweep(job, accelerator=ACCELERATORS, **chosen)  # warm-up: catalogue, ledgers and weights are cached after
    print(f"{len(frame):,} jobs: {len(heads)} G x {len(KV_BITS)} KV widths x {len(ACCELERATORS)} accelerators "
          f"x {len(BATCHES)} batches x {len(CONTEXTS)} contexts")  # fmt: skip
    sweep_seconds = _seconds(lambda: sweep(job, accelerator=ACCELERATORS, **chosen))
    rows = frame.sample(500, random_state=0).to_dict("records")
    fields = ("num_kv_heads", "kv_bits", "accelerator", "batch_size", "context_length")
    jobs = [job.where(**{name: row[name] for name in fields}) for row in rows]
    equal = all(plan(at).total_bytes == row["total_bytes"] for at, row in zip(jobs, rows, strict=True))
    plan_seconds = _seconds(lambda: [plan(at) for at in jobs]) / len(jobs)
    frontier_seconds = _seconds(lambda: frontier(job))
    ways_seconds = _seconds(lambda: ways_to_fit(job))
    print(f"sweep            {sweep_seconds * 1e3:8.1f} ms, {sweep_seconds / len(frame) * 1e6:.2f} us a job")
    print(f"one plan         {plan_seconds * 1e3:8.3f} ms, {plan_seconds * len(frame):.2f} s for as many")
    print(f"frontier         {frontier_seconds * 1e3:8.1f} ms for {len(heads)} G at 11 contexts")
    print(f"ways to fit      {ways_seconds * 1e3:8.1f} ms")
    print(f"500 sampled rows equal plan(job): {equal}")
    result = {
        "benchmark": "sizing",
        "jobs": len(frame),
        "sweep_seconds": round(sweep_seconds, 4),
        "plan_seconds": round(plan_seconds, 6),
        "frontier_seconds": round(frontier_seconds, 4),
        "ways_to_fit_seconds": round(ways_seconds, 4),
        "rows_equal_plan": equal,
        "python": sys.version.split()[0],
    }
    print(json.dumps(result))


def _seconds(work: Callable[[], object]) -> float:
    """Median wall time of REPEATS calls."""
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


if __name__ == "__main__":
    main()
