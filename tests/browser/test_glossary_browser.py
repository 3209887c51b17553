"""A term within a text leads to its entry of the glossary, in a tab of its own, and looks like the text around it."""

import pytest
from playwright.sync_api import Page, expect

from tests.browser.settle import arrive, settle
from tests.dashboard import Dashboard


@pytest.fixture
def page(loaded: Page) -> Page:
    """A load each only where a test is of one."""
    return loaded


@pytest.mark.parametrize("path", ["case-mqa?case-mqa=3", "latent"])
def test_a_term_of_a_text_leads_to_its_entry(server: Dashboard, page: Page, path: str) -> None:
    arrive(page, f"{server.url}/{path}")
    settle(page)
    term = page.get_by_role(
        "link", name="MQA" if path.startswith("case") else "Multi-head latent attention", exact=True
    ).first
    around = page.get_by_test_id("stMarkdownContainer").filter(has=term).first
    colour = "node => getComputedStyle(node).color"
    assert term.evaluate(colour) == around.locator("p").first.evaluate(colour)
    with page.expect_popup() as opened:
        term.click()
    entry = opened.value
    expect(entry.get_by_role("heading", name="Glossary")).to_be_visible()
    expect(entry.get_by_label("Find a word")).to_have_value("MQA" if path.startswith("case") else "MLA")
    first = entry.get_by_test_id("stMarkdownContainer").filter(has=entry.locator("strong")).first
    expect(first).to_contain_text("Multi-query attention" if path.startswith("case") else "Multi-head latent attention")
    entry.close()
