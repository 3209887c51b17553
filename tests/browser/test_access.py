"""Every page in a real Chromium against axe-core, in both themes: no serious and no critical violation.

Also that each page fits its window, at 1280 pixels and on a phone upright, and that keyboard focus can be seen.
"""

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

from tests.browser.screenshots import settle
from tests.dashboard import Dashboard
from tests.paths import page_paths

# Streamlit's own markup, which no option of it changes: (rule, selector that every node of the violation must match).
STREAMLITS_OWN: tuple[tuple[str, str], ...] = (
    # The navigation is <ul><div><li>: st.navigation has no option for its markup. Screen readers still read the links.
    ("list", '[data-testid="stSidebarNavItems"]'),
    ("listitem", '[data-testid="stSidebarNavItems"] li'),
)

SERIOUS = ("serious", "critical")


def violations(page: Page) -> list[str]:
    """Rule, impact, selector and what is wrong, one line a node."""
    answer = Axe().run(page, options={"resultTypes": ["violations"]}).response
    return [
        f"{found['id']} ({found['impact']}) {' '.join(map(str, node['target']))}: {node['html'][:160]}\n"
        f"    {node['failureSummary'].splitlines()[-1].strip()}"
        for found in answer["violations"]
        if found["impact"] in SERIOUS
        for node in found["nodes"]
        if not allowed(page, found["id"], node["target"])
    ]


def allowed(page: Page, rule: str, target: list[str]) -> bool:
    """Whether the node is one of the named exceptions for that rule."""
    selectors = [selector for named, selector in STREAMLITS_OWN if named == rule]
    node = page.locator(str(target[-1])).first
    return any(node.evaluate("(element, selector) => element.matches(selector)", selector) for selector in selectors)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("path", page_paths())
def test_no_serious_violation(server: Dashboard, page: Page, path: str, theme: str):
    page.emulate_media(color_scheme=theme, reduced_motion="reduce")
    page.goto(f"{server.url}/{path}")
    settle(page)
    assert violations(page) == []


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("path", page_paths())
def test_no_horizontal_scroll(server: Dashboard, page: Page, path: str, width: int):
    page.set_viewport_size({"width": width, "height": 844})
    page.goto(f"{server.url}/{path}")
    settle(page)
    wide = "element => element.scrollWidth > element.clientWidth + 1"
    assert not page.get_by_test_id("stMain").evaluate(wide)
    assert not page.locator("html").evaluate(wide)


def test_the_focus_of_the_keyboard_can_be_seen(server: Dashboard, page: Page):
    page.goto(f"{server.url}/layouts")
    settle(page)
    unseen = []
    for _ in range(25):
        page.keyboard.press("Tab")
        focused = page.evaluate(
            """() => {
              const at = document.activeElement, own = getComputedStyle(at)
              const ring = (style) => style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0
                || style.boxShadow !== "none"
              let up = at, seen = false
              for (let i = 0; up && i < 4 && !seen; i++, up = up.parentElement) seen = ring(getComputedStyle(up))
              const name = at.getAttribute("aria-label") ?? at.innerText
              return { tag: at.tagName, name, seen: seen || at === document.body }
            }"""
        )
        if not focused["seen"]:
            unseen.append(focused)
    assert unseen == []


def test_reduced_motion_stills_every_transition(server: Dashboard, page: Page):
    page.emulate_media(reduced_motion="reduce")
    page.goto(f"{server.url}/layouts")
    settle(page)
    slowest = page.evaluate(
        """() => Math.max(...[...document.querySelectorAll("*")].map((node) => {
          const style = getComputedStyle(node)
          return Math.max(parseFloat(style.transitionDuration) || 0, parseFloat(style.animationDuration) || 0)
        }))"""
    )
    assert slowest <= 0.001
