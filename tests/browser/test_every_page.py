"""Every page in a real Chromium, arrived at once and then given each look: axe-core in both themes, no scrolling
sideways, at 1280 pixels and on a phone upright, and every picture: no text leaves it, and none stands on another.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from itertools import count
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, TimeoutError, expect

from core.learning.ideas import IDEAS
from core.learning.lessons import lessons
from core.learning.techniques.texts import topics
from tests.browser.axe import violations
from tests.browser.keys import press
from tests.browser.settle import CHANGED_MS, settle
from tests.browser.size_tabs import SIZE_TABS
from tests.dashboard import Dashboard
from tests.paths import page_paths

TABS = [f"size?size_tab={name}" for name in SIZE_TABS]
ROOM = {"width": 1920, "height": 1080}
REDRAWN_MS = 60_000  # a busy machine draws late
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


def each(paths: list[str]) -> pytest.MarkDecorator:
    """The tests of one page after each other, so that a tab that stands on it is not sent there again."""
    return pytest.mark.parametrize("path", paths, scope="module")


def walk_to(tab: Page, url: str, path: str) -> None:
    """To a page by its link at the side, which a phone folds away; the first of a tab and the front by its address."""
    page, _, name = path.partition("?size_tab=")
    if not tab.url.startswith(url) or (page == "" and urlsplit(tab.url).path != "/"):
        tab.goto(f"{url}/{page}")
        settle(tab)
    elif urlsplit(tab.url).path != f"/{page}":
        tab.locator(f'[data-testid="stSidebarNavLink"][href$="/{page}"]').dispatch_event("click")
        expect(tab).to_have_url(re.compile(re.escape(f"{url}/{page}") + r"(\?|$)"))  # once the server has begun it
    if name:
        settle(tab, CHANGED_MS)  # the tabs lie below the window
        tab.get_by_role("tab", name=name, exact=True).click()
    settle(tab, CHANGED_MS)


@pytest.mark.parametrize("theme", ["light", "dark"])
@each(page_paths())
def test_no_serious_violation(server: Dashboard, tab: Page, path: str, theme: str):
    walk_to(tab, server.url, path)
    assert violations(tab, theme) == []


WIDE = "element => element.scrollWidth > element.clientWidth + 1"


def fits(tab: Page) -> bool:
    return not (tab.get_by_test_id("stMain").evaluate(WIDE) or tab.locator("html").evaluate(WIDE))


@pytest.mark.parametrize("width", [390, 1280])
@each([*page_paths(), *TABS])
def test_no_horizontal_scroll(server: Dashboard, tab: Page, path: str):
    walk_to(tab, server.url, path)
    assert fits(tab)


@contextmanager
def presenting(tab: Page) -> Iterator[None]:
    """Presenter mode by its key, and out again; a tab that cannot leave begins anew."""
    mode = tab.locator('nav[aria-label="Presenter"] [role="status"]')
    try:
        press(tab, "p", lambda patience_ms: expect(mode).to_be_visible(timeout=patience_ms))
        settle(tab, CHANGED_MS)
        yield
        press(tab, "p", lambda patience_ms: expect(mode).to_be_hidden(timeout=patience_ms))
    except BaseException:
        tab.goto("about:blank")
        raise


@each(page_paths())
def test_pictures_hold_their_text(server: Dashboard, tab: Page, path: str):
    """As the page stands at 1280 pixels; the rest: test_every_picture_holds_its_text."""
    walk_to(tab, server.url, path)
    assert left(tab, FAULTS) + left(tab, OUTGROWN) == []


def others(path: str) -> list[str]:
    """What a page shows behind a control: the steps of a walk, the tabs of Size, the ideas of After G."""
    if path == "size":
        return [name for name in SIZE_TABS[1:] if name != "Side by side"]  # empty until a job is pinned
    if path == "after":
        return [idea.name for idea in IDEAS]
    steps = {lesson.key: lesson.steps for lesson in lessons()} | {topic.key: topic.sections for topic in topics()}
    return [str(number) for number in range(2, len(steps.get(path, ())) + 1)]


def looks(tab: Page, path: str) -> Iterator[str]:
    """The page as it stands, then with each of the others, named; left on the last."""
    yield ""
    for name in others(path):
        role = "tab" if path == "size" else "radio"
        tab.get_by_test_id("stMain").get_by_role(role, name=name, exact=True).first.click()
        settle(tab, CHANGED_MS)
        yield name


def screens(tab: Page, address: str) -> Iterator[str]:
    """Every screen of the page that is presented, by the mark that says which of how many it is.

    By its address: a key would turn to the next question of the quiz. A lesson's step has no other way than the key.
    """
    mark = tab.locator('nav[aria-label="Presenter"] [role="status"]')
    is_lesson = address.rpartition("/")[2] in {lesson.key for lesson in lessons()}
    for number in count(1):
        said = mark.inner_text()
        yield said
        counted = re.search(r"(\d+) of (\d+)$", said)
        if counted is None or counted[1] == counted[2]:
            return
        turned = partial(expect(mark).not_to_have_text, said)
        if is_lesson:
            press(tab, "ArrowRight", lambda patience_ms, turned=turned: turned(timeout=patience_ms))
        else:
            tab.goto(f"{address}?present=1&screen={number}")
            turned()
        settle(tab, CHANGED_MS)


@pytest.mark.proof
@each(page_paths())
def test_every_picture_holds_its_text(server: Dashboard, tab: Page, path: str):
    """Behind every step and tab too, at 1280 pixels and at 1920, and on every screen when the page is presented."""
    faults = {}
    walk_to(tab, server.url, path)
    desk = tab.viewport_size
    for name in looks(tab, path):
        faults[f"1280 {name}"] = left(tab, FAULTS) + left(tab, OUTGROWN)
    tab.set_viewport_size(ROOM)
    tab.goto(f"{server.url}/{path}")
    settle(tab)
    for name in looks(tab, path):
        faults[f"1920 {name}"] = left(tab, FAULTS) + left(tab, OUTGROWN)
    tab.goto(f"{server.url}/{path}")
    settle(tab)
    with presenting(tab):
        for said in screens(tab, f"{server.url}/{path}"):
            faults[f"presenting {said}"] = left(tab, FAULTS)
    tab.set_viewport_size(desk)
    assert {where: lines for where, lines in faults.items() if lines} == {}


def left(page: Page, faults: str) -> list[str]:
    """The faults that stay: a picture is drawn again when its place or the room's type takes another size."""
    with suppress(TimeoutError):
        page.wait_for_function(f"give => ({faults})(give).length === 0", arg=GIVE_PX, timeout=REDRAWN_MS, polling=250)
    found: list[str] = page.evaluate(faults, GIVE_PX)
    return found
