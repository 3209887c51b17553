"""When a page stands: the one wait of the browser tests that is not for something named. And how a loaded one moves."""

from urllib.parse import urlsplit

from playwright.sync_api import Page

PATIENCE_MS = 120_000  # a busy machine is slow, not wrong
POLL_MS = 50  # each frame would be more than the page itself does
ARRIVED_MS, CHANGED_MS = 700, 300
# Looks are counted, not time: on a busy machine one comes late, and what the page had to do came before it.
QUIET = """
(looks) => {
  const app = document.querySelector('[data-testid="stApp"]')
  const busy = app?.dataset.testScriptState !== "notRunning"
    || window.__unanswered // a press that a busy server has not begun to answer
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


# Before a page loads: it counts what its server says, so that one can wait for the answer to what one asked. To
# Streamlit's client a script runs once the server has said so, not from the press on.
HEARS = """
window.__heard = 0
window.__unanswered = false
window.WebSocket = class extends window.WebSocket {
  constructor(...given) {
    super(...given)
    this.addEventListener("message", () => { window.__heard += 1; window.__unanswered = false })
    this.addEventListener("close", () => { window.__unanswered = false })
  }
  send(...given) {
    window.__unanswered = true
    super.send(...given)
  }
}
"""
ARRIVES = """
(address) => {
  const heard = window.__heard
  history.pushState(null, "", address)
  dispatchEvent(new PopStateEvent("popstate"))
  return heard
}
"""
ANSWERED = """
(heard) => window.__heard > heard
  && document.querySelector('[data-testid="stApp"]').dataset.testScriptState === "notRunning"
"""
TRIES = 3


def arrive(page: Page, address: str) -> None:
    """To an address of the server whose client the page has loaded, as Back and Forward go there, and by a load to any.

    That takes the processors a third of what a load takes; what the session was told before, it keeps. A run of the
    page that stands, as a change of theme asks for, takes the turn back: it is waited for, and then asked again.
    """
    if page.url.split("/")[:3] != address.split("/")[:3]:
        page.goto(address)
        return
    for _ in range(TRIES):
        stand(page, CHANGED_MS)
        heard = page.evaluate(ARRIVES, address)
        page.wait_for_function(ANSWERED, arg=heard, polling=POLL_MS, timeout=PATIENCE_MS)
        if urlsplit(page.url).path == urlsplit(address).path:
            return
    raise AssertionError(f"asked {TRIES} times for {address}, and {page.url} stands")
