"""Keys as a reader presses them: when the page stands, and once more if a redraw swallowed the press."""

from collections.abc import Callable

from playwright.sync_api import Page

from tests.browser.settle import PATIENCE_MS, settle


def press(page: Page, key: str, done: Callable[[float], object]) -> None:
    """Presses key until done(timeout in ms) holds, twice at most; done raises AssertionError while it does not."""
    settle(page)
    page.keyboard.press(key)
    try:
        done(PATIENCE_MS / 2)
    except AssertionError:
        settle(page)
        page.keyboard.press(key)
        done(PATIENCE_MS)
