"""How the browser of the tests is started: what Playwright turns off stays off, whatever they turn off too."""

import psutil
from playwright.sync_api import Page

from tests.browser.conftest import OFF

SWITCH = "--disable-features="


def test_what_playwright_turns_off_stays_off(page: Page) -> None:
    commands = [child.cmdline() for child in psutil.Process().children(recursive=True)]
    asked = [command for command in commands if "--remote-debugging-pipe" in command and not _types(command)]
    taken = [command for command in commands if _types(command) == ["--type=renderer"]]
    assert asked
    assert taken
    assert {len(turned_off(command)) for command in asked} == {2}  # Playwright's, then ours
    for command in taken:  # what the browser makes of both
        [off] = turned_off(command)
        assert off >= turned_off(asked[0])[0] | set(OFF.split(","))


def turned_off(command: list[str]) -> list[set[str]]:
    return [{*argument.removeprefix(SWITCH).split(",")} for argument in command if argument.startswith(SWITCH)]


def _types(command: list[str]) -> list[str]:
    return [argument for argument in command if argument.startswith("--type=")]
