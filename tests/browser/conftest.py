"""A real Chromium against the real dashboard. A missing browser fails the run: nothing skips."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, expect

from tests.browser.settle import PATIENCE_MS
from tests.chromium import find_chromium
from tests.dashboard import Dashboard, running_dashboard

expect.set_options(timeout=PATIENCE_MS)  # for every file: what one sets holds for all that run after it

LAUNCH_ARGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


# How Streamlit says in its log that a page asks for something twice, late or no longer: none of it is said here.
STREAMLIT_WARNS = re.compile(r"default value but also|deprecat|please replace|will be removed|duplicate", re.IGNORECASE)


@pytest.fixture(scope="session")
def browser_type_launch_args() -> dict[str, object]:
    path = find_chromium()
    if path is None:
        pytest.fail("no Chromium found: apt-get install chromium, or playwright install chromium, or set CHROMIUM")
    return {"executable_path": path, "args": LAUNCH_ARGS, "headless": True}


@pytest.fixture(scope="session")
def browser_context_args() -> dict[str, object]:
    return {"viewport": {"width": 1280, "height": 800}, "reduced_motion": "reduce"}


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dashboard]:
    """One dashboard for all browser tests of a worker; no test may leave a traceback or a warning in its log."""
    with running_dashboard(tmp_path_factory.mktemp("dashboard"), {"HF_ENDPOINT": "http://127.0.0.1:9"}) as dashboard:
        yield dashboard
        log = dashboard.log()
    assert "Traceback" not in log, log
    assert STREAMLIT_WARNS.search(log) is None, log


@pytest.fixture
def first_visit(browser: Browser, browser_context_args: dict[str, object]) -> Iterator[Page]:
    """A page in a browser that has never been here: every file is still to come."""
    context = browser.new_context(**browser_context_args)  # type: ignore[arg-type]
    with quiet(context.new_page()) as page:
        yield page
    context.close()


@contextmanager
def quiet(page: Page) -> Iterator[Page]:
    """The page, and afterwards the certainty that its console stayed free of errors and warnings."""
    errors: list[str] = []

    def note(message: ConsoleMessage) -> None:
        where = str(message.location.get("url", ""))
        # On a deep link Streamlit's client first asks /<page>/_stcore/ and takes the 404 as "not my base path".
        if message.type in ("error", "warning") and "/_stcore/" not in where:
            errors.append(f"{message.type}: {message.text} {where}")

    page.on("console", note)
    page.set_default_timeout(PATIENCE_MS)
    yield page
    page.remove_listener("console", note)
    assert not errors, errors


@pytest.fixture
def page(page: Page) -> Iterator[Page]:
    """pytest-playwright's page, whose console must stay free of errors and warnings."""
    with quiet(page):
        yield page
