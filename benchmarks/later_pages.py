"""The pages on what came after G beside another checkout's median page; a step of Watch it decode beside a bare rerun.

    python -m benchmarks.later_pages ../other-checkout [--rounds 1]

Three servers stand at once: this checkout, the other one, and the bare page. One Chromium visits them in turns, so that
what else the machine does meets all of them. "visit" is the paint of a first visit with an empty browser cache on a
warm server; "change" the paint after the first control of a page has moved (a radio, segment or pill, else a slider;
the steps of a lesson are no control; a page without any is left out); "step" a press of Step on Watch it decode over a
rerun of the bare page with its one chart. Medians of each page, then the median of the other checkout's pages. The last
line is JSON.
"""

import argparse
import json
import statistics
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Page, TimeoutError, sync_playwright

from benchmarks.interface import ROOT, Server, Side, first_visit, machine, radio, reruns, started
from benchmarks.watched_tab import settle, tab
from tests.browser.conftest import LAUNCH_ARGS
from tests.chromium import find_chromium

OURS = ("timeline", "after", "bound", "watch")
BETWEEN = 15  # pages of the other checkout between two looks at ours
CHANGES = 2  # of a page's control, after one to warm up
NOTHING_MS = 6_000  # a control that changes nothing on the page is none
PATHS = "links => links.map((link) => new URL(link.href).pathname.slice(1))"
# Marks the control to move next and says how: by a click, by a key, or not at all.
CONTROL = """
() => {
  const main = document.querySelector('[data-testid="stMain"]')
  document.querySelector("[data-moved]")?.removeAttribute("data-moved")
  const seen = (node) => node.getClientRects().length > 0 && !node.disabled &&
    node.checkVisibility({ visibilityProperty: true, opacityProperty: false })
  const group = (node) => node.closest('[role="radiogroup"]')?.getAttribute("aria-label") ?? ""
  const radios = [...main.querySelectorAll('[role="radio"], input[type="radio"]')].filter(
    (node) => group(node) !== "Step" && (seen(node) || seen(node.closest("label") ?? node)))
  const other = radios.find((node) => !(node.checked || node.getAttribute("aria-checked") === "true"))
  const slider = [...main.querySelectorAll('[role="slider"]')].find(seen)
  const found = other?.closest("label") ?? other ?? slider
  found?.setAttribute("data-moved", "")
  if (!found) return ""
  if (found !== slider) return "click"
  return Number(slider.getAttribute("aria-valuenow")) < Number(slider.getAttribute("aria-valuemax")) ? "ArrowRight"
    : "ArrowLeft"
}
"""


def paths_of(browser: Browser, server: Server) -> list[str]:
    """Every page that the sidebar of a server links to."""
    with tab(browser) as (_, page):
        page.goto(server.url)
        settle(page)
        found: list[str] = page.eval_on_selector_all('[data-testid="stSidebarNavLink"]', PATHS)
        return found


def change(page: Page) -> float | None:
    """Milliseconds from a move of the page's first control to the last change in the window; None without either."""
    how = page.evaluate(CONTROL)
    if not how:
        return None
    moved = page.locator("[data-moved]").first
    try:
        if how == "click":
            moved.click(timeout=NOTHING_MS)
        else:
            moved.press(how, timeout=NOTHING_MS)
        seen = settle(page, NOTHING_MS)
    except TimeoutError:
        return None
    return float(seen["paint"] - seen["start"])


def changes(browser: Browser, url: str) -> list[float]:
    """Several changes of a page's first control, after one to warm up."""
    with tab(browser) as (_, page):
        page.goto(url)
        settle(page)
        return [took for took in [change(page) for _ in range(CHANGES + 1)][1:] if took is not None]


def steps(browser: Browser, server: Server, bare: Server) -> tuple[list[float], list[float]]:
    """Presses of Step, and reruns of the bare page."""
    press = {"step": lambda page: page.get_by_role("button", name="Step").first.click()}
    ours = reruns(browser, f"{server.url}/watch", press, 4)
    plain = reruns(browser, bare.url, {rows: radio(rows) for rows in ("1", "16", "8")}, 2)
    return [took["paint_ms"] for _, took in ours], [took["paint_ms"] for _, took in plain]


def turns(theirs: list[str]) -> Iterator[tuple[bool, str]]:
    """Every page of the other checkout, ours between each few of them: whether it is ours, and its path."""
    for start in range(0, len(theirs), BETWEEN):
        yield from ((False, path) for path in theirs[start : start + BETWEEN])
        yield from ((True, path) for path in OURS)


@contextmanager
def servers(other: Path) -> Iterator[tuple[Server, Server, Server]]:
    """This checkout's, the other's and the bare page's."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        (folder / "bare_page.py").write_text((ROOT / "benchmarks" / "bare_page.py").read_text())
        sides = (
            Side("ours", ROOT / "dashboard.py", ROOT),
            Side("other", other / "dashboard.py", other),
            Side("bare", folder / "bare_page.py", folder),
        )
        ours, there, bare = [
            stack.enter_context(started(side, Path(stack.enter_context(tempfile.TemporaryDirectory()))))
            for side in sides
        ]
        yield ours, there, bare


def middle(found: dict[str, list[float]]) -> dict[str, float]:
    """The median of each page that has any."""
    return {path or "/": round(statistics.median(took), 1) for path, took in found.items() if took}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("other", type=Path, help="the other checkout's folder")
    parser.add_argument("--rounds", type=int, default=1, help="over all pages (default 1)")
    parser.add_argument("--only", choices=("visit", "change", "step"), help="one of the three measures")
    asked = parser.parse_args()
    with sync_playwright() as playwright, servers(asked.other.resolve()) as (ours, other, bare):
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=LAUNCH_ARGS)
        report: dict[str, object] = {"machine": machine(browser)}
        for name in ("visit", "change") if asked.only is None else {asked.only} - {"step"}:
            report[name] = beside(browser, ours, other, name, asked.rounds)
        if asked.only in (None, "step"):
            step, plain = (statistics.median(took) for took in steps(browser, ours, bare))
            report["step"] = {"step_ms": round(step, 1), "bare_ms": round(plain, 1), "ratio": round(step / plain, 3)}
        browser.close()
    print(json.dumps(report))


def beside(browser: Browser, ours: Server, other: Server, measure: str, rounds: int) -> dict[str, object]:
    """A measure of every page in turns, as ratios of ours to the median page of the other checkout."""
    here: dict[str, list[float]] = {}
    there: dict[str, list[float]] = {}
    listed = paths_of(browser, other)
    for is_ours, path in list(turns(listed)) * rounds:
        server, found = (ours, here) if is_ours else (other, there)
        if measure == "visit":
            took = [first_visit(browser, server, path)["paint_ms"]]
        else:
            took = changes(browser, f"{server.url}/{path}")
        found.setdefault(path, []).extend(took)
    pages = middle(there)
    median = statistics.median(pages.values())
    ratios = {path: round(took / median, 3) for path, took in middle(here).items()}
    return {"ratios": ratios, "ours_ms": middle(here), "median_page_ms": round(median, 1), "pages_ms": pages}


if __name__ == "__main__":
    main()
