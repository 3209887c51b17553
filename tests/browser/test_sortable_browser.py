"""A table that sorts (pages/shell/sortable.py) in a real Chromium."""

import pytest
from playwright.sync_api import Locator, Page, expect

from core.models.registry import load_registry
from core.serving.engine_table import ENGINES
from tests.browser.settle import CHANGED_MS, arrive, stand
from tests.dashboard import Dashboard


@pytest.fixture
def page(loaded: Page) -> Page:
    """A load each only where a test is of one."""
    return loaded


def opened(page: Page, url: str) -> Locator:
    page.set_viewport_size({"width": 1280, "height": 800})
    arrive(page, url)
    stand(page)
    return page.locator(".headroom-sortable")


def column(table: Locator, number: int) -> list[str]:
    """The cells of that column, from 1, in the order that they stand in."""
    return table.locator(f"tbody tr > :nth-child({number})").all_text_contents()


def head(table: Locator, name: str) -> Locator:
    return table.get_by_role("button", name=name, exact=True)


def figure(written: str) -> float:
    return float(written.replace(",", ""))


def test_a_click_sorts_by_figures_and_what_is_empty_stays_last(server: Dashboard, page: Page) -> None:
    table = opened(page, f"{server.url}/engines?engines_engine=SGLang")
    first = column(table, 1)
    for way, largest_first in (("ascending", False), ("descending", True)):
        head(table, "One request").click()
        expect(table.get_by_role("columnheader", name="One request")).to_have_attribute("aria-sort", way)
        written = column(table, 5)
        served = [figure(cell) for cell in written if cell != "–"]
        assert served == sorted(served, reverse=largest_first)
        assert set(written[len(served) :]) == {"–"}
    head(table, "One request").click()
    assert column(table, 1) == first


def test_names_are_sorted_by_the_numbers_in_them(server: Dashboard, page: Page) -> None:
    table = opened(page, f"{server.url}/engines?engines_engine=vLLM&engines_model=Llama-1")
    head(table, "Model").click()
    assert column(table, 1) == ["Llama-1 7B", "Llama-1 13B", "Llama-1 30B", "Llama-1 65B"]


def test_the_order_outlives_a_change_of_an_input(server: Dashboard, page: Page) -> None:
    table = opened(page, f"{server.url}/engines?engines_engine=vLLM&engines_model=Llama-1")
    for _ in range(2):
        head(table, "Bytes").click()
    page.get_by_role("radio", name="4,096", exact=True).click()
    expect(table.locator("tbody tr > :nth-child(3)").first).to_have_text("4,096")  # a busy server answers late
    stand(page, CHANGED_MS)
    assert set(column(table, 3)) == {"4,096"}
    assert column(table, 1) == ["Llama-1 65B", "Llama-1 30B", "Llama-1 13B", "Llama-1 7B"]


def test_heads_and_names_stay_in_sight_and_a_click_shows_a_row_whole(server: Dashboard, page: Page) -> None:
    table = opened(page, f"{server.url}/engines?engines_engine=SGLang")
    table.evaluate("(box) => { box.scrollLeft = 500; box.scrollTop = 900 }")
    box, corner = table.bounding_box(), table.get_by_role("columnheader", name="Model").bounding_box()
    assert box is not None
    assert corner is not None
    assert (round(corner["x"] - box["x"]), round(corner["y"] - box["y"])) == (1, 1)
    reason = table.locator("tbody tr > :last-child", has_text="has no code of its own in SGLang").first
    cut = "(cell) => cell.scrollWidth > cell.clientWidth"
    reason.scroll_into_view_if_needed()
    assert reason.evaluate(cut)
    reason.click()
    assert not reason.evaluate(cut)
    reason.click()
    assert reason.evaluate(cut)
    table.press("Enter")
    assert not reason.evaluate(cut)
    page.keyboard.press("Enter")
    assert reason.evaluate(cut)


def test_every_row_is_in_the_page_for_its_search(server: Dashboard, page: Page) -> None:
    table = opened(page, f"{server.url}/engines")
    expect(table.locator("tbody tr")).to_have_count(len(load_registry()) * len(ENGINES))
