"""The links at the side in a real Chromium: they turn the page without a load, say which one stands, and fold."""

import re

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.settle import PATIENCE_MS, arrive, settle
from tests.dashboard import Dashboard


@pytest.fixture
def page(loaded: Page) -> Page:
    """A load each only where a test is of one."""
    return loaded


def link(page: Page, name: str) -> Locator:
    return page.get_by_role("navigation", name="App pages").get_by_role("link", name=name, exact=True)


def marked(page: Page) -> list[str]:
    found: list[str] = page.eval_on_selector_all(
        '.headroom-menu [aria-current="page"]', "all => all.map(a => a.pathname)"
    )
    return found


def test_a_link_turns_the_page_without_a_load_and_back_returns(server: Dashboard, page: Page) -> None:
    arrive(page, f"{server.url}/layouts?layouts_g64=1")
    settle(page)
    assert marked(page) == ["/layouts"]
    page.evaluate("window.stood = 'yes'")
    link(page, "Glossary").click()
    expect(page).to_have_url(f"{server.url}/glossary")
    expect(page.get_by_role("heading", name="Glossary", level=1)).to_be_visible()
    assert marked(page) == ["/glossary"]
    expect(link(page, "Glossary")).to_be_focused()
    assert page.evaluate("window.stood") == "yes"
    settle(page)
    page.go_back()
    expect(page).to_have_url(re.compile(r"/layouts\?layouts_g64=1$"))
    expect(page.get_by_text("MQA: all 64 query heads read one").first).to_be_visible()
    assert marked(page) == ["/layouts"]
    assert page.evaluate("window.stood") == "yes"


def test_a_page_that_another_link_opens_is_marked_too(server: Dashboard, page: Page) -> None:
    arrive(page, f"{server.url}/map")
    settle(page)
    page.get_by_test_id("stMain").get_by_role("link", name="Quiz of 25 questions").click()
    expect(page).to_have_url(f"{server.url}/quiz")
    settle(page)
    assert marked(page) == ["/quiz"]


def test_the_link_of_the_page_that_stands_keeps_what_was_chosen(server: Dashboard, page: Page) -> None:
    arrive(page, f"{server.url}/layouts?layouts_g64=1")
    settle(page)
    link(page, "The three layouts").click()
    settle(page)
    expect(page).to_have_url(re.compile(r"/layouts\?layouts_g64=1$"))
    expect(page.get_by_text("MQA: all 64 query heads read one").first).to_be_visible()


@pytest.mark.parametrize("after_ms", [0, 100, 200])
def test_a_link_holds_though_the_theme_changes_meanwhile(server: Dashboard, page: Page, after_ms: int) -> None:
    """A change of theme asks for a run of the page that stands, which took the turn back."""
    arrive(page, f"{server.url}/size")
    settle(page)
    box = link(page, "Models").bounding_box()
    assert box is not None
    page.emulate_media(color_scheme="dark")
    page.wait_for_timeout(after_ms)
    page.mouse.click(box["x"] + 20, box["y"] + 8)  # at once: a locator's click waits until nothing changes
    expect(page.get_by_role("heading", name="Models", level=1)).to_be_visible(timeout=PATIENCE_MS)
    settle(page, 1_500)
    expect(page).to_have_url(re.compile("/models$"))
    assert marked(page) == ["/models"]


def test_back_right_after_a_link_stays_back(server: Dashboard, page: Page) -> None:
    arrive(page, f"{server.url}/layouts")
    settle(page)
    link(page, "Quiz").click()
    expect(page).to_have_url(f"{server.url}/quiz")
    page.go_back()
    settle(page, 1_500)
    expect(page).to_have_url(f"{server.url}/layouts")
    expect(page.get_by_role("heading", name="The three layouts", level=1)).to_be_visible()


def test_an_answer_stays_while_its_reader_looks_elsewhere(server: Dashboard, page: Page) -> None:
    arrive(page, f"{server.url}/draw?draw=4")
    settle(page)
    first = page.get_by_role("radiogroup", name="KV head").get_by_role("radio").first
    first.click()
    expect(first).to_have_attribute("aria-checked", "true")
    settle(page)
    link(page, "FAQ").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("FAQ")
    link(page, "Drawing the three layouts").click()
    page.get_by_role("radiogroup", name="Step").get_by_role("radio", name="4").click()
    expect(first).to_have_attribute("aria-checked", "true")


def test_a_part_folds_by_a_key(server: Dashboard, page: Page) -> None:
    arrive(page, f"{server.url}/faq")
    settle(page)
    expect(link(page, "Size")).to_be_visible()
    page.get_by_test_id("stNavSectionHeader").get_by_text("Tools").focus()
    page.keyboard.press("Enter")
    expect(link(page, "Size")).to_be_hidden()
    expect(link(page, "The three layouts")).to_be_visible()


def test_on_a_phone_a_link_folds_the_side_away(server: Dashboard, page: Page) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    arrive(page, f"{server.url}/faq")
    settle(page)
    side = page.get_by_test_id("stSidebar")
    page.get_by_test_id("stExpandSidebarButton").click()
    expect(side).to_have_attribute("data-collapsed", "false")
    link(page, "Glossary").click()
    expect(page.get_by_role("heading", name="Glossary", level=1)).to_be_visible()
    expect(side).to_have_attribute("data-collapsed", "true")
