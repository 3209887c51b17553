"""llama.cpp itself, once: its log's KV lines for tiny models made here, beside what Headroom says of their headers.

Run from the root, with a Python that has llama.cpp (a venv of its own):

    python -m venv /tmp/llama && /tmp/llama/bin/pip install xllamacpp==2026.10.11549 gguf==0.19.0
    python -m benchmarks.llama_cpp_log --python /tmp/llama/bin/python [--keep FOLDER]

Theory first: cells x streams x (row of keys + row of values) for each cache, to the last digit that the log prints.
--keep writes the lines of each log that speak of model, context and caches. The last line is JSON; exit status 1 where
a line differs.
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from core.engines.face import plan_cache
from core.models.gguf.header import read_gguf_file
from core.models.gguf.metadata import read_metadata

WORKER = Path(__file__).with_name("llama_cpp_worker.py")
LINE = re.compile(
    r"llama_kv_cache: size =\s*([\d.]+) MiB \(\s*(\d+) cells,\s*(\d+) layers,\s*\d+/(\d+) seqs\), "
    r"K \((\w+)\):\s*([\d.]+) MiB, V \((\w+)\):\s*([\d.]+) MiB"
)
KEPT = re.compile(r"(print_info|load_tensors|llama_context|llama_kv_cache\w*|llama_memory\w*|sched_reserve): ")
JOBS: dict[str, dict[str, Any]] = {
    "llama-2slots": {"arch": "llama", "n_ctx": 4096, "n_seq_max": 2},
    "llama-q8": {"arch": "llama", "n_ctx": 1000, "n_seq_max": 3, "type_k": "q8_0", "type_v": "q8_0"},
    "llama-no-flash": {"arch": "llama", "n_ctx": 4096, "flash_attn": "off"},
    "gemma3-2slots": {"arch": "gemma3", "n_ctx": 8192, "n_seq_max": 2, "n_ubatch": 256},
    "gemma3-shared": {"arch": "gemma3", "n_ctx": 8192, "n_seq_max": 4, "kv_unified": True},
}


def run(python: str, name: str, folder: Path) -> tuple[str, dict[str, Any]]:
    """(log, keys of the model's header) of one run: the worker makes the model, loads it and completes a prompt."""
    model = folder / f"{name}.gguf"
    done = subprocess.run(
        [python, str(WORKER), str(model), json.dumps(JOBS[name])],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"{name}: the worker stopped with {done.returncode}:\n{done.stderr[-2000:]}")
    return done.stderr, read_gguf_file(model)


def logged(log: str) -> list[tuple[int, int, str]]:
    """(layers, cells of all streams, MiB as printed) of each cache, in the log's order."""
    return [(int(m[3]), int(m[2]) * int(m[4]), m[1]) for m in LINE.finditer(log) if int(m[3])]


def said(metadata: dict[str, Any], job: dict[str, Any]) -> list[tuple[int, int, str]]:
    """The same of our plan."""
    settings = {key: value for key, value in job.items() if key != "arch"}
    plan = plan_cache(read_metadata(metadata), engine="llama.cpp", **settings)
    found = []
    for group in plan.groups:
        steps, step_bytes, step = group.pages_per_request or 0, group.page_bytes or 0, group.block_size or 0
        found.append((group.num_layers, steps * step, f"{steps * step_bytes / 2**20:.2f}"))
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", default=sys.executable, help="an interpreter with xllamacpp and gguf")
    parser.add_argument("--keep", type=Path, help="a folder for the logs")
    options = parser.parse_args()
    differ = []
    with tempfile.TemporaryDirectory() as folder:
        for name, job in JOBS.items():
            log, metadata = run(options.python, name, Path(folder))
            if options.keep:
                options.keep.mkdir(parents=True, exist_ok=True)
                (options.keep / f"llama_cpp_{name}.log").write_text(
                    "".join(line for line in log.splitlines(True) if KEPT.search(line))
                )
            theirs, ours = logged(log), said(metadata, job)
            print(f"{name}: llama.cpp {theirs}, Headroom {ours}")
            if theirs != ours:
                differ.append(name)
    print(json.dumps({"jobs": len(JOBS), "differ": differ}))
    return 1 if differ else 0


if __name__ == "__main__":
    sys.exit(main())
