"""How long a plan of each engine takes, and 10,000 of them, on one core.

    python -m benchmarks.engines

Plans are of the shared cases' models, each spec read once as a page reads it; the many are one model's at 10,000
contexts, as a sweep asks them (core.engines.columns). All times are of this process alone. Prints one JSON line last:
milliseconds of a plan at the median, seconds of 10,000, and both as ratios to their bars (0.5 ms, 0.5 s).
"""

import gzip
import json
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np

from core.api import UnsupportedConfig, plan_cache, read_config, read_metadata
from core.engines.columns import BY_ROW, columns
from core.engines.plan import EngineError
from core.models.spec import ModelSpec

DATA = Path(__file__).parents[1] / "tests" / "data" / "engines"
FILES = {"vllm": "vllm_cases", "sglang": "sglang_cases", "llama.cpp": "llama_cpp_cases", "mlx": "mlx_cases"}
MANY = 10_000
PLAN_BAR_MS, MANY_BAR_S = 0.5, 0.5


def cases(engine: str) -> list[dict[str, Any]]:
    """The engine's cases, at most 300."""
    with gzip.open(DATA / f"{FILES[engine]}.json.gz", "rt") as text:
        loaded = json.load(text)
    found: list[dict[str, Any]] = loaded["cases"] if isinstance(loaded, dict) else loaded
    return found[:300]


def spec_of(case: dict[str, Any]) -> ModelSpec:
    return read_metadata(case["metadata"]) if "metadata" in case else read_config(case["config"])


def plan_milliseconds(engine: str) -> tuple[float, tuple[ModelSpec, dict[str, Any]]]:
    """The median over the cases, each planned twice and the second taken; and one case that can be planned."""
    taken, kept = [], None
    for case in cases(engine):
        try:
            spec = spec_of(case)
            plan_cache(spec, engine=engine, **case["job"])
        except (EngineError, UnsupportedConfig):
            continue
        started = time.process_time()
        plan_cache(spec, engine=engine, **case["job"])
        taken.append((time.process_time() - started) * 1e3)
        kept = kept or (spec, case["job"])
    assert kept is not None
    return statistics.median(taken), kept


def many_seconds(engine: str, spec: ModelSpec, job: dict[str, Any]) -> float:
    """10,000 contexts of one model, each with a memory of its own, as a sweep asks them; seconds of this process."""
    own = {key: value for key, value in job.items() if key not in (*BY_ROW, "generated_tokens")}
    contexts = np.arange(512, 512 + MANY, dtype=np.int64)
    started = time.process_time()
    columns(
        spec,
        engine=engine,
        contexts=contexts,
        batches=np.ones_like(contexts),
        available_bytes=(20 << 30) + contexts,
        common={},
        settings=own,
    )
    return time.process_time() - started


def main() -> None:
    results = {}
    for engine in FILES:
        milliseconds, (spec, job) = plan_milliseconds(engine)
        seconds = many_seconds(engine, spec, job)
        print(f"{engine:10} a plan {milliseconds:.3f} ms, {MANY:,} in {seconds:.3f} s")
        results[engine] = {
            "plan_ms": round(milliseconds, 4),
            "many_s": round(seconds, 4),
            "plan_to_bar": round(milliseconds / PLAN_BAR_MS, 3),
            "many_to_bar": round(seconds / MANY_BAR_S, 3),
        }
    print(json.dumps(results))


if __name__ == "__main__":
    main()
