"""When a page stands: the one wait of the browser tests that is not for something named."""

from playwright.sync_api import Page

PATIENCE_MS = 120_000  # a busy machine is slow, not wrong
POLL_MS = 50  # each frame would be more than the page itself does
ARRIVED_MS, CHANGED_MS = 700, 300
# Looks are counted, not time: on a busy machine one comes late, and what the page had to do came before it.
QUIET = """
(looks) => {
  const app = document.querySelector('[data-testid="stApp"]')
  const busy = app?.dataset.testScriptState !== "notRunning"
    || document.documentElement.classList.contains("arriving")
    || document.querySelector('[data-testid="stMainBlockContainer"] h1') === null // before the first run begins
    || document.querySelector('[data-stale="true"], [data-testid="stSkeleton"], [data-testid="stAppSkeleton"]')
    || [...document.querySelectorAll('[data-testid="stVegaLiteChart"]')].some(
      (chart) => chart.getClientRects().length > 0 && chart.querySelector("svg.marks") === null) // one hidden waits
    || document.getAnimations().some((one) => one instanceof CSSTransition) // what was stale comes back by degrees
  window.__quiet = busy ? 0 : (window.__quiet ?? 0) + 1
  return window.__quiet > looks
}
"""


BELOW = '[data-testid="stElementContainer"][class*="_below"]'
REST = f"""
() => {{
  const waits = document.querySelector('{BELOW}') !== null
  if (waits) document.querySelector('[data-testid="stMain"]').dispatchEvent(new Event("scroll"))
  return waits
}}
"""


def settle(page: Page, quiet_ms: int = ARRIVED_MS) -> None:
    """Wait until the script has stopped for a while (a page may run twice), nothing is stale and the charts stand.

    A tab that had loaded everything before, and was only sent elsewhere or given another look, needs no more than
    CHANGED_MS. What lies below the window is sent too, as to somebody who scrolls (pages/shell/below.py).
    """
    stand(page, quiet_ms)
    if page.evaluate(REST):
        page.wait_for_selector(BELOW, state="detached", timeout=PATIENCE_MS)
        stand(page, CHANGED_MS)


def stand(page: Page, quiet_ms: int = ARRIVED_MS) -> None:
    """As settle, with what the window holds alone."""
    page.evaluate("() => { window.__quiet = 0 }")
    page.wait_for_function(QUIET, arg=quiet_ms // POLL_MS, timeout=PATIENCE_MS, polling=POLL_MS)
