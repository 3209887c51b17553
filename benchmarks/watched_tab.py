"""A browser tab that notes, inside the page, when each part of it last changed; what benchmarks.interface drives."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page

QUIET_MS = 500

# Notes when each block of the page last changed. Attributes count inside charts alone: Streamlit fades what is stale,
# which is no content. Which block stood in the window is worked out afterwards, so that watching costs little.
WATCH = """
(() => {
  const seen = { any: 0, start: 0, shown: 0, shifts: [], blocks: new Map() }
  window.__seen = seen
  let arriving = false
  const note = (records) => {
    const now = performance.now()
    const hidden = document.documentElement.classList.contains("arriving")
    if (arriving && !hidden) seen.shown = now
    arriving = hidden
    for (const record of records) {
      if (record.type === "attributes" && !(record.target instanceof SVGElement)) continue
      const node = record.target.nodeType === 1 ? record.target : record.target.parentElement
      if (!node || !node.closest('[data-testid="stMain"]')) continue
      if (record.type === "attributes" && !node.closest('[data-testid="stVegaLiteChart"]')) continue
      seen.any = now
      const block = node.closest('[data-testid="stElementContainer"]')
      if (block) seen.blocks.set(block, now)
    }
  }
  const all = { subtree: true, childList: true, characterData: true, attributes: true }
  new MutationObserver(note).observe(document, all)
  new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) if (!entry.hadRecentInput) seen.shifts.push(entry.value)
  }).observe({ type: "layout-shift", buffered: true })
  const begin = () => {
    seen.start = performance.now(); seen.any = seen.shown = 0; seen.blocks.clear(); seen.shifts.length = 0
  }
  document.addEventListener("click", begin, true)
  document.addEventListener("keydown", begin, true)
})()
"""
SETTLED = f"""
() => {{
  const app = document.querySelector('[data-testid="stApp"]')
  const main = document.querySelector('[data-testid="stMain"]')
  return app?.dataset.testScriptState === "notRunning" && window.__seen.any > 0
    && performance.now() - window.__seen.any > {QUIET_MS} && main?.innerText.trim()
}}
"""
NOTED = """
() => {
  const { any, start, shown, shifts, blocks } = window.__seen
  const standing = [...blocks].filter(([block]) => block.isConnected)
  const last = (some) => Math.max(0, ...some.map(([, at]) => at))
  const inWindow = ([block]) => {
    const box = block.getBoundingClientRect()
    return box.height && box.top < innerHeight
  }
  const first = document.querySelector('[data-testid="stVegaLiteChart"]')
  return {
    start,
    any: Math.max(any, shown),
    paint: Math.max(last(standing.filter(inWindow)) || any, shown),
    picture: last(standing.filter(([block]) => block.contains(first))),
    shift: shifts.reduce((sum, value) => sum + value, 0),
  }
}
"""


@contextmanager
def tab(browser: Browser) -> Iterator[tuple[BrowserContext, Page]]:
    """A fresh browser profile with one page that notes its changes."""
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    context.add_init_script(WATCH)
    try:
        yield context, context.new_page()
    finally:
        context.close()


def settle(page: Page, patience_ms: float = 90_000) -> dict[str, Any]:
    """What the page noted, once it stands. Raises TimeoutError where nothing changed for so long."""
    page.wait_for_function(SETTLED, timeout=patience_ms, polling=100)
    noted: dict[str, Any] = page.evaluate(NOTED)
    return noted


def collect_errors(page: Page) -> list[str]:
    """What the console calls an error, without the 404 that Streamlit's client asks for on a deep link."""
    errors: list[str] = []

    def note(message: ConsoleMessage) -> None:
        if message.type == "error" and "/_stcore/" not in str(message.location.get("url", "")):
            errors.append(message.text)

    page.on("console", note)
    page.on("pageerror", lambda error: errors.append(str(error)))
    return errors


def count_bytes(context: BrowserContext, page: Page) -> list[int]:
    """Bytes of each answer and each message that the page receives from now on, as they come over the network."""
    received: list[int] = []
    session = context.new_cdp_session(page)
    session.send("Network.enable")
    session.on("Network.loadingFinished", lambda event: received.append(int(event["encodedDataLength"])))
    session.on("Network.webSocketFrameReceived", lambda event: received.append(len(event["response"]["payloadData"])))
    return received
