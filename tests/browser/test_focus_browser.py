"""Where the focus of the keyboard stays: through a popover and out again, and after a press that draws a button anew.

And the page's name, by which a tab and a screen reader know it.
"""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.settle import CHANGED_MS, arrive, settle
from tests.dashboard import Dashboard

BODY = '[data-testid="stPopoverBody"]'
PASTED = '{"model_type": "llama", "num_attention_heads": 8, "num_hidden_layers": 2, "hidden_size": 64}'


@pytest.fixture
def page(loaded: Page) -> Page:
    return loaded


def in_popover(page: Page) -> bool:
    return bool(page.evaluate(f"document.activeElement.closest('{BODY}') !== null"))


def test_tab_goes_into_a_popover_and_from_its_ends_back_to_its_button(server: Dashboard, page: Page):
    """Streamlit draws it at the end of the page: 76 stops away from the button that opened it."""
    arrive(page, f"{server.url}/models")
    settle(page)
    opener = page.get_by_role("button", name=re.compile("Paste or upload")).first
    opener.focus()
    page.keyboard.press("Enter")
    page.locator(BODY).wait_for()
    settle(page, CHANGED_MS)
    page.keyboard.press("Tab")
    assert in_popover(page)
    page.keyboard.press("Shift+Tab")
    expect(opener).to_be_focused()
    page.keyboard.press("Tab")
    for _ in range(40):
        page.keyboard.press("Tab")
        if not in_popover(page):
            break
    expect(opener).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.locator(BODY)).to_have_count(0)
    expect(opener).to_be_focused()


def test_escape_keeps_what_was_typed_in_a_popover(server: Dashboard, page: Page):
    """Streamlit takes the field away before it has sent its text: a pasted config was lost without a word."""
    arrive(page, f"{server.url}/models")
    settle(page)
    page.get_by_role("button", name=re.compile("Paste or upload")).first.click()
    field = page.locator(BODY).get_by_role("textbox").first
    field.fill(PASTED)
    field.press("Escape")
    expect(page.locator(BODY)).to_have_count(0)
    settle(page)
    expect(page.get_by_text("pasted").first).to_be_visible()
    page.get_by_role("button", name=re.compile("Paste or upload")).first.click()
    expect(page.locator(BODY).get_by_role("textbox").first).to_have_value(PASTED)


def test_an_answer_given_by_the_keyboard_keeps_its_place(server: Dashboard, page: Page):
    arrive(page, f"{server.url}/quiz?quiz_number=2")
    settle(page)
    option = page.get_by_role("button", name="Choosing the next token")
    option.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_test_id("stAlert")).to_be_visible()
    settle(page)
    expect(page.locator("button:focus")).to_contain_text("Choosing the next token")


def test_next_onto_the_last_step_keeps_the_focus_on_next(server: Dashboard, page: Page):
    """The button there is another one: the Enter after it fell on nothing."""
    arrive(page, f"{server.url}/formula?formula=2")
    settle(page)
    page.locator(".st-key-turn_next button").first.focus()
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("formula=3"))
    settle(page)
    expect(page.locator(".st-key-turn_next button:focus")).to_have_count(1)


def test_each_page_has_its_name_in_the_tab(server: Dashboard, page: Page):
    for path, title in (
        ("", "Headroom"),
        ("size", "Size · Headroom"),
        ("formula", "The formula on a Post-it · Headroom"),
    ):
        arrive(page, f"{server.url}/{path}")
        expect(page).to_have_title(title)
