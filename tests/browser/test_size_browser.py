"""The sizing page in a real Chromium: the verdict, a job changed by hand, links that reopen the same, the benchmark."""

import re

import pytest
from playwright.sync_api import Page, WebSocket, expect
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

from tests.browser.settle import arrive, settle
from tests.dashboard import Dashboard

HEADLINE = "Only G = 1 fits in bf16; 8-bit cache also allows G = 2; 4-bit also G = 4. G = 8 fits at none of the three."


@pytest.fixture
def page(loaded: Page) -> Page:
    """A load each only where a test is of one."""
    return loaded


def test_the_verdict_moves_with_g_and_batch_and_a_link_reopens_it(server: Dashboard, page: Page, elsewhere: Page):
    arrive(page, f"{server.url}/size")
    expect(page.get_by_role("heading", name=HEADLINE)).to_be_visible()
    expect(page.get_by_text("✓ 66.9 GB").first).to_be_visible()
    batch = page.get_by_label("Batch", exact=True)
    batch.fill("4")
    batch.press("Enter")
    changed = re.compile(r"Only G = 1, 2, 4, 5 and 8 fit in bf16")
    expect(page.get_by_role("heading", name=changed)).to_be_visible()
    expect(page.get_by_text("✓ 66.9 GB")).to_have_count(0)
    page.get_by_role("radio", name="5", exact=True).first.click()
    expect(page.get_by_text("G = 5 with a bf16 cache needs")).to_be_visible()
    expect(page).to_have_url(re.compile(r"size_batch=4"))
    expect(page).to_have_url(re.compile(r"size_g=5"))
    link = page.url

    elsewhere.goto(link)
    expect(elsewhere.get_by_role("heading", name=changed)).to_be_visible()
    expect(elsewhere.get_by_text("G = 5 with a bf16 cache needs")).to_be_visible()
    expect(elsewhere.get_by_label("Batch", exact=True)).to_have_value("4")


def test_why_so_many_requests_is_two_clicks_away_and_a_link(server: Dashboard, page: Page, elsewhere: Page):
    arrive(page, f"{server.url}/size")
    page.get_by_role("button", name="Questions that people ask").click()
    page.get_by_text("Why does Qwen3-Next serve 52 requests on SGLang").click()
    slots = "the states' share of the memory has 262 slots, and 5 slots are set aside for each request"
    why = f"Why 52 requests at once: {slots}"
    expect(page.get_by_text(why)).to_be_visible()
    expect(page).to_have_url(re.compile(r"size_serve_context=512"))
    elsewhere.goto(page.url)
    expect(elsewhere.get_by_text(why)).to_be_visible()


def test_every_tab_stands_in_sight_on_a_narrow_desk(server: Dashboard, page: Page):
    page.set_viewport_size({"width": 1280, "height": 800})
    arrive(page, f"{server.url}/size")
    settle(page)  # they lie below the window
    tabs = page.get_by_role("tablist").first
    expect(tabs.get_by_role("tab", name="Record")).to_be_visible()
    assert tabs.evaluate("tabs => tabs.scrollWidth - tabs.clientWidth") == 0


def test_a_way_to_fit_is_one_click(server: Dashboard, page: Page):
    arrive(page, f"{server.url}/size?size_tab=Make+it+fit")
    expect(page.get_by_text("ways to make G = 8 fit")).to_be_visible()
    page.get_by_role("button", name="Use this").first.click()
    expect(page.get_by_text("G = 8 fits as it is.")).to_be_visible()
    expect(page).to_have_url(re.compile(r"size_tp=2"))


def test_a_link_from_the_other_job_opens_its_own_tab(server: Dashboard, page: Page):
    """The tab of the same number among the other job's stood open, empty, now and then: three times tried."""
    for other in ("Engine", "Side+by+side", "The+plan"):
        arrive(page, f"{server.url}/size?size_job=Serve+a+model&size_serve_tab={other}")
        page.get_by_text("Behind the answer").wait_for()
        arrive(page, f"{server.url}/size?size_tab=Make+it+fit")
        expect(page.get_by_text("ways to make G = 8 fit")).to_be_visible()


def test_more_inputs_stay_open_between_the_two_questions(server: Dashboard, page: Page):
    arrive(page, f"{server.url}/size")
    price = page.get_by_label("Price per GPU-hour")
    page.get_by_text("More inputs").click()
    expect(price).to_be_visible()
    expect(page.get_by_text("K and V weights that a smaller G frees")).to_be_visible()
    page.get_by_role("radio", name="Serve a model").click()
    expect(page.get_by_text("K and V weights that a smaller G frees")).to_have_count(0)
    expect(price).to_be_visible()
    page.get_by_role("radio", name="Choose G").click()
    expect(page.get_by_text("K and V weights that a smaller G frees")).to_be_visible()
    expect(price).to_be_visible()


def test_inputs_of_closed_tabs_stay_in_the_address(server: Dashboard, page: Page):
    arrive(page, f"{server.url}/size?size_tab=Traffic&size_mean=8192&size_p95=20000&size_wish=4")
    expect(page.get_by_text("Batch that holds at 99 %")).to_be_visible()
    page.get_by_role("tab", name="Limits").click()
    expect(page.get_by_text("Largest batch", exact=True)).to_be_visible()
    expect(page).to_have_url(re.compile(r"size_mean=8192"))
    expect(page).to_have_url(re.compile(r"size_wish=4"))


def test_a_bad_value_is_said_and_stays(server: Dashboard, page: Page):
    arrive(page, f"{server.url}/size")
    batch = page.get_by_label("Batch", exact=True)
    batch.fill("0")
    batch.press("Enter")
    expect(page.get_by_role("alert").get_by_text("batch_size is 0: give a whole number from 1")).to_be_visible()
    expect(batch).to_have_value("0")


def test_the_decision_record_is_a_file_that_needs_nothing_else(server: Dashboard, page: Page):
    arrive(page, f"{server.url}/size?size_tab=Record&size_batch=16")
    with page.expect_download() as saved:
        page.get_by_role("button", name="Decision record, one HTML file").click()
    html = saved.value.path().read_text(encoding="utf-8")
    assert "<svg" in html
    assert "size_batch=16" in html
    with page.expect_download() as saved:
        page.get_by_role("button", name="Benchmark plan, Markdown").click()
    assert saved.value.path().read_text(encoding="utf-8").startswith("# Benchmark plan: G = 2 for Llama-2 13B")


def test_the_benchmark_button_measures_this_host(server: Dashboard, page: Page):
    few = "size_model=A+shape+of+your+own&size_heads=2&size_batch=1&size_context=256"  # two values of G
    arrive(page, f"{server.url}/size?size_tab=Measure&{few}&size_decode_run_size=Quick:+about+a+minute")
    page.get_by_role("button", name="Measure decoding on this host").click()
    expect(page.get_by_text(re.compile(r"One layer's step takes .* times as long at G = 2 as at G = 1"))).to_be_visible(
        timeout=420_000  # the run's own limit is 300 s; one that it ends has an answer too, which was never waited for
    )
    expect(page.get_by_role("heading", level=3).first).to_be_visible()
    page.get_by_role("tab", name="Speed and cost").click()
    expect(page.get_by_text("Measured on this host")).to_be_visible()


def test_a_changed_input_does_not_send_the_links_at_the_side_again(server: Dashboard, own_page: Page):
    kinds: list[str | None] = []

    def note(frame: bytes | str) -> None:
        assert isinstance(frame, bytes)
        kinds.append(ForwardMsg.FromString(frame).WhichOneof("type"))

    def listen(socket: WebSocket) -> None:
        socket.on("framereceived", note)

    own_page.on("websocket", listen)
    own_page.goto(f"{server.url}/size")
    expect(own_page.get_by_role("heading", name=HEADLINE)).to_be_visible()
    own_page.get_by_label("Batch", exact=True).fill("4")
    own_page.get_by_label("Batch", exact=True).press("Enter")
    expect(own_page.get_by_role("heading", name=re.compile(r"Only G = 1, 2, 4, 5 and 8 fit in bf16"))).to_be_visible()
    assert kinds.count("new_session") >= 2
    assert kinds.count("navigation") == 1
    own_page.get_by_role("link", name="Glossary").click()
    expect(own_page.get_by_role("heading", name="Glossary")).to_be_visible()
    expect(own_page).to_have_url(re.compile("/glossary"))
    assert kinds.count("navigation") == 2
    own_page.go_back()
    expect(own_page).to_have_url(re.compile("/size"))
    expect(own_page.get_by_role("heading", name=re.compile("Only G"))).to_be_visible()
    expect(own_page.get_by_role("link", name="Size", exact=True)).to_have_attribute("aria-current", "page")
