"""The lessons in a real browser: the whole walk with one key, links that open a step, what was given is kept."""

from urllib.parse import parse_qs, urlparse

import pytest
from playwright.sync_api import Locator, Page, expect

from core.learning.drills import cache_question
from core.learning.figures import texts
from core.learning.lessons import fill, lesson, lessons
from tests.browser.keys import press
from tests.browser.settle import arrive, settle
from tests.dashboard import Dashboard


@pytest.fixture
def page(loaded: Page) -> Page:
    """A load each only where a test is of one."""
    return loaded


def title_of(key: str, number: int) -> str:
    return fill(lesson(key).steps[number - 1].title, texts())


def heading(page: Page, name: str) -> None:
    expect(page.get_by_role("heading", level=1, name=name, exact=True)).to_be_visible()


def query(page: Page) -> dict[str, list[str]]:
    return parse_qs(urlparse(page.url).query)


def open_at(page: Page, server: Dashboard, path: str, name: str) -> None:
    """A path without a step is the first: an address that names none is where the session left the lesson."""
    arrive(page, f"{server.url}/{path}" if "?" in path else f"{server.url}/{path}?{path}=1")
    heading(page, name)
    expect(button(page, path.split("?")[0], "next")).to_be_enabled()


def button(page: Page, key: str, name: str) -> Locator:
    """The lesson's Next or Back, whichever of its two forms is shown."""
    return page.locator(f'.st-key-turn_{name} [class*="st-key-{key}_{name}_"] button').first


def test_one_key_walks_every_step_of_every_lesson_to_the_map(server: Dashboard, page: Page) -> None:
    open_at(page, server, "bottleneck", title_of("bottleneck", 1))
    walk = [(shown.key, number) for shown in lessons() for number in range(1, len(shown.steps) + 1)]
    for key, number in walk[1:]:
        page.keyboard.press("ArrowRight")
        heading(page, title_of(key, number))
        expect(page.get_by_text(lesson(key).title, exact=True).first).to_be_visible()
        expect(page.locator("[data-testid=stException]")).to_have_count(0)
    page.keyboard.press("ArrowRight")
    heading(page, "Lesson map")


def test_presses_in_a_hurry_all_count(server: Dashboard, page: Page) -> None:
    page.goto(f"{server.url}/formula")  # a session that has left no other lesson at a later step
    heading(page, title_of("formula", 1))
    for _ in range(3):
        page.keyboard.press("ArrowRight")  # none of them waits for the redraw of the one before
    heading(page, title_of("levers", 1))
    for _ in range(2):
        page.keyboard.press("ArrowLeft")
    heading(page, title_of("formula", 2))


def test_a_press_before_the_page_stands_counts(server: Dashboard, page: Page) -> None:
    page.goto(f"{server.url}/formula", wait_until="commit")
    page.wait_for_function("() => document.body !== null")
    page.keyboard.press("ArrowRight")
    heading(page, title_of("formula", 2))


def test_the_left_key_goes_back_over_the_edge_of_a_lesson(server: Dashboard, page: Page) -> None:
    open_at(page, server, "formula?formula=2", title_of("formula", 2))
    page.keyboard.press("ArrowLeft")
    heading(page, title_of("formula", 1))
    page.keyboard.press("ArrowLeft")
    heading(page, title_of("bottleneck", 1))


def test_the_arrows_turn_again_after_a_control_was_clicked_but_not_while_it_is_used_by_keyboard(
    server: Dashboard, page: Page
) -> None:
    open_at(page, server, "case-falcon", title_of("case-falcon", 1))
    page.get_by_text("No: its scores show that MQA hurt it.").click()
    expect(page.get_by_text("The scores do not isolate MQA")).to_be_visible()
    page.keyboard.press("ArrowRight")
    heading(page, title_of("case-falcon", 2))
    page.keyboard.press("ArrowLeft")
    heading(page, title_of("case-falcon", 1))
    page.get_by_role("radio").first.focus()
    page.keyboard.press("Tab")
    page.keyboard.press("Shift+Tab")
    answers = page.locator('[data-testid="stRadio"] input[type="radio"]')
    answers.nth(1).focus()
    page.keyboard.press("ArrowRight")
    heading(page, title_of("case-falcon", 1))


@pytest.mark.parametrize(("key", "number"), [("roof", 2), ("share", 3), ("crossing", 4), ("experts", 5)])
def test_a_link_opens_its_step_with_its_controls(server: Dashboard, page: Page, key: str, number: int) -> None:
    open_at(page, server, f"bottleneck?bottleneck={number}&bottleneck_batch=64", title_of("bottleneck", number))
    expect(page.get_by_role("slider", name="Batch")).to_have_attribute("aria-valuetext", "64")
    expect(page.locator("[data-testid=stVegaLiteChart]").first).to_be_visible()


def test_a_turned_step_is_in_the_address(server: Dashboard, page: Page) -> None:
    open_at(page, server, "levers", title_of("levers", 1))
    button(page, "levers", "next").click()
    heading(page, title_of("levers", 2))
    page.wait_for_url("**levers=2**")
    page.reload()
    heading(page, title_of("levers", 2))


def test_a_lesson_is_found_again_as_it_was_left(server: Dashboard, page: Page) -> None:
    open_at(page, server, "bottleneck?bottleneck=5&bottleneck_batch=16", title_of("bottleneck", 5))
    page.get_by_role("button", name="Next lesson").click()
    heading(page, title_of("formula", 1))
    page.locator(".st-key-formula_back_lesson button").first.click()
    heading(page, title_of("bottleneck", 5))
    assert query(page)["bottleneck_batch"] == ["16"]


def test_an_answer_and_its_reply_survive_the_way_to_the_end_of_a_case(server: Dashboard, page: Page) -> None:
    open_at(page, server, "case-falcon", title_of("case-falcon", 1))
    page.get_by_text("No: its scores show that MQA hurt it.").click()
    expect(page.get_by_text("The scores do not isolate MQA")).to_be_visible()
    for number in range(2, 7):
        button(page, "case-falcon", "next").click()
        heading(page, title_of("case-falcon", number))
    expect(page.get_by_text("You answered at first: No: its scores show that MQA hurt it.")).to_be_visible()


def test_the_drill_is_played_with_the_keyboard(server: Dashboard, page: Page) -> None:
    open_at(page, server, "headmath?headmath=2&headmath_question=7&headmath_level=token", title_of("headmath", 2))
    asked = cache_question(7, "token")
    for kind in ("MQA", "GQA", "MHA"):
        page.get_by_label(kind, exact=True).fill(f"{asked.exact_bytes(kind):,} B")
    page.keyboard.press("Enter")
    expect(page.get_by_text("The shortcut", exact=True)).to_be_visible()
    expect(page.get_by_text("1 of 1")).to_be_visible()
    page.get_by_role("button", name="Next question").click()
    expect(page.get_by_role("spinbutton", name="Question")).to_have_value("8")


def test_strokes_are_drawn_by_one_key(server: Dashboard, page: Page) -> None:
    open_at(page, server, "draw?draw=3", title_of("draw", 3))
    expect(page.get_by_text("Stroke 1 of 7")).to_be_visible()
    for number in range(2, 8):
        drawn = page.get_by_text(f"Stroke {number} of 7")
        press(page, "d", lambda ms, drawn=drawn: expect(drawn).to_be_visible(timeout=ms))


def test_the_capstone_opens_its_choice_on_the_sizing_page(server: Dashboard, page: Page) -> None:
    open_at_end = "pick?pick=7&pick_choice=8&pick_choice_bits=8&pick_gpus=4"
    arrive(page, f"{server.url}/{open_at_end}")
    heading(page, title_of("pick", 7))
    expect(page.get_by_text("KV heads of the 13B model: G = 8, 8-bit cache")).to_be_visible()
    expect(page.get_by_text("G = 8 in 8 bits fits under these conditions")).to_be_visible()
    page.get_by_role("link", name="Open this job on the sizing page").click()
    heading(page, "Size a serving job")
    assert query(page)["size_g"] == ["8"]
    assert query(page)["size_kv_bits"] == ["8"]
    assert query(page)["size_tp"] == ["4"]
    expect(page.get_by_text("G = 8 with an 8-bit cache needs 50.62 GB and leaves 26.35 GB.")).to_be_visible()


STEPS = [("formula", 1), ("slider", 2), ("case-llama", 2), ("pick", 7), ("spot", 1)]


@pytest.mark.parametrize("width", [1280, 1920])
@pytest.mark.parametrize(("key", "number"), STEPS, scope="module")
def test_no_step_scrolls_sideways(server: Dashboard, tab: Page, key: str, number: int) -> None:
    if not tab.url.startswith(f"{server.url}/{key}?"):
        arrive(tab, f"{server.url}/{key}?{key}={number}")
    heading(tab, title_of(key, number))
    settle(tab)
    wide = tab.evaluate("document.querySelector('[data-testid=stMain]').scrollWidth")
    assert wide <= tab.evaluate("document.querySelector('[data-testid=stMain]').clientWidth")
