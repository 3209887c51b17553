"""The layouts page in a real Chromium: deep link first, G by click, a link that restores the view."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.settle import arrive, settle
from tests.dashboard import Dashboard, running_dashboard


@pytest.fixture
def page(loaded: Page) -> Page:
    """A load each only where a test is of one."""
    return loaded


def test_the_very_first_request_may_be_a_deep_link(tmp_path: Path, own_page: Page):
    with running_dashboard(tmp_path) as fresh:
        own_page.goto(f"{fresh.url}/layouts")
        expect(own_page.get_by_role("heading", name="The three layouts", exact=True)).to_be_visible()
        expect(own_page.get_by_test_id("stSidebarNav").get_by_text("Overview")).to_be_visible()
        expect(own_page.get_by_role("dialog")).to_have_count(0)
        assert "Traceback" not in fresh.log()


def test_clicking_g_moves_picture_formula_and_address(server: Dashboard, page: Page):
    arrive(page, f"{server.url}/layouts")
    expect(page.get_by_text("GQA: 64 query heads share 8").first).to_be_visible()
    page.get_by_role("radio", name="1", exact=True).click()
    expect(page.get_by_text("MQA: all 64 query heads read one").first).to_be_visible()
    expect(page.get_by_text("512 B of MHA's 32,768 B")).to_be_visible()
    expect(page.get_by_text("40.0 KiB")).to_be_visible()
    expect(page).to_have_url(re.compile(r"layouts_g64=1(&|$)"))


def test_a_change_of_g_moves_the_picture_that_stands(server: Dashboard, page: Page):
    """The drawing is not built again: what was in it before the click is in it afterwards, with other rows."""
    arrive(page, f"{server.url}/layouts")
    picture = page.get_by_test_id("stVegaLiteChart").first
    expect(picture.get_by_text("4,096 B of MHA's 32,768 B")).to_be_visible()
    picture.locator("svg").evaluate("drawing => { drawing.dataset.stood = 'yes' }")
    page.get_by_role("radio", name="16", exact=True).click()
    expect(picture.get_by_text("8,192 B of MHA's 32,768 B")).to_be_visible()
    expect(picture.locator("svg")).to_have_attribute("data-stood", "yes")
    expect(picture.get_by_label("8,192 bytes per token and layer, 25.0% of MHA's")).to_have_count(1)


SHIFTS = """
window.__shifts = []
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.__shifts.push(entry.value)
}).observe({ type: "layout-shift", buffered: true })
window.__looks = []
new MutationObserver(() => window.__looks.push(document.documentElement.className))
  .observe(document, { attributes: true, attributeFilter: ["class"], subtree: true })
"""


@pytest.mark.parametrize("path", ["", "layouts", "size", "formula", "models"])
def test_nothing_moves_while_a_page_arrives(server: Dashboard, first_visit: Page, path: str):
    page, thrown = first_visit, []
    page.on("pageerror", lambda error: thrown.append(str(error)))
    page.add_init_script(SHIFTS)
    page.goto(f"{server.url}/{path}")
    expect(page.get_by_role("heading", level=1)).to_be_visible()  # not before the page is shown
    expect(page.locator("html")).not_to_have_class("arriving")
    expect(page.get_by_test_id("stVegaLiteChart").first).to_be_visible()
    settle(page)
    assert "arriving" in page.evaluate("window.__looks")
    assert sum(page.evaluate("window.__shifts")) < 0.001
    assert thrown == []


def test_a_page_whose_picture_does_not_come_is_shown_as_far_as_it_is(server: Dashboard, first_visit: Page):
    page = first_visit
    page.route("**/ArrowVegaLiteChart.*", lambda route: None)  # never answered
    page.goto(f"{server.url}/layouts", wait_until="commit")
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    expect(page.get_by_test_id("stVegaLiteChart")).to_have_count(0)


SLOW_CLOCK = """
const asked = window.requestAnimationFrame.bind(window)
window.requestAnimationFrame = (look) => asked((now) => look(now / 40))
"""


def test_what_is_below_the_window_is_not_waited_for(server: Dashboard, first_visit: Page):
    """Buttons there whose code never comes: by this clock the page that takes long is shown after our patience."""
    page = first_visit
    page.add_init_script(SLOW_CLOCK)
    page.route("**/DownloadButton.*", lambda route: None)
    page.goto(f"{server.url}/models", wait_until="commit")
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    assert page.get_by_test_id("stSkeleton").first.evaluate("grey => grey.getBoundingClientRect().top > innerHeight")


def test_a_link_restores_the_view(server: Dashboard, page: Page):
    page.goto(f"{server.url}/layouts?layouts_model=Falcon+40B&layouts_g128=128")
    expect(page.get_by_text("MHA: each of the 128 query heads").first).to_be_visible()
    expect(page.get_by_text("32,768 B").first).to_be_visible()


def test_no_horizontal_scroll_on_a_phone(server: Dashboard, page: Page):
    page.set_viewport_size({"width": 390, "height": 844})
    arrive(page, f"{server.url}/layouts?layouts_model=Falcon+7B")
    expect(page.get_by_text("MQA: all 71 query heads").first).to_be_visible()
    main = page.get_by_test_id("stMain")
    assert main.evaluate("element => element.scrollWidth <= element.clientWidth")


FILLS = """() => [...new Set(
  [...document.querySelectorAll("svg.marks [fill]")].map((mark) => mark.getAttribute("fill")))].sort()"""


def test_a_theme_that_changes_under_an_open_page_changes_its_pictures(server: Dashboard, page: Page):
    """As by the system in the evening, or in Streamlit's settings."""
    page.emulate_media(color_scheme="dark", reduced_motion="reduce")
    arrive(page, f"{server.url}/layouts")
    settle(page)
    dark = page.evaluate(FILLS)
    page.emulate_media(color_scheme="light", reduced_motion="reduce")
    settle(page)
    light = page.evaluate(FILLS)
    assert light != dark
    assert "#1b2430" in light
    assert "#1b2430" not in dark
    page.emulate_media(color_scheme="dark", reduced_motion="reduce")
    settle(page)
    assert page.evaluate(FILLS) == dark
