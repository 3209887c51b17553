"""What lies below the window in a real Chromium: it comes when somebody scrolls, follows a link, or sees so far."""

import pytest
from playwright.sync_api import Page, expect

from tests.browser.settle import BELOW, PATIENCE_MS, arrive, settle, stand
from tests.dashboard import Dashboard

PICTURES = '[data-testid="stVegaLiteChart"] svg.marks'


SCROLLED = "document.querySelector('[data-testid=\"stMain\"]').scrollTop"


@pytest.fixture
def page(loaded: Page) -> Page:
    """A load each only where a test is of one."""
    return loaded


def tops(page: Page) -> list[int]:
    """Where the headings stand in the window, in whole pixels; asked while nothing comes that may replace one."""
    drawn = page.get_by_role("heading", level=3)
    found: list[int] = drawn.evaluate_all("(all) => all.map((one) => Math.round(one.getBoundingClientRect().top))")
    return found


def headings(page: Page) -> list[str]:
    return page.get_by_role("heading", level=3).all_inner_texts()


ALL = [
    "Side by side",
    "Cache against context",
    "Weights beside the cache",
    "Layer by layer",
    "One model, line by line",
    "The registry",
]


def test_the_rest_comes_when_somebody_scrolls_and_nobody_is_moved(server: Dashboard, page: Page) -> None:
    page.set_viewport_size({"width": 1280, "height": 800})
    arrive(page, f"{server.url}/models")
    stand(page)
    expect(page.locator(PICTURES)).to_have_count(1)
    assert headings(page) == ALL
    before = tops(page)[:2]  # the heading of what stands, and the first of what is to come
    page.mouse.move(1_240, 780)  # beside what has a wheel of its own
    page.mouse.wheel(0, 500)
    page.wait_for_function(f"() => {SCROLLED} === 500")
    expect(page.locator(PICTURES)).to_have_count(5, timeout=PATIENCE_MS)
    settle(page)
    assert headings(page) == ALL
    assert page.evaluate(SCROLLED) == 500
    assert [top + 500 for top in tops(page)[:2]] == before
    expect(page.get_by_test_id("stException")).to_have_count(0)


def test_a_link_to_a_heading_below_arrives_there(server: Dashboard, page: Page) -> None:
    page.goto(f"{server.url}/models#the-registry")
    expect(page.locator(PICTURES)).to_have_count(5, timeout=PATIENCE_MS)
    settle(page)
    expect(page.get_by_role("heading", name="The registry")).to_be_in_viewport()


def test_a_tall_window_is_filled_without_a_scroll(server: Dashboard, page: Page) -> None:
    page.set_viewport_size({"width": 1280, "height": 1600})
    arrive(page, f"{server.url}/models")
    expect(page.locator(PICTURES)).to_have_count(5, timeout=PATIENCE_MS)


def test_a_page_that_is_opened_again_begins_at_its_top(server: Dashboard, page: Page) -> None:
    arrive(page, f"{server.url}/models")
    settle(page)
    expect(page.locator(PICTURES)).to_have_count(5)
    links = page.get_by_role("navigation", name="App pages")
    links.get_by_role("link", name="Glossary", exact=True).click()
    settle(page)
    links.get_by_role("link", name="Models", exact=True).click()
    expect(page.get_by_role("heading", name="Models", level=1)).to_be_visible()
    stand(page)
    expect(page.locator(PICTURES)).to_have_count(1)
    assert headings(page) == ALL


@pytest.mark.parametrize(
    ("path", "first"),
    [
        ("size", "Behind the answer"),
        ("evidence", "Where the studies disagree"),
        ("layouts", "The three side by side"),
    ],
)
def test_the_first_heading_below_stands_where_it_stood(server: Dashboard, page: Page, path: str, first: str) -> None:
    page.set_viewport_size({"width": 1280, "height": 800})
    arrive(page, f"{server.url}/{path}")
    stand(page)
    heading = page.get_by_role("heading", name=first, exact=True)
    expect(heading).to_have_count(1)
    top = "(heading) => Math.round(heading.getBoundingClientRect().top + " + SCROLLED + ")"
    before = heading.evaluate(top)
    assert before > 800
    settle(page)
    expect(page.locator(BELOW)).to_have_count(0)
    assert heading.evaluate(top) == before
