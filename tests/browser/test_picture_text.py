"""Every picture of every page: no text leaves the picture, and none stands on another. One visit a page and size."""

from contextlib import suppress

import pytest
from playwright.sync_api import Page, TimeoutError

from tests.browser.settle import settle
from tests.dashboard import Dashboard
from tests.paths import page_paths

SIZES = {"1280": (1280, 800), "1920": (1920, 1080)}
REDRAWN_MS = 60_000  # a busy machine draws late, and a room tries its large type again when it rests
GIVE_PX = 2.0  # of a glyph box that is empty around its letters
# An edge of the page's colour under the same words, and words moved onto their own halo, are one text.
FAULTS = """
(give) => {
  const found = []
  for (const svg of document.querySelectorAll('[data-testid="stVegaLiteChart"] svg.marks')) {
    const frame = svg.getBoundingClientRect()
    if (frame.width === 0 || frame.height === 0) continue
    const seen = []
    for (const text of svg.querySelectorAll('.mark-text text')) {
      const words = text.textContent.trim()
      const style = getComputedStyle(text)
      if (!words || words.length < 2 || style.opacity === '0' || style.fillOpacity === '0') continue
      const box = text.getBoundingClientRect()
      if (box.width === 0) continue
      const angle = /rotate\\((-?[1-9])/.test(text.getAttribute('transform') || '')
      if (angle) continue
      const empty = box.height * 0.2
      const slim = { left: box.left, right: box.right, top: box.top + empty, bottom: box.bottom - empty }
      if (slim.left < frame.left - give || slim.right > frame.right + give || slim.top < frame.top - give ||
          slim.bottom > frame.bottom + give) found.push(`leaves the picture: ${words}`)
      for (const other of seen) {
        if (other.words === words && Math.abs(other.left - slim.left) < 3) continue
        const across = Math.min(slim.right, other.right) - Math.max(slim.left, other.left)
        const down = Math.min(slim.bottom, other.bottom) - Math.max(slim.top, other.top)
        if (across > give && down > give) found.push(`overlap: ${words} | ${other.words}`)
      }
      seen.push({ ...slim, words })
    }
  }
  return [...new Set(found)]
}
"""
OUTGROWN = """
(give) => {
  const found = []
  for (const svg of document.querySelectorAll('[data-testid="stVegaLiteChart"] svg.marks')) {
    const boxes = [...svg.querySelectorAll('.mark-rect path, .mark-bar path')].map((p) => p.getBoundingClientRect())
    for (const text of svg.querySelectorAll('.mark-text text')) {
      const box = text.getBoundingClientRect()
      if (box.width === 0 || !text.textContent.trim()) continue
      const middle = { x: (box.left + box.right) / 2, y: (box.top + box.bottom) / 2 }
      const named = boxes.filter((b) => Math.abs((b.left + b.right) / 2 - middle.x) < 1.5 &&
        Math.abs((b.top + b.bottom) / 2 - middle.y) < 3 && b.width > 24 && b.height > 10)
      const widest = Math.max(0, ...named.map((b) => b.width))
      if (widest && box.width > widest + give) found.push(`wider than its box: ${text.textContent}`)
    }
  }
  return [...new Set(found)]
}
"""


@pytest.mark.parametrize("path", page_paths())
def test_pictures_hold_their_text(server: Dashboard, page: Page, path: str) -> None:
    faults: dict[str, list[str]] = {}
    for name, (width, height) in SIZES.items():
        page.set_viewport_size({"width": width, "height": height})
        if name == "1280":
            page.goto(f"{server.url}/{path}")
        settle(page)
        if found := left(page, FAULTS) + left(page, OUTGROWN):
            faults[name] = found
    page.goto(f"{server.url}/{path}?present=1")
    settle(page)
    if found := left(page, FAULTS):
        faults["presenting"] = found
    assert faults == {}


def left(page: Page, faults: str) -> list[str]:
    """The faults that stay: a picture is drawn again when its place or the room's type takes another size."""
    with suppress(TimeoutError):
        page.wait_for_function(f"give => ({faults})(give).length === 0", arg=GIVE_PX, timeout=REDRAWN_MS, polling=250)
    found: list[str] = page.evaluate(faults, GIVE_PX)
    return found
