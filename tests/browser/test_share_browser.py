"""Sharing in a real Chromium: the link, a picture as a file, a report and slides; and what a menu costs closed."""

import csv
import re
import struct
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from io import BytesIO, StringIO
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest
from playwright.sync_api import BrowserContext, Page, expect
from pptx import Presentation

from core.version import VERSION
from tests.browser.conftest import forget_what_is_open, quiet
from tests.browser.settle import arrive, settle
from tests.dashboard import Dashboard

VIEW = "layouts?layouts_model=Mistral+7B&layouts_g32=4"
SAYS = "GQA: 32 query heads share 4 key and value heads, 8 to each."


@pytest.fixture
def page(loaded: Page) -> Page:
    """A load each only where a test is of one."""
    return loaded


def open_view(server: Dashboard, page: Page, path: str = VIEW) -> None:
    forget_what_is_open(page)
    arrive(page, f"{server.url}/{path}")
    settle(page)


@pytest.fixture
def view(server: Dashboard, kept_here: BrowserContext, kept_page: Page) -> Iterator[Page]:
    """VIEW as one page for the tests that open a menu of it and no more: it is closed again."""
    kept_here.grant_permissions(["clipboard-read", "clipboard-write"])
    menu = kept_page.get_by_test_id("stPopoverBody")
    with quiet(kept_page) as page:
        if not page.url.endswith(VIEW) or menu.count():
            open_view(server, page)
        yield page
        page.keyboard.press("Escape")
        expect(menu).to_have_count(0)
        page.mouse.move(0, 0)  # away from the picture below the menu, whose own buttons come up where the mouse is
    kept_here.clear_permissions()


def saved(page: Page, label: str) -> tuple[str, bytes]:
    """Name and content of the file behind a button."""
    with page.expect_download() as download:
        page.get_by_test_id("stDownloadButton").filter(has_text=label).first.get_by_role("button").click()
    return download.value.suggested_filename, Path(download.value.path()).read_bytes()


def test_copy_link_copies_the_address_of_the_view(view: Page):
    view.get_by_role("button", name="Share").click()
    view.get_by_role("button", name="Copy link").click()
    expect(view.get_by_role("button", name="Link copied")).to_be_visible()
    address, _, made = view.evaluate("navigator.clipboard.readText()").partition("&made=")
    assert parse_qsl(urlsplit(address).query) == parse_qsl(urlsplit(view.url).query)
    assert re.fullmatch(rf"{re.escape(VERSION)}-[0-9a-f]{{8}}", made)
    assert view.url.endswith(VIEW)


VIEWS = {  # a view that no default shows, and words on it that say so
    "models?models_pick=Falcon-7B&models_pick=Llama-1+7B&models_ghosts=true": "Falcon-7B keeps 8 KiB per token",
    "size?size_batch=4&size_context=8192&size_kv_bits=8&size_g=8&size_tab=Limits": "G = 8 with an 8-bit cache",
    VIEW: SAYS,
    "bottleneck?bottleneck=2&bottleneck_batch=32": "Batch 32, 4,096 tokens",
    "evidence?evidence_held=Dropped&evidence_kind=MQA": "Benchmarks: MQA −0.60 points (1 comparison)",
    "benchmark?bench_heads=64&bench_context=4096": "at G = 64",
}


def words_of(page: Page) -> str:
    """Of the view: how busy this machine is meanwhile is no part of it."""
    return re.sub(
        r"(warning\s+)?In the last minute [\d.]+ cores [^\n]*\n*", "", page.get_by_test_id("stMain").inner_text()
    )


@pytest.mark.parametrize("view", VIEWS)
def test_a_copied_link_opens_the_same_view_elsewhere(server: Dashboard, page: Page, elsewhere: Page, view: str):
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    open_view(server, page, view)
    shown = words_of(page)
    page.get_by_role("button", name="Share").click()
    page.get_by_role("button", name="Copy link").click()
    expect(page.get_by_role("button", name="Link copied")).to_be_visible()
    link = page.evaluate("navigator.clipboard.readText()")
    assert set(parse_qsl(urlsplit(link).query)) >= set(parse_qsl(view.partition("?")[2]))

    elsewhere.goto(link)
    settle(elsewhere)
    there = words_of(elsewhere)
    assert there == shown
    assert VIEWS[view] in " ".join(there.split())


def test_share_copies_the_answer_with_what_was_asked(view: Page):
    view.get_by_role("button", name="Share").click()
    view.get_by_role("button", name="Copy the answer, Markdown").click()
    expect(view.get_by_role("button", name="Copied", exact=True)).to_be_visible()
    lines = view.evaluate("navigator.clipboard.readText()").splitlines()
    assert lines[0].startswith(f"**{SAYS}")
    assert "| KV heads G of 32 | 4 |" in lines
    assert re.match(r"Headroom, .*/layouts\?.*made=", lines[-1])


def test_without_a_clipboard_the_address_is_shown(server: Dashboard, own_page: Page):
    own_page.add_init_script("Object.defineProperty(navigator, 'clipboard', { value: undefined })")
    open_view(server, own_page)
    own_page.get_by_role("button", name="Share").click()
    own_page.get_by_role("button", name="Copy link").click()
    expect(own_page.get_by_label("Link to this view")).to_have_value(re.compile(rf"/{re.escape(VIEW)}&made="))


def test_a_picture_saves_as_svg_with_title_and_source(view: Page):
    view.get_by_role("button", name="Save").first.click()
    name, content = saved(view, "SVG")
    assert name == "headroom-gqa-32-query-heads-share-4-key-and.svg"
    root = ET.fromstring(content)
    said = " ".join("".join(node.itertext()) for node in root.findall("{http://www.w3.org/2000/svg}text"))
    assert said.startswith(SAYS)
    assert "layouts_g32=4" in said
    assert "The three layouts" in said


def test_a_file_stays_while_others_draw(server: Dashboard, page: Page, elsewhere: Page):
    """Streamlit alone deletes it at the end of the second run, and a browser that comes later is told 404."""
    open_view(server, page)
    page.get_by_role("button", name="Save").first.click()
    with page.expect_request("**/media/*.svg") as asked:
        _, content = saved(page, "SVG")
    for path in ("glossary", "faq"):
        arrive(elsewhere, f"{server.url}/{path}")
        settle(elsewhere)
    late = page.request.get(asked.value.url)
    assert late.status == 200
    assert late.body() == content


def test_a_picture_saves_as_png_at_slide_size(view: Page):
    view.get_by_role("button", name="Save").first.click()
    name, content = saved(view, "PNG")
    assert name.endswith(".png")
    assert struct.unpack(">II", content[16:24]) == (1920, 1080)


def test_a_pictures_own_buttons_leave_its_menu_free(view: Page):
    view.locator('[data-testid="stVegaLiteChart"]').first.hover()
    tools = view.get_by_test_id("stElementToolbar").first
    expect(tools).to_have_css("opacity", "1")
    menu, bar = view.get_by_role("button", name="Save").first.bounding_box(), tools.bounding_box()
    assert menu is not None
    assert bar is not None
    assert bar["x"] + bar["width"] <= menu["x"]


def test_the_menu_follows_the_picture(server: Dashboard, page: Page):
    open_view(server, page)
    page.get_by_role("radio", name="1", exact=True).click()
    expect(page.get_by_text("MQA: all 32 query heads").first).to_be_visible()
    settle(page)
    page.get_by_role("button", name="Save").first.click()
    name, _ = saved(page, "SVG")
    assert name.startswith("headroom-mqa-all-32")


def test_a_closed_menu_holds_nothing(server: Dashboard, page: Page):
    open_view(server, page)
    expect(page.get_by_role("button", name="Save").first).to_be_visible()
    expect(page.get_by_role("button", name="SVG")).to_have_count(0)
    expect(page.get_by_role("button", name="Copy link")).to_have_count(0)


def test_a_view_as_a_report(view: Page):
    view.get_by_role("button", name="Share").click()
    name, content = saved(view, "Report")
    html = content.decode()
    assert name == "headroom-the-three-layouts.html"
    assert SAYS in html
    assert html.count("<figure") == 4
    assert "<script" not in html


def test_the_comparison_as_slides_has_its_table(server: Dashboard, page: Page):
    open_view(server, page, "models")
    page.get_by_role("button", name="Share").click()
    _, content = saved(page, "Slides")
    deck = Presentation(BytesIO(content))
    tables = [shape.table for slide in deck.slides for shape in slide.shapes if shape.has_table]
    heads = [cell.text for cell in tables[0].rows[0].cells]
    assert heads[0] == "Model"
    rows = {row.cells[0].text: [cell.text for cell in row.cells] for row in tables[0].rows}
    assert rows["Llama-2 70B"][heads.index("G")] == "8"


def test_a_lesson_as_slides_has_every_step_with_its_note(server: Dashboard, page: Page):
    open_view(server, page, "bottleneck")
    page.get_by_role("button", name="Share").click()
    _, content = saved(page, "Slides")
    slides = list(Presentation(BytesIO(content)).slides)
    # MSO_SHAPE_TYPE.PICTURE: one step was on screen, five are here
    steps = [slide for slide in slides if any(shape.shape_type == 13 for shape in slide.shapes)]
    assert len(steps) == 5
    assert "Two bars to the same scale" in steps[0].notes_slide.notes_text_frame.text
    assert slides[1].shapes.title.text.startswith("You can tell what one decoded token costs")
    assert slides[-1].shapes.title.text == "Versions and date"


def test_a_table_saves_as_csv_at_full_precision(server: Dashboard, page: Page):
    open_view(server, page, "models")
    name, content = saved(page, "Save as CSV")
    assert name == "headroom-models.csv"
    rows = {row["Model"]: row for row in csv.DictReader(StringIO(content.decode()))}
    assert rows["Llama-2 70B"]["Bytes per token"] == "327680"  # 2 x 80 layers x 8 KV heads x 128 x 2 bytes
