"""The timeline in a real Chromium: a click on a dot opens its model on Models, and Back returns."""

import re

from playwright.sync_api import Page, expect

from tests.browser.sent import pictures_sent
from tests.browser.settle import settle
from tests.dashboard import Dashboard


def test_a_dot_opens_its_model_without_the_timeline_once_more(server: Dashboard, page: Page):
    sent = pictures_sent(page)
    page.goto(f"{server.url}/timeline")
    settle(page)
    (timeline,) = sent
    assert timeline.endswith("models by month of release and bytes a token at 32,768 tokens")
    page.get_by_label(re.compile("model: GPT-2;")).click()
    expect(page).to_have_url(re.compile(r"/models\?models_pick=GPT-2$"))
    expect(page.get_by_role("heading", name="Models", exact=True)).to_be_visible()
    settle(page)
    assert sent.count(timeline) == 1
    page.go_back()
    expect(page.get_by_role("heading", name="Timeline", exact=True)).to_be_visible()
    settle(page)
    expect(page).to_have_url(re.compile("/timeline$"))
    assert sent.count(timeline) == 2
