"""`make screenshots`: every page and presenter mode, both sizes, both themes, into screenshots/.

`python -m tests.browser.screenshots layouts` takes only the pages whose path contains the word.
"""

import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from tests.browser.conftest import LAUNCH_ARGS
from tests.chromium import find_chromium
from tests.dashboard import ROOT, running_dashboard
from tests.paths import page_paths

SIZES = {"1280": (1280, 800), "1920": (1920, 1080)}
THEMES = ("light", "dark")


QUIET = """
() => {
  const app = document.querySelector('[data-testid="stApp"]')
  const busy = app?.dataset.testScriptState !== "notRunning"
    || document.querySelector('[data-stale="true"], [data-testid="stSkeleton"], [data-testid="stAppSkeleton"]')
  if (busy) window.__busy = performance.now()
  return performance.now() - (window.__busy ??= performance.now()) > 700
}
"""


def settle(page: Page) -> None:
    """Wait until the script has stopped for a while (a page may run twice), nothing is stale and the charts stand."""
    page.evaluate("() => { window.__busy = performance.now() }")
    page.wait_for_function(QUIET, timeout=60_000)


def take(browser: Browser, url: str, path: str, folder: Path, full: bool) -> None:
    """One page in every size and theme; `full` adds the whole length of the page at 1280."""
    name = path.strip("/").replace("/", "_").split("?")[0] or "overview"
    for theme in THEMES:
        for size, (width, height) in SIZES.items():
            context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=theme)
            page = context.new_page()
            page.goto(f"{url}/{path}")
            settle(page)
            page.screenshot(path=folder / f"{name}_{size}_{theme}.png")
            if full and size == "1280":
                height_px = page.evaluate("document.querySelector('[data-testid=\"stMain\"]').scrollHeight")
                page.set_viewport_size({"width": width, "height": min(max(height, height_px), 8000)})
                settle(page)
                page.screenshot(path=folder / f"{name}_full_{theme}.png")
            if size == "1920":
                page.goto(f"{url}/{path}?present=1")
                page.get_by_role("navigation", name="Presenter").get_by_role("status").wait_for()
                settle(page)
                page.screenshot(path=folder / f"{name}_present_{theme}.png")
            context.close()


def main(words: list[str]) -> None:
    folder = ROOT / "screenshots"
    folder.mkdir(exist_ok=True)
    paths = [path for path in page_paths() if not words or any(word in path for word in words)]
    with (
        tempfile.TemporaryDirectory() as data,
        running_dashboard(Path(data)) as dashboard,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=LAUNCH_ARGS)
        for path in paths:
            take(browser, dashboard.url, path, folder, full=True)
            print(path or "/")
        browser.close()


if __name__ == "__main__":
    main(sys.argv[1:])
