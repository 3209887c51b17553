"""Presenter mode in a real Chromium: keys, screens, the address, the notes, and the way out."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from core.learning import faq, glossary_themes
from tests.browser.conftest import quiet
from tests.browser.keys import press
from tests.browser.settle import arrive, settle
from tests.dashboard import Dashboard
from tests.paths import page_paths

FORMULA = "Seven factors, one product"  # the title of its first step
FIRST = "GQA: 64 query heads share 8"
SECOND = "The three side by side"


def mark(page: Page) -> str:
    return page.get_by_role("navigation", name="Presenter").get_by_role("status").inner_text()


def says(page: Page, words: str) -> None:
    """The mark says where one is: that is also the sign that the keys are there."""
    expect(page.get_by_role("navigation", name="Presenter").get_by_role("status")).to_have_text(re.compile(words))


def enter(page: Page, address: str) -> None:
    """A link into presenter mode, until the keys answer."""
    arrive(page, address)
    says(page, r"\w")
    settle(page)


def at(page: Page, query: str) -> None:
    """The address names the screen."""
    expect(page).to_have_url(re.compile(query))


@pytest.fixture
def page(loaded: Page) -> Page:
    """A load each only where a test is of one."""
    return loaded


@pytest.fixture
def room(server: Dashboard, kept_page: Page) -> Iterator[Page]:
    """The layouts page in presenter mode on a projector, for tests that leave it at its first screen without notes."""
    with quiet(kept_page) as page:
        notes = page.get_by_role("complementary", name="Speaker notes")
        first = re.fullmatch(rf"{re.escape(server.url)}/layouts\?present=1(&screen=0)?", page.url)
        if first is None or notes.is_visible():
            page.set_viewport_size({"width": 1920, "height": 1080})
            enter(page, f"{server.url}/layouts?present=1")
        yield page


def test_p_enters_and_leaves(server: Dashboard, page: Page):
    page.goto(f"{server.url}/layouts")
    settle(page)
    expect(page.get_by_test_id("stSidebar")).to_be_visible()
    page.keyboard.press("p")
    expect(page.get_by_role("navigation", name="Presenter")).to_be_visible()
    says(page, "The three layouts")
    at(page, r"present=1")
    expect(page.get_by_test_id("stSidebar")).to_be_hidden()
    expect(page.get_by_test_id("stHeader")).to_be_hidden()
    settle(page)
    page.keyboard.press("p")
    expect(page.get_by_test_id("stSidebar")).to_be_visible()
    expect(page).not_to_have_url(re.compile("present"))
    expect(page.get_by_text(SECOND)).to_be_visible()


def test_p_in_a_text_field_is_a_letter(server: Dashboard, page: Page):
    arrive(page, f"{server.url}/models")
    settle(page)
    page.get_by_role("combobox").first.press_sequentially("pp")
    settle(page)
    expect(page).not_to_have_url(re.compile("present"))


def test_arrows_turn_screens_and_the_address_follows(room: Page):
    expect(room.get_by_text(FIRST).first).to_be_visible()
    expect(room.get_by_text(SECOND)).to_be_hidden()
    says(room, "^The three layouts · 1 of 2$")
    room.keyboard.press("ArrowRight")
    expect(room.get_by_text(SECOND)).to_be_visible()
    expect(room.get_by_role("heading", name="The three layouts", exact=True)).to_be_hidden()
    says(room, "^The three layouts · 2 of 2$")
    at(room, r"screen=1")
    room.keyboard.press("ArrowLeft")
    expect(room.get_by_text(SECOND)).to_be_hidden()
    at(room, r"screen=0")


def test_a_link_opens_the_screen(server: Dashboard, page: Page):
    page.goto(f"{server.url}/layouts?present=1&screen=1")
    expect(page.get_by_text(SECOND)).to_be_visible()
    settle(page)
    expect(page.get_by_role("heading", name="The three layouts", exact=True)).to_be_hidden()


def test_past_the_last_screen_comes_the_next_page_and_back(room: Page):
    paths = page_paths()
    after = paths[paths.index("layouts") + 1]
    room.keyboard.press("ArrowRight")
    room.keyboard.press("ArrowRight")
    at(room, rf"/{after}\?.*present=1")
    says(room, "1 of|^(?!The three layouts)")
    room.get_by_role("navigation", name="Presenter").get_by_role("button", name="Leave").click()
    expect(room.get_by_test_id("stSidebar")).to_be_visible()


def test_back_from_the_first_screen_is_the_last_screen_of_the_page_before(server: Dashboard, page: Page):
    enter(page, f"{server.url}/evidence?present=1")
    paths = page_paths()
    page.keyboard.press("PageUp")
    at(page, rf"/{paths[paths.index('evidence') - 1]}\?.*present=1")
    says(page, "^(?!Evidence)")
    settle(page)
    shown = mark(page)
    found = re.search(r"(\d+) of (\d+)", shown)
    assert found is None or found[1] == found[2], shown


def test_a_lesson_is_turned_by_arrows_and_by_a_clicker(server: Dashboard, page: Page):
    enter(page, f"{server.url}/levers?present=1&levers=1")
    steps = int(re.search(r"1 of (\d+)", mark(page))[1])
    for key, number in (("ArrowRight", 2), ("PageDown", 3), ("PageUp", 2)):
        there = re.compile(rf"levers={number}(&|$)")
        press(page, key, lambda ms, there=there: expect(page).to_have_url(there, timeout=ms))
        says(page, f"{number} of {steps}$")
    expect(page.get_by_role("button", name="Next", exact=True).first).to_be_visible()  # the bar's own


def test_back_in_a_lesson_says_the_step_that_it_shows(server: Dashboard, page: Page):
    enter(page, f"{server.url}/formula?present=1&formula=1")
    press(page, "ArrowRight", lambda ms: expect(page).to_have_url(re.compile(r"formula=2(&|$)"), timeout=ms))
    says(page, " 2 of 3$")
    settle(page)
    page.go_back()
    expect(page.get_by_role("heading", level=1)).to_contain_text(FORMULA)
    says(page, " 1 of 3$")


def test_n_shows_the_notes_of_the_step(server: Dashboard, page: Page):
    enter(page, f"{server.url}/bottleneck?present=1&bottleneck=1")
    notes = page.get_by_role("complementary", name="Speaker notes")
    expect(notes).to_be_hidden()
    page.keyboard.press("n")
    expect(notes).to_be_visible()
    expect(notes).to_contain_text("Two bars to the same scale")
    page.keyboard.press("n")
    expect(notes).to_be_hidden()


def test_where_a_page_has_no_notes_the_pictures_speak(room: Page):
    room.keyboard.press("n")
    notes = room.get_by_role("complementary", name="Speaker notes")
    expect(notes).to_contain_text("GQA diagram: a row of 64 query heads")
    room.keyboard.press("n")
    expect(notes).to_be_hidden()


def test_a_page_says_a_note_of_its_own_for_each_screen(server: Dashboard, page: Page):
    enter(page, f"{server.url}/bound?present=1")
    page.keyboard.press("n")
    notes = page.get_by_role("complementary", name="Speaker notes")
    expect(notes).to_contain_text("A dot left of the ridge waits for memory")
    page.keyboard.press("PageDown")
    expect(notes).to_contain_text("The same claim on a real machine")
    page.keyboard.press("n")
    expect(notes).to_be_hidden()


def test_w_puts_the_notes_into_a_window_that_follows(server: Dashboard, page: Page):
    enter(page, f"{server.url}/bottleneck?present=1&bottleneck=1")
    with page.expect_popup() as opened:
        page.keyboard.press("w")
    window = opened.value
    expect(window.locator("body")).to_contain_text("Two bars to the same scale")
    page.bring_to_front()
    page.keyboard.press("PageDown")
    expect(window.locator("body")).to_contain_text("2 of")
    window.close()


FITS_LARGE = """
element => {
  const main = document.querySelector('[data-testid="stMain"]')
  return main.scrollHeight <= main.clientHeight * 1.02 && main.scrollWidth <= main.clientWidth
    && parseFloat(getComputedStyle(element).fontSize) > 16
}
"""


def test_a_screen_fits_the_room(room: Page):
    words = room.get_by_text(FIRST).first.element_handle()
    room.wait_for_function(FITS_LARGE, arg=words)


LEFTOVER = """
() => {
  const main = document.querySelector('[data-testid="stMainBlockContainer"] [data-testid="stVerticalBlock"]')
  const leftover = document.createElement("div")
  leftover.id = "leftover"
  leftover.style.height = "3000px"
  main.prepend(leftover) // of the screen that is shown: the first
}
"""


def test_type_is_large_again_once_a_leftover_of_the_screen_before_is_gone(server: Dashboard, page: Page):
    page.set_viewport_size({"width": 1920, "height": 1080})
    enter(page, f"{server.url}/bottleneck?present=1&bottleneck=1")
    type_size, large = page.locator("html"), "25.6px"  # 16 times the 1.6 of a room this wide: assets/present.css
    expect(type_size).to_have_css("font-size", large)
    page.evaluate(LEFTOVER)
    expect(type_size).not_to_have_css("font-size", large)
    page.wait_for_timeout(5_000)  # many times what a screen takes to rest: it rests while it is too tall
    expect(type_size).not_to_have_css("font-size", large)
    page.evaluate("() => document.getElementById('leftover').remove()")
    expect(type_size).to_have_css("font-size", large)


TYPE = "() => getComputedStyle(document.documentElement).fontSize"
SEEN = """
() => {
  window.seen = []
  const look = () => window.seen.push(document.documentElement.style.getPropertyValue("--room"))
  new MutationObserver(look).observe(document.documentElement, { attributes: true, attributeFilter: ["style"] })
}
"""


def test_a_screen_that_rests_is_left_alone(room: Page):
    """The layouts are too tall for the largest type: once they have theirs, nothing is tried again, whatever rests."""
    room.wait_for_function(FITS_LARGE, arg=room.get_by_text(FIRST).first.element_handle())
    room.wait_for_timeout(3_000)
    found = room.evaluate(TYPE)
    room.evaluate(SEEN)
    room.wait_for_timeout(3_000)
    assert room.evaluate("() => window.seen") == []
    room.evaluate(LEFTOVER)
    room.wait_for_function(f"size => ({TYPE})() !== size", arg=found)
    room.evaluate("() => document.getElementById('leftover').remove()")
    room.wait_for_function(f"size => ({TYPE})() === size", arg=found)


@pytest.mark.parametrize(("lesson", "step"), [("declares", 4), ("case-llama", 3), ("case-llama", 5)])
def test_a_step_fits_the_room_however_late_it_grows(server: Dashboard, page: Page, lesson: str, step: int):
    page.set_viewport_size({"width": 1920, "height": 1080})
    enter(page, f"{server.url}/{lesson}?present=1&{lesson}={step - 1}")
    press(page, "ArrowRight", lambda ms: expect(page).to_have_url(re.compile(rf"{lesson}={step}(&|$)"), timeout=ms))
    says(page, f"· {step} of")
    settle(page)
    fits = (
        "() => (main => main.scrollHeight <= 1.01 * main.clientHeight)(document.querySelector('[data-testid=stMain]'))"
    )
    page.wait_for_function(fits)


def test_a_step_with_room_left_keeps_the_type_of_the_room(server: Dashboard, page: Page):
    """The step before is taller: what is left of it while the next is drawn must not make that one small."""
    page.set_viewport_size({"width": 1920, "height": 1080})
    enter(page, f"{server.url}/case-falcon?present=1&case-falcon=4")
    there = re.compile(r"case-falcon=5(&|$)")
    press(page, "ArrowRight", lambda ms: expect(page).to_have_url(there, timeout=ms))
    says(page, "· 5 of")
    page.wait_for_function("() => getComputedStyle(document.documentElement).getPropertyValue('--room') === '1.6'")


def test_type_is_larger_than_on_a_desk_and_charts_grow_with_it(server: Dashboard, page: Page):
    page.set_viewport_size({"width": 1920, "height": 1080})
    label = page.locator('[data-testid="stVegaLiteChart"] svg text').first
    page.goto(f"{server.url}/bottleneck")  # no session that presents: it goes on from page to page
    settle(page)
    desk = label.bounding_box()["height"]
    enter(page, f"{server.url}/bottleneck?present=1&bottleneck=1")
    assert label.bounding_box()["height"] > 1.3 * desk
    chart = page.get_by_test_id("stVegaLiteChart").locator("svg").bounding_box()
    assert chart["x"] + chart["width"] <= 1920


WORDS = [(f"{path}?present=1", *size) for size in ((1280, 800), (1920, 1080)) for path in ("faq", "glossary")]


@pytest.mark.parametrize(("path", "width", "height"), WORDS)
def test_a_page_of_words_has_an_idea_a_screen_that_fits_in_the_type_of_a_room(
    server: Dashboard, page: Page, path: str, width: int, height: int
):
    page.set_viewport_size({"width": width, "height": height})
    enter(page, f"{server.url}/{path}")
    room = page.locator("html").evaluate("root => getComputedStyle(root).getPropertyValue('--room')")
    titles = [entry.question for entry in faq.entries()] if path.startswith("faq") else list(glossary_themes.THEMES)
    for number, title in enumerate(titles, start=2):
        page.keyboard.press("ArrowRight")
        says(page, f"· {number} of {len(titles) + 1}$")
        assert page.get_by_role("heading").filter(visible=True).all_inner_texts() == [title]
        main = page.get_by_test_id("stMain")
        assert main.evaluate("element => element.scrollHeight <= element.clientHeight"), title
        assert page.locator("html").evaluate("root => getComputedStyle(root).getPropertyValue('--room')") == room, title


def test_the_first_screen_of_words_leads_to_each_other(server: Dashboard, page: Page):
    enter(page, f"{server.url}/faq?present=1")
    page.get_by_role("link", name="Is MLA better than GQA?").click()
    expect(page.get_by_role("heading", name="Is MLA better than GQA?")).to_be_visible()
    expect(page.get_by_role("heading", name="FAQ", exact=True)).to_be_hidden()
    at(page, r"present=1&screen=16")
    expect(page).not_to_have_url(re.compile("#"))


def test_what_is_sought_in_a_room_comes_a_few_terms_a_screen(server: Dashboard, page: Page):
    """15 terms of the glossary speak of a cache: they take 3 screens of at most 6, the word itself first."""
    enter(page, f"{server.url}/glossary?present=1&glossary_find=cache")
    says(page, "^Glossary · 1 of 4$")
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("heading", name="“cache”", exact=True)).to_be_visible()
    shown = page.get_by_test_id("stMarkdownContainer").filter(has=page.locator("strong"), visible=True)
    expect(shown).to_have_count(6)
    expect(shown.first).to_contain_text("Here always the KV cache")


def test_the_quiz_shows_its_question_in_a_room_and_turns_by_every_key(server: Dashboard, page: Page):
    """It was cut at its question: a title and numbers alone stood on the screen."""
    enter(page, f"{server.url}/quiz?present=1&quiz_number=1")
    question = page.locator('[data-testid="stMain"] h3')
    first = question.inner_text()
    expect(question).to_be_visible()
    page.keyboard.press("ArrowRight")
    expect(question).not_to_have_text(first)
    expect(question).to_be_visible()
    settle(page)
    page.get_by_role("navigation", name="Presenter").get_by_role("button", name="Back").click()
    expect(question).to_have_text(first)


def test_back_in_a_room_shows_the_screen_that_the_address_names(server: Dashboard, page: Page):
    enter(page, f"{server.url}/faq?present=1")
    for number in (2, 3, 4):
        page.keyboard.press("ArrowRight")
        says(page, f"· {number} of")
        at(page, f"screen={number - 1}")
        settle(page)
    page.go_back()
    says(page, "· 3 of")
    page.go_back()
    says(page, "· 2 of")
    settle(page)
    page.keyboard.press("ArrowRight")
    says(page, "· 3 of")
    at(page, "screen=2")


def test_back_to_a_lesson_s_first_step_says_that_step(server: Dashboard, page: Page):
    """Its address names no step: the mark and the notes stayed those of the second."""
    enter(page, f"{server.url}/formula?present=1")
    says(page, "· 1 of 3")
    page.keyboard.press("ArrowRight")
    says(page, "· 2 of 3")
    settle(page)
    page.go_back()
    says(page, "· 1 of 3")


def test_a_choice_that_was_clicked_leaves_the_arrows_to_the_screens(server: Dashboard, page: Page):
    enter(page, f"{server.url}/layouts?present=1&screen=0")
    page.get_by_role("radio", name="4", exact=True).first.click()
    settle(page)
    page.keyboard.press("ArrowRight")
    says(page, "· 2 of 2")
    page.keyboard.press("ArrowLeft")
    says(page, "· 1 of 2")
    expect(page.get_by_role("radio", name="4", exact=True).first).to_be_checked()


def test_what_lies_below_the_window_at_a_desk_is_screens_in_a_room(server: Dashboard, page: Page):
    """All of it stood on one screen, which was thousands of pixels too tall."""
    enter(page, f"{server.url}/models?present=1")
    shown = re.search(r"of (\d+)$", mark(page))
    assert shown is not None
    assert int(shown[1]) > 4
