"""The states that only come up when someone does something against axe-core, in both themes: no serious and no critical
violation. Also that keyboard focus can be seen. Each page as it first stands: test_every_page.py.
"""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Error, Page

from tests.browser.axe import violations
from tests.browser.settle import CHANGED_MS, arrive, settle
from tests.browser.size_tabs import SIZE_TABS
from tests.dashboard import Dashboard

FAULTY = """<html lang="en"><title>A page</title><main><h1>Title</h1><h4>Three levels down</h4>
<button></button><p style="color: #ccc; background: #fff">Pale</p><img src="data:,"></main></html>"""


@pytest.fixture
def page(loaded: Page) -> Page:
    """What stands is looked at, not how it came; at a desk, for a session that presents goes on from page to page."""
    if "present=1" in loaded.url:
        loaded.goto("about:blank")
    return loaded


def test_what_axe_calls_serious_or_critical_is_found_and_nothing_else(page: Page):
    page.set_content(FAULTY)
    assert sorted(line.split(":")[0] for line in violations(page)) == [
        "button-name (critical) button", "color-contrast (serious) p", "image-alt (critical) img",
    ]  # fmt: skip
    everything = "() => axe.run().then(({ violations }) => violations.map(({ id, impact }) => [id, impact]))"
    assert ["heading-order", "moderate"] in page.evaluate(everything)


def test_axe_looks_at_what_is_new_alone_where_that_is_asked_for(page: Page):
    page.set_content(FAULTY)
    assert [line.split(":")[0] for line in violations(page, within="p")] == ["color-contrast (serious) p"]
    with pytest.raises(Error, match="No elements found for include"):
        violations(page, within="nav")


def test_in_the_dark_theme_axe_looks_for_what_colours_change(page: Page):
    page.set_content(
        FAULTY.replace("</main>", '<p>See <a href="#" style="color: #111; text-decoration: none">it</a></p></main>')
    )
    assert {line.split(":")[0] for line in violations(page, "dark")} == {
        "color-contrast (serious) p", "link-in-text-block (serious) a",
    }  # fmt: skip


State = tuple[str, str | None]  # its name, and the selector of what it adds to a page that was looked at; None: all
TAB = '[role="tablist"], [role="tabpanel"]'
MAIN = '[data-testid="stMain"]'
MENUS = ("Choose a family", "Paste or upload", "Share", "Save")
MENU = '[data-testid="stPopoverBody"], [aria-expanded="true"]'


def tabs_of_size(page: Page, url: str) -> Iterator[State]:
    """Every tab, what folds out, and inputs that no default shows."""
    arrive(page, f"{url}/size")
    settle(page)
    for name in SIZE_TABS:
        page.get_by_role("tab", name=name, exact=True).click()
        settle(page, CHANGED_MS)
        yield name, None if name == SIZE_TABS[0] else TAB
    page.get_by_text("Read the record here").click()
    page.get_by_text("More inputs").click()
    settle(page)
    yield "folded out", MAIN
    arrive(page, f"{url}/size?size_model=A+shape+of+your+own&size_accelerator=An+accelerator+of+your+own&size_batch=0")
    settle(page)
    yield "own shape, and a batch that cannot be", None


def menus_of_models(page: Page, url: str) -> Iterator[State]:
    """Every menu open, an empty choice, and a name that cannot be."""
    arrive(page, f"{url}/models")
    settle(page)
    for name in MENUS:
        page.get_by_role("button", name=re.compile(rf"\b{name}\b")).first.click()
        page.locator('[data-testid="stPopoverBody"]').wait_for()
        settle(page, CHANGED_MS)
        yield name, None if name == MENUS[0] else MENU
        page.keyboard.press("Escape")
    for query in ("", "not+an+id/with/parts"):
        arrive(page, f"{url}/models?models_pick={query}")
        settle(page)
        yield f"models_pick={query}", None


def what_folds_out_elsewhere(page: Page, url: str) -> Iterator[State]:
    """An expander, a selection that leaves nothing, a question answered, a popover with figures, a drill checked."""
    arrive(page, f"{url}/evidence")
    settle(page)
    page.get_by_text("Every study with its table").click()
    settle(page)
    yield "studies", MAIN
    arrive(page, f"{url}/evidence?evidence_held=Spent+again&evidence_size=7.0&evidence_kind=GQA")
    settle(page)
    yield "few studies", MAIN
    arrive(page, f"{url}/case-llama")
    settle(page)
    page.locator('[data-testid="stRadio"] label').last.click()
    page.get_by_role("button", name="Where the figures come from").click()
    settle(page)
    yield "answered", f"{MAIN}, {MENU}"
    arrive(page, f"{url}/spot")
    settle(page)
    page.get_by_role("radio", name="MHA", exact=True).click()
    page.get_by_role("button", name="Check").click()
    settle(page)
    yield "checked", MAIN


def presenter_with_notes(page: Page, url: str) -> Iterator[State]:
    """A lesson and a tool in a room, the notes open."""
    for path in ("bottleneck", "size", "models"):
        arrive(page, f"{url}/{path}?present=1")
        page.get_by_role("navigation", name="Presenter").get_by_role("status").wait_for()
        settle(page)
        notes = page.get_by_role("complementary", name="Speaker notes")
        if not notes.is_visible():  # open, they stay so from page to page
            page.keyboard.press("n")
            notes.wait_for()
        yield path, None
    page.keyboard.press("n")
    notes.wait_for(state="hidden")


WALKS = (tabs_of_size, menus_of_models, what_folds_out_elsewhere, presenter_with_notes)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("walk", WALKS, ids=lambda walk: walk.__name__)
def test_no_serious_violation_in_what_comes_up_later(server: Dashboard, page: Page, walk, theme: str):
    page.emulate_media(color_scheme=theme, reduced_motion="reduce")
    found = {state: violations(page, theme, within) for state, within in walk(page, server.url)}
    assert {state: lines for state, lines in found.items() if lines} == {}


# Once the press has been drawn: whether what had the focus before still looks as if it had it, and the look of what has
# it now and of what is around that. What has the focus is remembered by which it is found again.
FOCUSED = """async () => {
  await new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn)))
  const look = (node) => { const s = getComputedStyle(node)
    return [s.outlineStyle, s.outlineWidth, s.boxShadow, s.borderColor, s.backgroundColor, s.color].join() }
  const around = (node) => { const all = []
    for (let up = node, i = 0; up && i < 5; i++, up = up.parentElement) all.push(look(up))
    return all.join(" ") }
  const left = window.__before ? around(window.__before) : null
  let at = document.activeElement
  while (at.shadowRoot?.activeElement) at = at.shadowRoot.activeElement // a component of ours
  if (at === document.body) return { left, now: null }
  window.__before = at
  const name = at.getAttribute("aria-label") || at.labels?.[0]?.innerText || at.innerText || at.title
  return { left, now: { tag: at.tagName, name: name.slice(0, 60), look: around(at) } }
}"""


FROM_THE_START = """() => {
  window.__before = null
  document.body.tabIndex = -1
  document.body.focus()
  document.body.removeAttribute("tabindex")
}"""


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("path", ["size", "evidence", "bottleneck", "quiz", "benchmark?present=1"])
def test_the_focus_of_the_keyboard_can_be_seen(server: Dashboard, page: Page, path: str, theme: str):
    """Each stop of the Tab key looks other than without the focus, and has a name."""
    page.emulate_media(color_scheme=theme, reduced_motion="reduce")
    arrive(page, f"{server.url}/{path}")
    settle(page)
    page.evaluate(FROM_THE_START)
    unseen, nameless, stops, before = [], [], 0, None
    for _ in range(80):
        page.keyboard.press("Tab")
        found = page.evaluate(FOCUSED)
        if before is not None and found["left"] == before["look"]:
            unseen.append(before)
        before = found["now"]
        if before is None:
            break
        stops += 1
        if not before["name"].strip():
            nameless.append(before)
    assert stops > 5
    assert unseen == []
    assert nameless == []


def test_reduced_motion_stills_every_transition(server: Dashboard, page: Page):
    page.emulate_media(reduced_motion="reduce")
    arrive(page, f"{server.url}/layouts")
    settle(page)
    slowest = page.evaluate(
        """() => Math.max(...[...document.querySelectorAll("*")].map((node) => {
          const style = getComputedStyle(node)
          return Math.max(parseFloat(style.transitionDuration) || 0, parseFloat(style.animationDuration) || 0)
        }))"""
    )
    assert slowest <= 0.001
