"""`python -m benchmarks.command`: what a shell waits for an answer, beside a Python that does nothing, in one run.

Medians of wall seconds over turns that are taken one by one, so that a busy machine is busy for all of them.
"""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from core.models.registry import load_registry

TURNS = 11


def main() -> None:
    """Prints one JSON line."""
    config = next(known.config for known in load_registry() if known.name == "Qwen3 32B")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "config.json"
        path.write_text(json.dumps({**config, "architectures": ["Qwen3ForCausalLM"]}), encoding="utf-8")
        asked = [sys.executable, "-m", "core", "size", str(path), "--json"]
        commands = {"nothing": [sys.executable, "-c", "pass"], "payload": asked, "vllm": [*asked, "--engine", "vllm"]}
        seconds: dict[str, list[float]] = {name: [] for name in commands}
        for _ in range(TURNS):
            for name, command in commands.items():
                start = time.perf_counter()
                subprocess.run(command, capture_output=True, check=False)
                seconds[name].append(time.perf_counter() - start)
    nothing = median(seconds["nothing"])
    more = {name: round(median(took) - nothing, 3) for name, took in seconds.items() if name != "nothing"}
    print(json.dumps({"nothing_s": round(nothing, 3), "more_s": more}))


if __name__ == "__main__":
    main()
