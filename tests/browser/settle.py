"""When a page stands: the one wait of the browser tests that is not for something named."""

from playwright.sync_api import Page

PATIENCE_MS = 120_000  # a busy machine is slow, not wrong
QUIET = """
() => {
  const app = document.querySelector('[data-testid="stApp"]')
  const busy = app?.dataset.testScriptState !== "notRunning"
    || document.documentElement.classList.contains("arriving")
    || document.querySelector('[data-testid="stMainBlockContainer"] h1') === null // before the first run begins
    || document.querySelector('[data-stale="true"], [data-testid="stSkeleton"], [data-testid="stAppSkeleton"]')
    || document.getAnimations().some((one) => one instanceof CSSTransition) // what was stale comes back by degrees
  if (busy) window.__busy = performance.now()
  return performance.now() - (window.__busy ??= performance.now()) > 700
}
"""
POLL_MS = 50  # each frame would be more than the page itself does


def settle(page: Page) -> None:
    """Wait until the script has stopped for a while (a page may run twice), nothing is stale and the charts stand."""
    page.evaluate("() => { window.__busy = performance.now() }")
    page.wait_for_function(QUIET, timeout=PATIENCE_MS, polling=POLL_MS)
