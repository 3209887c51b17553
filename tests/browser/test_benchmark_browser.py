"""The benchmark in a real browser: press the button, see progress, see the result, find it among the kept runs."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.dashboard import Dashboard, running_dashboard

LINK = "/benchmark?bench_heads=8&bench_head_dim=64&bench_context=512&bench_layers=4"
MINUTES = 240_000  # a loaded machine loads torch slowly


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dashboard]:
    """A dashboard with a temporary directory of its own: the device's lock lies there, and other tests measure too."""
    folder = tmp_path_factory.mktemp("measuring")
    with running_dashboard(folder, {"TMPDIR": str(folder)}) as dashboard:
        yield dashboard
        log = dashboard.log()
    assert "Traceback" not in log, log


def test_pressing_the_button_ends_in_a_result_that_is_kept(server: Dashboard, page: Page) -> None:
    page.goto(f"{server.url}{LINK}")
    page.get_by_role("button", name="Measure decoding on this host").click()
    expect(page.get_by_role("button", name="Cancel the measurement")).to_be_visible()
    expect(page.get_by_text("Limits measured in the same run")).to_be_visible(timeout=MINUTES)
    expect(page.get_by_text("One layer's step takes")).to_be_visible()
    expect(page.get_by_text("What had been measured by then is kept")).to_have_count(0)
    page.get_by_text("Every kernel tried, and those refused").click()
    expect(page.get_by_text("Each dot is a correct kernel's median")).to_be_visible()
    page.get_by_role("tab", name="Kept runs").click()
    expect(page.get_by_role("button", name="Export as JSON")).to_be_visible()


def test_another_viewer_sees_the_run_and_may_cancel_it(server: Dashboard, page: Page) -> None:
    long = LINK.replace("bench_context=512", "bench_context=60000")
    page.goto(f"{server.url}{long}")
    other = page.context.new_page()
    other.goto(f"{server.url}/benchmark")
    expect(other.get_by_role("button", name="Measure decoding on this host")).to_be_enabled(timeout=60_000)
    page.get_by_role("button", name="Measure decoding on this host").click()
    cancel = other.get_by_role("button", name="Cancel the measurement")
    expect(cancel).to_be_visible(timeout=60_000)
    cancel.click()
    expect(page.get_by_text("Cancelled. What had been measured by then is kept.")).to_be_visible(timeout=60_000)
    expect(page.get_by_role("button", name="Measure decoding on this host")).to_be_enabled()
