"""Each page's script beside another checkout's, opened in turns in one run: ratios of the server's processor time.

    python -m benchmarks.against ../other-checkout [--times 7] [--only size,models]

Both run under this Python by Streamlit's AppTest, each in a process of its own that has opened the page once before.
Processor time does not count waiting for a core, and of several visits the least counts: other work only adds.
What AppTest does before a script runs (it looks for components, compiles the script) is done once. The browser's part
is not in it: benchmarks.interface measures that.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
WORKER = """
import json, sys, time, warnings
from functools import cache
warnings.simplefilter("ignore")
from streamlit.components.v2 import manifest_scanner
from streamlit.runtime.scriptrunner.script_cache import ScriptCache
from streamlit.testing.v1 import AppTest, app_test, local_script_runner
manifest_scanner.scan_component_manifests = cache(manifest_scanner.scan_component_manifests)
scripts = ScriptCache()
app_test.ScriptCache = local_script_runner.ScriptCache = lambda: scripts
from tests.paths import page_files, page_paths
said, sys.stdout = sys.stdout, sys.stderr
print(json.dumps(dict(zip(page_paths(), page_files()))), file=said, flush=True)
for line in sys.stdin:
    app = AppTest.from_file("pages/frame.py", default_timeout=300)
    began = time.process_time()
    app.switch_page(line.strip()).run()
    print(json.dumps([time.process_time() - began, [str(e.message) for e in app.exception]]), file=said, flush=True)
"""


class Checkout:
    """A process that opens the pages of one tree when asked."""

    def __init__(self, folder: Path, data: Path) -> None:
        quiet = {"HEADROOM_DATA_DIR": str(data), "HF_HOME": str(data), "HF_ENDPOINT": "http://127.0.0.1:9"}
        self.process = subprocess.Popen(
            [sys.executable, "-c", WORKER], cwd=folder, env={**os.environ, **quiet, "PYTHONPATH": str(folder)},
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, encoding="utf-8",
        )  # fmt: skip
        self.scripts: dict[str, str] = self._answer()  # by the path in the address, which stays when a file moves

    def seconds(self, path: str) -> float:
        """Of the processor, for one visit to a page. Raises RuntimeError where the page shows an exception."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{self.scripts[path]}\n")
        self.process.stdin.flush()
        seconds, wrong = self._answer()
        if wrong:
            raise RuntimeError(f"/{path}: {wrong[0]}")
        return float(seconds)

    def _answer(self):
        assert self.process.stdout is not None
        return json.loads(self.process.stdout.readline())

    def close(self) -> None:
        self.process.communicate()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("other", type=Path, help="the other checkout's folder")
    parser.add_argument("--times", type=int, default=7, help="visits of each, after one to warm up (default 7)")
    parser.add_argument("--only", default="", help="paths of pages, with commas between them")
    asked = parser.parse_args()
    found = {}
    with tempfile.TemporaryDirectory() as data:
        here, there = (Checkout(folder.resolve(), Path(data)) for folder in (ROOT, asked.other))
        try:
            shared = [path for path in here.scripts if path in there.scripts]
            for path in asked.only.split(",") if asked.only else shared:
                found[path or "/"] = beside(here, there, path, asked.times)
        finally:
            here.close()
            there.close()
    print(json.dumps({"slowest": max(found, key=lambda path: found[path]), "ratios": found}))


def beside(here: Checkout, there: Checkout, path: str, times: int) -> float:
    """Visits in turns, the first of each left out; said in a line as soon as it is known."""
    pairs = [(here.seconds(path), there.seconds(path)) for _ in range(times + 1)][1:]
    ours, theirs = (min(side) for side in zip(*pairs, strict=True))
    print(f"{ours / theirs:6.3f}  {1e3 * ours:7.1f} ms over {1e3 * theirs:7.1f} ms  /{path}", flush=True)
    return round(ours / theirs, 3)


if __name__ == "__main__":
    main()
