"""A page's report and deck beside another checkout's, in one run: processor time for each picture that they hold.

    python -m benchmarks.exports ../other-checkout [--times 3] [--only size,models]

Each checkout runs in a process of its own that has made both files of the page once before; of several times the least
counts, since other work only adds. What a file says beside its pictures is in the time: no document is asked for twice.
The last line is JSON.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
PAGES = ("layouts", "bottleneck", "formula", "case-mqa", "models", "size", "evidence", "after", "map")
WORKER = """
import json, sys, time, warnings
warnings.simplefilter("ignore")
import streamlit as st
from streamlit.testing.v1 import AppTest
from tests.paths import page_files, page_paths
try:
    from core.figures.palette import LIGHT
    from pages.shell import share
except ImportError:  # until 0.1
    from core.palette import LIGHT
    from pages.parts import share
from core.reports import slides
from core.reports.exports import html_report
FILES = 64  # more than anybody times
said, sys.stdout = sys.stdout, sys.stderr
scripts, begin = dict(zip(page_paths(), page_files())), share.begin
print(json.dumps(sorted(scripts)), file=said, flush=True)

def document_of(script):
    held = []
    def hold(page):
        held.extend(share.view_document() for _ in range(FILES))
        st.stop()
    app = AppTest.from_file("pages/frame.py", default_timeout=300)
    if "_" in script.rpartition("/")[2]:  # its address has a hyphen: AppTest finds it once the frame has listed it
        app.run()
    app.switch_page(script).run()
    assert not app.exception, app.exception
    share.begin = hold
    app.run()
    share.begin = begin
    return lambda: held.pop()()  # a new one each time: what a view's files share is in the time of each

def seconds(make, document):
    began = time.process_time()
    make(document(), LIGHT)
    return time.process_time() - began

for line in sys.stdin:
    path, times = line.split()
    document = document_of(scripts[path])
    pictures = sum(section.picture is not None for section in document().sections)
    found = {"pictures": pictures}
    for name, make in (("report", html_report), ("deck", slides.deck)):
        make(document(), LIGHT)
        found[name] = min(seconds(make, document) for _ in range(int(times)))
    print(json.dumps(found), file=said, flush=True)
"""


class Checkout:
    """A process that makes the files of one tree's pages when asked."""

    def __init__(self, folder: Path, data: Path) -> None:
        quiet = {"HEADROOM_DATA_DIR": str(data), "HF_HOME": str(data), "HF_ENDPOINT": "http://127.0.0.1:9"}
        self.process = subprocess.Popen(
            [sys.executable, "-c", WORKER], cwd=folder, env={**os.environ, **quiet, "PYTHONPATH": str(folder)},
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, encoding="utf-8",
        )  # fmt: skip
        self.paths: list[str] = self._answer()

    def files(self, path: str, times: int) -> dict[str, float]:
        """Processor seconds of the report and of the deck, and how many pictures each holds."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{path} {times}\n")
        self.process.stdin.flush()
        answer: dict[str, float] = self._answer()
        return answer

    def _answer(self) -> Any:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError("the process of a checkout ended: run its WORKER by hand to see why")
        return json.loads(line)

    def close(self) -> None:
        """Ends the process."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.wait(30)
        self.process.stdout.close()


def main(arguments: list[str]) -> None:
    """Prints seconds for each picture here and there, and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("other", type=Path)
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--only", default=",".join(PAGES))
    options = parser.parse_args(arguments)
    ratios: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as data:
        there, here = Checkout(options.other.resolve(), Path(data) / "a"), Checkout(ROOT, Path(data) / "b")
        for path in (path for path in options.only.split(",") if path in there.paths and path in here.paths):
            old, new = there.files(path, options.times), here.files(path, options.times)
            ratios[path] = _said(path, old, new)
        there.close()
        here.close()
    print(json.dumps(ratios))


def _said(path: str, old: dict[str, float], new: dict[str, float]) -> dict[str, float]:
    found = {}
    for kind in ("report", "deck"):
        was, now = (each[kind] / max(each["pictures"], 1) for each in (old, new))
        found[kind] = round(now / was, 2)
        print(
            f"/{path} {kind}: {was:.3f} s a picture there ({old['pictures']:.0f}), {now:.3f} s here "
            f"({new['pictures']:.0f}), {now / was:.2f} times",
            flush=True,
        )
    return found


if __name__ == "__main__":
    main(sys.argv[1:])
