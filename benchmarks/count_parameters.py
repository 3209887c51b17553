"""How long a count by rule takes: every config of the tests' table that has one, again and again.

    python -m benchmarks.count_parameters

Prints the import, the first count of the process and the median; the last line is JSON. The bound: a median under
0.3 ms, and neither torch nor transformers is imported.
"""

import json
import statistics
import sys
import time

ROUNDS = 10


def main() -> None:
    """Time the import, the first count, and the counts after it."""
    started = time.perf_counter()
    from core.api import UnsupportedConfig
    from core.parameters import NotByRule, count_by_rule

    imported = time.perf_counter()
    from tests.core.parameters.test_by_rule import CASES

    configs = [case["config"] for case in CASES]
    before = time.perf_counter()
    count_by_rule(configs[0])
    first_ms = (time.perf_counter() - before) * 1e3
    times = []
    for _ in range(ROUNDS):
        for config in configs:
            before = time.perf_counter()
            try:
                count_by_rule(config)
            except (NotByRule, UnsupportedConfig):
                continue
            times.append((time.perf_counter() - before) * 1e3)
    heavy = [name for name in ("torch", "transformers") if name in sys.modules]
    print(f"{len(times)} counts of {len(configs)} configs; heavy modules imported: {heavy or 'none'}")
    print(
        json.dumps(
            {
                "import_ms": round((imported - started) * 1e3, 1),
                "first_ms": round(first_ms, 2),
                "median_ms": round(statistics.median(times), 3),
                "slowest_ms": round(max(times), 2),
            }
        )
    )


if __name__ == "__main__":
    main()
