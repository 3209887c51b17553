"""A change of an input on Size in a real browser, beside another checkout's, in turns in one run: ratios.

    python -m benchmarks.size_changes ../other-checkout [--times 4] [--only batch,context,g,engine]

Each side has a server and a tab of its own. What is timed is from the press of Enter, or the click, to the last change
in the window (paint) and anywhere on the page (settled), as in benchmarks.interface; beside it stands the processor
time of the browser's page thread, which other work on the machine changes little. The first round warms up and is left
out. "engine_to_g" is a change of the engine over a change of G, both here. An input that the other checkout has not
(the engine) is timed here alone. The last line is JSON.
"""

import argparse
import json
import statistics
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from playwright.sync_api import Browser, CDPSession, Page, sync_playwright

from benchmarks.interface import ROOT, Side, started
from benchmarks.watched_tab import settle, tab
from tests.browser.conftest import LAUNCH_ARGS
from tests.chromium import find_chromium

# The watched tab counts from a click; a value that is typed in counts from Enter.
FROM_ENTER = """
document.addEventListener("keydown", (event) => {
  if (event.key !== "Enter") return
  const seen = window.__seen
  seen.start = performance.now(); seen.any = seen.shown = 0; seen.blocks.clear(); seen.shifts.length = 0
}, true)
"""
MEASURES = ("paint_ms", "settled_ms", "page_thread_ms")
Times = dict[str, list[float]]


def typed(label: str, value: str) -> Callable[[Page], None]:
    def change(page: Page) -> None:
        field = page.get_by_label(label, exact=True).first
        field.fill(value)
        field.press("Enter")

    return change


def chosen(key: str, value: str) -> Callable[[Page], None]:
    def change(page: Page) -> None:
        field = page.locator(f".st-key-{key}").get_by_role("combobox")
        field.click()
        field.press_sequentially(value)
        field.press("Enter")

    return change


def picked(key: str, value: str) -> Callable[[Page], None]:
    return lambda page: page.locator(f".st-key-{key}").get_by_role("radio", name=value, exact=True).click()


# Every input goes through values that differ, and ends on the one that the page opens with.
CHANGES: dict[str, list[Callable[[Page], None]]] = {
    "batch": [typed("Batch", value) for value in ("16", "48", "32")],
    "context": [typed("Context, tokens", value) for value in ("32768", "16384", "65536")],
    "g": [picked("size_g", name) for name in ("5", "8", "Largest that fits")],
    "engine": [chosen("size_engine", name) for name in ("SGLang", "llama.cpp", "vLLM")],
}
HERE_ALONE = {"engine"}


class Watched:
    """Size of one checkout, open in a tab."""

    def __init__(self, name: str, folder: Path, browser: Browser, stack: ExitStack) -> None:
        data = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        server = stack.enter_context(started(Side(name, folder / "dashboard.py", folder), data))
        context, self.page = stack.enter_context(tab(browser))
        self.session: CDPSession = context.new_cdp_session(self.page)
        self.session.send("Performance.enable", {"timeDomain": "threadTicks"})
        self.page.goto(f"{server.url}/size")
        settle(self.page)
        self.page.evaluate(FROM_ENTER)
        self.times: dict[str, Times] = {}

    def change(self, name: str, press: Callable[[Page], None], *, counts: bool) -> None:
        before = self._thread_ms()
        press(self.page)
        seen = settle(self.page)
        found = (seen["paint"] - seen["start"], seen["any"] - seen["start"], self._thread_ms() - before)
        if counts:
            times = self.times.setdefault(name, {measure: [] for measure in MEASURES})
            for measure, value in zip(MEASURES, found, strict=True):
                times[measure].append(value)

    def _thread_ms(self) -> float:
        metrics = self.session.send("Performance.getMetrics")["metrics"]
        return 1000 * next(float(metric["value"]) for metric in metrics if metric["name"] == "TaskDuration")


def over(ours: Times, theirs: Times) -> dict[str, float]:
    """Medians as a ratio, by measure."""
    return {m: round(statistics.median(ours[m]) / statistics.median(theirs[m]), 3) for m in MEASURES}


def report(here: Watched, there: Watched) -> dict[str, object]:
    for side, watched in (("here", here), ("there", there)):
        for name, times in watched.times.items():
            said = "  ".join(f"{m} {statistics.median(v):5.0f} (least {min(v):4.0f})" for m, v in times.items())
            print(f"{side:6}{name:9}{said}", flush=True)
    found: dict[str, object] = {n: over(t, there.times[n]) for n, t in here.times.items() if n in there.times}
    if {"engine", "g"} <= set(here.times):
        found["engine_to_g"] = over(here.times["engine"], here.times["g"])
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("other", type=Path, help="the other checkout's folder")
    parser.add_argument("--times", type=int, default=4, help="rounds of three changes, after one more (default 4)")
    parser.add_argument("--only", default=",".join(CHANGES), help="inputs, with commas between them")
    asked = parser.parse_args()
    with ExitStack() as stack:
        playwright = stack.enter_context(sync_playwright())
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=LAUNCH_ARGS)
        here = Watched("here", ROOT, browser, stack)
        there = Watched("there", asked.other.resolve(), browser, stack)
        for name in asked.only.split(","):
            sides = [here] if name in HERE_ALONE else [here, there]
            for number in range(asked.times + 1):
                for press in CHANGES[name]:
                    for side in sides:
                        side.change(name, press, counts=number > 0)
        print(json.dumps(report(here, there)))
        browser.close()


if __name__ == "__main__":
    main()
