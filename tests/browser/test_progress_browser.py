"""Progress lives in the browser: it survives closing and reopening it, is merged between tabs, and can be cleared."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, BrowserType, Page, expect

from core.learning import quiz
from tests.browser.settle import PATIENCE_MS
from tests.dashboard import Dashboard

STORE = "headroom.progress"
FIRST, SECOND, THIRD = quiz.questions()[:3]


class Profile:
    """A browser with a profile on disk that can be closed and opened again."""

    def __init__(self, browser_type: BrowserType, arguments: dict[str, object], folder: Path) -> None:
        self.browser_type, self.arguments, self.folder = browser_type, arguments, folder
        self.context: BrowserContext | None = None

    def open(self) -> Page:
        self.close()
        self.context = self.browser_type.launch_persistent_context(str(self.folder), **self.arguments)  # type: ignore[arg-type]
        self.context.set_default_timeout(PATIENCE_MS)
        return self.context.pages[0]

    def close(self) -> None:
        if self.context is not None:
            self.context.close()
            self.context = None


@pytest.fixture
def profile(
    browser_type: BrowserType, browser_type_launch_args: dict[str, object], tmp_path: Path
) -> Iterator[Profile]:
    found = Profile(browser_type, browser_type_launch_args, tmp_path / "profile")
    yield found
    found.close()


def open_quiz(page: Page, server: Dashboard, query: str = "") -> None:
    page.goto(f"{server.url}/quiz{query}")
    expect(page.get_by_role("heading", name="Quiz")).to_be_visible()


def choose(page: Page, question: quiz.Question, option: int) -> None:
    expect(page.get_by_role("heading", name=question.question)).to_be_visible()
    page.get_by_role("button", name=question.options[option]).click()
    expect(page.get_by_test_id("stAlert")).to_be_visible()


def stored(page: Page) -> dict[str, int]:
    found: dict[str, int] = json.loads(page.evaluate(f"localStorage.getItem('{STORE}') ?? '{{}}'"))
    return found


def wait_until_stored(page: Page, key: str, value: int | None) -> None:
    page.wait_for_function(
        "([store, key, value]) => ((JSON.parse(localStorage.getItem(store) ?? '{}'))[key] ?? null) === value",
        arg=[STORE, key, value],
    )


def test_closing_and_reopening_the_browser_keeps_progress(profile: Profile, server: Dashboard) -> None:
    page = profile.open()
    open_quiz(page, server)
    choose(page, FIRST, FIRST.answer)
    page.keyboard.press("ArrowRight")
    choose(page, SECOND, (SECOND.answer + 1) % 3)
    expect(page.get_by_text("1 of 2 right. 23 to go.")).to_be_visible()
    wait_until_stored(page, f"quiz:{SECOND.id}", (SECOND.answer + 1) % 3)

    page = profile.open()  # closes it first
    open_quiz(page, server)
    expect(page.get_by_role("heading", name=THIRD.question)).to_be_visible()  # it goes on where it stopped
    expect(page.get_by_text("1 of 2 right. 23 to go.")).to_be_visible()


def test_seen_steps_are_kept_beside_the_answers(profile: Profile, server: Dashboard) -> None:
    page = profile.open()
    page.goto(f"{server.url}/paging")
    expect(page.get_by_role("heading", name="A block table, filled token by token")).to_be_visible()
    wait_until_stored(page, "lesson:paging:0", 1)
    page = profile.open()
    open_quiz(page, server)
    assert stored(page)["lesson:paging:0"] == 1


def test_clearing_the_quiz_clears_the_store_and_nothing_else(profile: Profile, server: Dashboard) -> None:
    page = profile.open()
    page.goto(f"{server.url}/paging")
    wait_until_stored(page, "lesson:paging:0", 1)
    open_quiz(page, server)
    choose(page, FIRST, FIRST.answer)
    wait_until_stored(page, f"quiz:{FIRST.id}", FIRST.answer)
    page.get_by_role("button", name="Clear my answers").click()
    wait_until_stored(page, f"quiz:{FIRST.id}", None)
    assert stored(page)["lesson:paging:0"] == 1
    expect(page.get_by_text("25 questions. Stop when you like")).to_be_visible()
    page = profile.open()
    open_quiz(page, server)
    expect(page.get_by_role("heading", name=FIRST.question)).to_be_visible()


def test_forgetting_what_was_seen_keeps_the_answers(profile: Profile, server: Dashboard) -> None:
    page = profile.open()
    page.goto(f"{server.url}/map")
    forget = page.get_by_role("button", name="Forget what I have seen")
    expect(forget).to_be_disabled()  # nothing was seen yet
    page.goto(f"{server.url}/formula")
    wait_until_stored(page, "lesson:formula:0", 1)
    page.goto(f"{server.url}/paging")
    wait_until_stored(page, "lesson:paging:0", 1)
    open_quiz(page, server)
    choose(page, FIRST, FIRST.answer)
    wait_until_stored(page, f"quiz:{FIRST.id}", FIRST.answer)
    page.goto(f"{server.url}/map")
    expect(page.get_by_text("1 of 3 seen")).to_be_visible()
    forget.click()
    wait_until_stored(page, "lesson:formula:0", None)
    expect(page.get_by_text("1 of 3 seen")).to_have_count(0)
    expect(forget).to_be_disabled()
    assert stored(page) == {f"quiz:{FIRST.id}": FIRST.answer}
    page = profile.open()
    page.goto(f"{server.url}/map")
    expect(page.get_by_role("button", name="Forget what I have seen")).to_be_disabled()


def test_two_tabs_do_not_overwrite_each_other(profile: Profile, server: Dashboard) -> None:
    one = profile.open()
    assert profile.context is not None
    other = profile.context.new_page()
    open_quiz(one, server, "?quiz_number=1")
    open_quiz(other, server, "?quiz_number=2")
    choose(one, FIRST, FIRST.answer)
    wait_until_stored(one, f"quiz:{FIRST.id}", FIRST.answer)
    choose(other, SECOND, SECOND.answer)
    wait_until_stored(other, f"quiz:{SECOND.id}", SECOND.answer)
    assert stored(other)[f"quiz:{FIRST.id}"] == FIRST.answer
    expect(other.get_by_text("2 of 2 right. 23 to go.")).to_be_visible()


def test_a_damaged_store_does_no_harm(page: Page, server: Dashboard) -> None:
    damaged = json.dumps(
        {"quiz:x": "not a number", "../": 1, f"quiz:{FIRST.id}": 99, f"quiz:{SECOND.id}": SECOND.answer}
    )
    page.add_init_script(f"localStorage.getItem('{STORE}') ?? localStorage.setItem('{STORE}', {json.dumps(damaged)})")
    open_quiz(page, server)
    expect(page.get_by_text("1 of 1 right. 24 to go.")).to_be_visible()
    expect(page.get_by_role("heading", name=FIRST.question)).to_be_visible()


def test_a_browser_that_keeps_nothing_still_counts(page: Page, server: Dashboard) -> None:
    page.add_init_script("Object.defineProperty(window, 'localStorage', { get() { throw new Error('off') } })")
    open_quiz(page, server)
    choose(page, FIRST, FIRST.answer)
    expect(page.get_by_text("1 of 1 right. 24 to go.")).to_be_visible()
    expect(page.get_by_text("This browser keeps nothing")).to_be_visible()
