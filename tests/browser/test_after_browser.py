"""After G in a real Chromium: an idea brings its own layout and words, and leaves the map where it stands."""

import re

from playwright.sync_api import Page, expect

from tests.browser.sent import pictures_sent
from tests.browser.settle import settle
from tests.dashboard import Dashboard

LATENT, MAP, BITS = "The layout of A latent (MLA)", "The registry's models by idea", "The layout of Fewer bits"


def test_an_idea_sends_what_follows_it_and_no_map(server: Dashboard, page: Page):
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    sent = pictures_sent(page)
    page.goto(f"{server.url}/after")
    settle(page)
    assert sent == [LATENT, MAP]
    page.get_by_role("radio", name="Fewer bits").click()
    expect(page.get_by_text("FP8, MXFP4, NVFP4: fewer bits a number").first).to_be_visible()
    settle(page)
    assert sent == [LATENT, MAP, BITS]
    expect(page).to_have_url(re.compile(r"after_idea=Fewer\+bits(&|$)"))
    page.get_by_role("button", name="Share", exact=True).click()
    page.get_by_role("button", name="Copy the answer, Markdown").click()
    expect(page.get_by_role("button", name="Copied", exact=True)).to_be_visible()
    assert "Fewer bits turns bytes: FP8, MXFP4, NVFP4" in page.evaluate("navigator.clipboard.readText()")
    page.reload()
    settle(page)
    assert sent == [LATENT, MAP, BITS, BITS, MAP]
