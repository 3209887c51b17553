"""A real Chromium against the real dashboard. A missing browser fails the run: nothing skips."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, expect

from tests.browser.settle import HEARS, PATIENCE_MS
from tests.chromium import MISSING, find_chromium
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
    "--font-render-hinting=none",  # of the headless shell: letters as wide as a whole browser draws them
]
ONE_RENDERER = "--process-per-site"  # of the pages of a context, with what it has compiled: see `kept`
# Playwright's own list, which another one of the same switch replaces (test_launch.py), then ours: a script is compiled
# beside its load, though the kept renderer has it compiled already.
OFF = (
    "AvoidUnnecessaryBeforeUnloadCheckSync,DestroyProfileOnBrowserClose,HttpsUpgrades,HttpsFirstBalancedModeAutoEnable,"
    "LensOverlay,MediaRouter,PaintHolding,ThirdPartyStoragePartitioning,AvoidCorsURLLoaderRestartOnRedirect,"
    "TcpPortRandomizationWin,OptimizationHints,NetworkTimeServiceQuerying,AimEnabled,PreconnectToSearch,"
    "msForceBrowserSignIn,msEdgeUpdateLaunchServicesPreferredVersion,ScriptStreaming,BackgroundResourceFetch"
)
# A page of a test ends before what the last two compilers make of its code pays, and before its garbage needs a look.
# Without the one before the last, 49 looks at pages take 33 s of the processors in place of 41, others the same.
SHORT_LIVED = [
    "--js-flags=--no-opt,--no-maglev,--min-semi-space-size=64,--initial-heap-size=512",
    f"--disable-features={OFF}",
]
SITE = "http://localhost/"  # of every dashboard of the tests: a port is no other site


# How Streamlit says in its log that a page asks for something twice, late or no longer: none of it is said here.
STREAMLIT_WARNS = re.compile(r"default value but also|deprecat|please replace|will be removed|duplicate", re.IGNORECASE)


@pytest.hookimpl(trylast=True)  # after what groups the tests of a page
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The dark theme comes last in its file: a page drawn anew in other colours costs more than the walk to it."""
    place = {path: number for number, path in enumerate(dict.fromkeys(item.path for item in items))}
    items.sort(key=lambda item: (place[item.path], _is_dark(item)))


def _is_dark(item: pytest.Item) -> bool:
    return (
        isinstance(item, pytest.Function) and hasattr(item, "callspec") and item.callspec.params.get("theme") == "dark"
    )


@pytest.fixture(scope="session")
def browser_type_launch_args() -> dict[str, object]:
    path = find_chromium()
    if path is None:
        pytest.fail(MISSING)
    return {"executable_path": path, "args": [*LAUNCH_ARGS, *SHORT_LIVED, ONE_RENDERER], "headless": True}


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


@contextmanager
def kept(browser: Browser, arguments: dict[str, object]) -> Iterator[BrowserContext]:
    """A browser context for all tests of a worker: a file that it has loaded and compiled need not come again.

    Its first page stays, empty: a window that closes costs another one, and so does the renderer of the last page of a
    site.
    """
    context = browser.new_context(**arguments)  # type: ignore[arg-type]
    context.add_init_script(HEARS)
    blank = context.new_page()
    blank.route(SITE, lambda route: route.fulfill(body=""))
    blank.goto(SITE)
    blank.unroute(SITE)
    yield context
    context.close()


@contextmanager
def emptied(context: BrowserContext) -> Iterator[BrowserContext]:
    """A kept context, and afterwards nothing of the test in it but the files that the browser has cached.

    What was open before stays open: the empty page, and one that the tests of a module share.
    """
    blank, *shared = context.pages
    yield context
    closed(context, [page for page in context.pages if page is not blank and page not in shared])
    context.clear_cookies()
    context.clear_permissions()


def closed(context: BrowserContext, pages: list[Page]) -> None:
    """Closes pages of a kept context, and nothing that a site stored in it is left."""
    for page in pages:
        page.close()
    storage = context.new_cdp_session(context.pages[0])
    storage.send("Storage.clearDataForOrigin", {"origin": "*", "storageTypes": "all"})
    storage.detach()


@pytest.fixture(scope="session")
def kept_here(browser: Browser, browser_context_args: dict[str, object]) -> Iterator[BrowserContext]:
    with kept(browser, browser_context_args) as context:
        yield context


@pytest.fixture(scope="session")
def kept_elsewhere(browser: Browser, browser_context_args: dict[str, object]) -> Iterator[BrowserContext]:
    with kept(browser, browser_context_args) as context:
        yield context


@pytest.fixture
def context(kept_here: BrowserContext) -> Iterator[BrowserContext]:
    """What pytest-playwright makes anew for every test."""
    with emptied(kept_here) as context:
        yield context


@pytest.fixture
def elsewhere(kept_elsewhere: BrowserContext) -> Iterator[Page]:
    """A page in another browser, which knows nothing of what `page` has done."""
    with emptied(kept_elsewhere) as context:
        yield context.new_page()


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
def own_page(context: BrowserContext) -> Iterator[Page]:
    """A page of the test's own whose console must stay free of errors and warnings."""
    with quiet(context.new_page()) as page:
        yield page


@pytest.fixture
def page(own_page: Page) -> Page:
    """A module whose tests `arrive` takes `loaded` in its place."""
    return own_page


@pytest.fixture(scope="module")
def kept_page(kept_here: BrowserContext) -> Iterator[Page]:
    """A page beside the tests' own, for the tests of a module that leave a view as they found it or ask for theirs."""
    page = kept_here.new_page()
    yield page
    closed(kept_here, [page])


def forget_what_is_open(page: Page) -> None:
    """A menu or list that another test left open: the next to `arrive` loads."""
    if page.locator('[data-testid="stPopoverBody"], [role="listbox"], [role="dialog"]').count():
        page.goto("about:blank")


@pytest.fixture
def loaded(kept_page: Page) -> Iterator[Page]:
    """The page of the module with Streamlit's client in it, for tests that `arrive` and would load it again each.

    As wide and light as a new one, with no menu open.
    """
    forget_what_is_open(kept_page)
    kept_page.emulate_media(color_scheme="light", reduced_motion="reduce")
    kept_page.set_viewport_size({"width": 1280, "height": 800})
    kept_page.mouse.move(0, 0)
    with quiet(kept_page) as page:
        yield page


@pytest.fixture(scope="module")
def kept_tab(browser: Browser, browser_context_args: dict[str, object]) -> Iterator[Page]:
    """A tab that stays open for the module, for tests that look and leave nothing behind."""
    context = browser.new_context(**browser_context_args)  # type: ignore[arg-type]
    context.add_init_script(HEARS)
    yield context.new_page()
    context.close()


@pytest.fixture
def theme() -> str:
    """Of `tab`; a test that looks at both parametrizes it."""
    return "light"


@pytest.fixture
def width() -> int:
    """Of `tab`, in pixels; a test that looks at a phone too parametrizes it."""
    return 1280


@pytest.fixture
def tab(kept_tab: Page, theme: str, width: int) -> Iterator[Page]:
    """The module's tab in a test's theme and width: a page in it follows, as it does for a viewer who changes them."""
    kept_tab.emulate_media(color_scheme=theme, reduced_motion="reduce")  # type: ignore[arg-type]
    kept_tab.set_viewport_size({"width": width, "height": 800 if width > 640 else 844})
    with quiet(kept_tab) as page:
        yield page
