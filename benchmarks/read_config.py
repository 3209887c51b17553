"""How long reading a config.json takes: the first read of a process, then every measured config again and again.

    python -m benchmarks.read_config

Prints what was done; the last line is JSON. The bound that a page counts on: a known model_type after the first stays
under 50 ms. Nothing is imported beside the reader: neither torch nor transformers.
"""

import json
import sys
import time

ROUNDS = 20


def main() -> None:
    """Time the import, the first read, and the reads after it."""
    started = time.perf_counter()
    from core.models.spec import UnsupportedConfig, read_config

    imported = time.perf_counter()
    from tests.core.measured_cases import measured_cases

    configs = [case["config"] for case in measured_cases()]
    before = time.perf_counter()
    read_config(configs[0])
    first_ms = (time.perf_counter() - before) * 1000
    times = []
    for _ in range(ROUNDS):
        for config in configs:
            before = time.perf_counter()
            try:
                read_config(config)
            except UnsupportedConfig:
                continue
            times.append((time.perf_counter() - before) * 1000)
    times.sort()
    result = {
        "benchmark": "read_config",
        "configs": len(configs),
        "reads": len(times),
        "import_ms": round((imported - started) * 1000, 1),
        "first_read_ms": round(first_ms, 2),
        "median_ms": round(times[len(times) // 2], 3),
        "p99_ms": round(times[int(len(times) * 0.99)], 3),
        "worst_ms": round(times[-1], 2),
        "torch_imported": "torch" in sys.modules,
        "transformers_imported": "transformers" in sys.modules,
    }
    print(f"{len(times):,} reads of {len(configs):,} configs, each in a few of its model_type's spellings")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
