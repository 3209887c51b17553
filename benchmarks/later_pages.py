"""The pages on what came after G beside another checkout's median page; a step of Watch it decode beside a bare rerun.

    python -m benchmarks.later_pages ../other-checkout [--rounds 1]

Three servers stand at once: this checkout, the other one, and the bare page. One Chromium visits them in turns, so that
what else the machine does meets all of them. "visit" is the paint of a first visit with an empty browser cache on a
warm server; "change" the paint after the first control of each kind on a page has moved (a radio, segment or pill; a
slider; a select box; the button Step; the steps of a lesson are no control, and what changes nothing is none); "open"
a model chosen on Timeline, until Models stands, beside the sidebar's link to Models with that model in both checkouts;
"step" a press of Step on Watch it decode over a rerun of the bare page with its one chart. Medians of each
page, then the median of the other checkout's pages; a change of ours stands there by its kind. The last line is JSON.
"""

import argparse
import json
import statistics
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from playwright.sync_api import Browser, Page, TimeoutError, sync_playwright

from benchmarks.interface import ROOT, Server, Side, first_visit, link, machine, radio, reruns, started
from benchmarks.watched_tab import settle, tab
from tests.browser.conftest import LAUNCH_ARGS
from tests.chromium import find_chromium

OURS = ("timeline", "after", "bound", "watch")
BETWEEN = 15  # pages of the other checkout between two looks at ours
CHANGES = 2  # of a page's control, after one to warm up
KINDS = ("choice", "slider", "select", "step")
NOTHING_MS = 6_000  # a control that changes nothing on the page is none
PATHS = "links => links.map((link) => new URL(link.href).pathname.slice(1))"
# Marks the first control of a kind and says what moves it, clicks and keys in turn: nothing where a page has none.
CONTROL = """
(kind) => {
  const main = document.querySelector('[data-testid="stMain"]')
  document.querySelector("[data-moved]")?.removeAttribute("data-moved")
  const seen = (node) => node.getClientRects().length > 0 && !node.disabled &&
    node.checkVisibility({ visibilityProperty: true, opacityProperty: false })
  const all = (names) => [...main.querySelectorAll(names)]
  const group = (node) => node.closest('[role="radiogroup"]')?.getAttribute("aria-label") ?? ""
  const label = (node) => node?.closest("label") ?? node
  const free = (node) => !(node.checked || node.getAttribute("aria-checked") === "true")
  const value = (node, name) => Number(node.getAttribute(`aria-value${name}`) ?? node[name === "now" ? "value" : name])
  const finds = {
    choice: () => label(all('[role="radio"], input[type="radio"]').filter((node) => group(node) !== "Step" &&
      (seen(node) || seen(label(node)))).find(free)),
    slider: () => all('[role="slider"], input[type="range"]').find(seen),
    select: () => all('[data-testid="stSelectbox"] input[role="combobox"]').find(seen),
    step: () => all("button").find((node) => seen(node) && node.innerText.trim().split(/\\s/)[0] === "Step"),
  }
  const found = finds[kind]()
  found?.setAttribute("data-moved", "")
  if (!found) return []
  if (kind === "slider") return [value(found, "now") < value(found, "max") ? "ArrowRight" : "ArrowLeft"]
  if (kind !== "select") return ["click"]
  found.dataset.to = found.dataset.to === "ArrowDown" ? "ArrowUp" : "ArrowDown"
  return ["click", found.dataset.to, "Enter"]
}
"""


def paths_of(browser: Browser, server: Server) -> list[str]:
    """Every page that the sidebar of a server links to."""
    with tab(browser) as (_, page):
        page.goto(server.url)
        settle(page)
        found: list[str] = page.eval_on_selector_all('[data-testid="stSidebarNavLink"]', PATHS)
        return found


def change(page: Page, kind: str) -> float | None:
    """Milliseconds from a move of the page's first control of a kind to the last change in the window.

    None where there is none, or where it changes nothing.
    """
    how = page.evaluate(CONTROL, kind)
    if not how:
        return None
    moved = page.locator("[data-moved]").first
    try:
        for key in how:
            moved.click(timeout=NOTHING_MS) if key == "click" else moved.press(key, timeout=NOTHING_MS)
        seen = settle(page, NOTHING_MS)
    except TimeoutError:
        return None
    return float(seen["paint"] - seen["start"])


def changes(browser: Browser, url: str) -> dict[str, list[float]]:
    """By kind, several changes of a page's first control of it, after one to warm up; one that leaves it is none."""
    found: dict[str, list[float]] = {}
    with tab(browser) as (_, page):
        page.goto(url)
        settle(page)
        for kind in KINDS:
            took = [took for _ in range(CHANGES + 1) if (took := change(page, kind)) is not None]
            if urlsplit(page.url).path != urlsplit(url).path:
                page.goto(url)
                settle(page)
            elif len(took) > 1:
                found[kind] = took[1:]
    return found


def steps(browser: Browser, server: Server, bare: Server) -> tuple[list[float], list[float]]:
    """Presses of Step, and reruns of the bare page."""
    press = {"step": lambda page: page.get_by_role("button", name="Step").first.click()}
    ours = reruns(browser, f"{server.url}/watch", press, 4)
    plain = reruns(browser, bare.url, {rows: radio(rows) for rows in ("1", "16", "8")}, 2)
    return [took["paint_ms"] for _, took in ours], [took["paint_ms"] for _, took in plain]


def opens(browser: Browser, ours: Server, other: Server) -> dict[str, float]:
    """A model chosen on Timeline until Models stands; beside it Models with that model by the sidebar's link."""
    took, query = [], ""
    with tab(browser) as (_, page):
        page.goto(f"{ours.url}/models")
        settle(page)
        for _ in range(CHANGES + 2):
            link("timeline")(page)
            settle(page)
            took.append(change(page, "select") or 0.0)
            path, query = urlsplit(page.url)[2:4]
            assert path == "/models", page.url
    chosen = statistics.median(took[1:])
    here, there = (statistics.median(linked(browser, server, query)) for server in (ours, other))
    return {"chosen_ms": round(chosen, 1), "linked_ms": round(here, 1), "their_linked_ms": round(there, 1),
            "ratio": round(chosen / there, 3)}  # fmt: skip


def linked(browser: Browser, server: Server, query: str) -> list[float]:
    """Models with that query by the sidebar's link, from Evidence, after one to warm up."""
    took = []
    with tab(browser) as (_, page):
        page.goto(f"{server.url}/models?{query}")
        settle(page)
        for _ in range(CHANGES + 2):
            link("evidence")(page)
            settle(page)
            link("models")(page)
            seen = settle(page)
            took.append(seen["paint"] - seen["start"])
            assert urlsplit(page.url).query == query, page.url
    return took[1:]


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
    parser.add_argument("--only", choices=("visit", "change", "open", "step"), help="one of the measures")
    asked = parser.parse_args()
    with sync_playwright() as playwright, servers(asked.other.resolve()) as (ours, other, bare):
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=LAUNCH_ARGS)
        report: dict[str, object] = {"machine": machine(browser)}
        for name in ("visit", "change") if asked.only is None else {asked.only} & {"visit", "change"}:
            report[name] = beside(browser, ours, other, name, asked.rounds)
        if asked.only in (None, "open"):
            report["open"] = opens(browser, ours, other)
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
            found.setdefault(path, []).append(first_visit(browser, server, path)["paint_ms"])
            continue
        for kind, took in changes(browser, f"{server.url}/{path}").items():
            found.setdefault(f"{path} {kind}" if is_ours else path, []).extend(took)
    pages = middle(there)
    median = statistics.median(pages.values())
    ratios = {path: round(took / median, 3) for path, took in middle(here).items()}
    return {"ratios": ratios, "ours_ms": middle(here), "median_page_ms": round(median, 1), "pages_ms": pages}


if __name__ == "__main__":
    main()
