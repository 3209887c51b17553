"""`make screenshots`: every page and presenter mode, both sizes, both themes, into screenshots/.

`python -m tests.browser.screenshots layouts` takes only the pages whose path contains the word. A page that cannot be
taken is named, the others are taken all the same, and the command fails. What the README shows is put into docs/.
"""

import shutil
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Browser, BrowserContext, Page, TimeoutError, sync_playwright

from tests.browser.conftest import LAUNCH_ARGS
from tests.browser.settle import settle
from tests.chromium import find_chromium
from tests.dashboard import ROOT, running_dashboard
from tests.paths import page_paths

SIZES = {"1280": (1280, 800), "1920": (1920, 1080)}
THEMES = ("light", "dark")
FULL_SIZE = "1280"  # at this size the whole length of a page is taken too
TALLEST_PX = 8000
IN_README = ("layouts", "size")  # shown light, at FULL_SIZE


def name_of(path: str) -> str:
    """'' -> 'overview', 'case-mqa' -> 'case-mqa'."""
    return path.strip("/").replace("/", "_") or "overview"


def take(page: Page, url: str, path: str, folder: Path, size: str, theme: str) -> None:
    """One page, at FULL_SIZE its whole length, and its first screen in presenter mode."""
    page.goto(f"{url}/{path}")
    settle(page)
    page.screenshot(path=folder / f"{name_of(path)}_{size}_{theme}.png")
    if size == FULL_SIZE:
        take_whole(page, folder / f"{name_of(path)}_full_{theme}.png")
    page.goto(f"{url}/{path}?present=1")
    page.get_by_role("navigation", name="Presenter").get_by_role("status").wait_for()
    settle(page)
    page.screenshot(path=folder / f"{name_of(path)}_present_{size}_{theme}.png")


def take_whole(page: Page, file: Path) -> None:
    """The page at its whole length: the window made as tall as the page, and back."""
    width, height = SIZES[FULL_SIZE]
    tall = page.get_by_test_id("stMain").evaluate("main => main.scrollHeight")
    page.set_viewport_size({"width": width, "height": min(max(height, tall), TALLEST_PX)})
    settle(page)
    page.screenshot(path=file)
    page.set_viewport_size({"width": width, "height": height})


def contexts(browser: Browser) -> list[tuple[str, str, BrowserContext]]:
    """A browser context for every size and theme: (size, theme, context)."""
    return [
        (size, theme, browser.new_context(viewport={"width": width, "height": height}, color_scheme=theme))
        for size, (width, height) in SIZES.items()
        for theme in THEMES
    ]


def take_all(browser: Browser, url: str, paths: list[str], folder: Path) -> list[str]:
    """Every page in every size and theme. Returns what could not be taken, a line each."""
    missed = []
    windows = contexts(browser)
    for path in paths:
        for size, theme, context in windows:
            page = context.new_page()
            try:
                take(page, url, path, folder, size, theme)
            except TimeoutError as error:
                missed.append(f"{name_of(path)} {size} {theme}: {error.message.splitlines()[0]}")
            page.close()
        print(name_of(path), flush=True)
    return missed


def main(words: list[str]) -> int:
    """Exit status: 0 where every page was taken."""
    folder = ROOT / "screenshots"
    folder.mkdir(exist_ok=True)
    paths = [path for path in page_paths() if not words or any(word in path for word in words)]
    with (
        tempfile.TemporaryDirectory() as data,
        running_dashboard(Path(data)) as dashboard,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=LAUNCH_ARGS)
        missed = take_all(browser, dashboard.url, paths, folder)
        browser.close()
    for name in IN_README:
        if name in paths:
            shutil.copy(folder / f"{name}_{FULL_SIZE}_light.png", ROOT / "docs" / f"{name}.png")
    for line in missed:
        print(f"not taken: {line}", file=sys.stderr)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
