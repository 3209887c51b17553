"""The benchmark in a real browser: press the button, see progress, see the result, find it among the kept runs."""

import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from core.decode.record_files import to_json
from tests.core.decode.records import run_record
from tests.dashboard import Dashboard, running_dashboard

SHAPE = "bench_heads=2&bench_head_dim=64&bench_context=256&bench_layers=4"  # the fewest G that compare
LINK = f"/benchmark?{SHAPE}&bench_run_size=Quick:+about+a+minute"
MINUTES = 600_000  # a loaded machine loads torch and measures slowly


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
    long = LINK.replace("bench_heads=2", "bench_heads=8").replace("bench_context=256", "bench_context=60000")
    page.goto(f"{server.url}{long}")
    other = page.context.new_page()
    other.goto(f"{server.url}/benchmark")
    expect(other.get_by_role("button", name="Measure decoding on this host")).to_be_enabled()
    page.get_by_role("button", name="Measure decoding on this host").click()
    cancel = other.get_by_role("button", name="Cancel the measurement")
    expect(cancel).to_be_visible()
    cancel.click()
    ended = re.compile(r"Cancelled\. (What had been measured by then is kept|Nothing had been measured by then)\.")
    expect(page.get_by_text(ended)).to_be_visible()
    expect(page.get_by_role("button", name="Measure decoding on this host")).to_be_enabled()


def test_closing_the_browser_in_the_middle_of_a_run_loses_nothing(tmp_path: Path, page: Page) -> None:
    with running_dashboard(tmp_path, {"TMPDIR": str(tmp_path)}) as dashboard:
        page.goto(f"{dashboard.url}{LINK}")
        page.get_by_role("button", name="Measure decoding on this host").click()
        expect(page.get_by_role("button", name="Cancel the measurement")).to_be_visible()
        worker = children_of(dashboard.process.pid)
        assert worker
        later = page.context.new_page()
        page.close()
        later.goto(f"{dashboard.url}{LINK}")
        expect(later.get_by_text("Limits measured in the same run")).to_be_visible(timeout=MINUTES)
        later.get_by_role("tab", name="Kept runs").click()
        expect(later.get_by_role("button", name="Export as JSON")).to_be_visible()
        ended_by = time.monotonic() + 60
        while any(Path(f"/proc/{pid}").exists() for pid in worker) and time.monotonic() < ended_by:
            later.wait_for_timeout(200)
        assert not [pid for pid in worker if Path(f"/proc/{pid}").exists()]
        assert "Traceback" not in dashboard.log(), dashboard.log()


def test_a_kept_run_is_deleted_by_the_second_answer_alone(tmp_path: Path, page: Page) -> None:
    with running_dashboard(tmp_path) as dashboard:
        page.goto(f"{dashboard.url}/benchmark?bench_tab=Kept+runs")
        expect(page.get_by_text("No run is kept yet")).to_be_visible()
        exported = {"name": "run.json", "mimeType": "application/json", "buffer": to_json(run_record()).encode()}
        page.locator("input[type=file]").set_input_files(exported)
        delete, question = page.get_by_role("button", name="Delete this run"), page.get_by_role("dialog")
        delete.click()
        expect(question).to_contain_text("Delete this run?2026-11-22 08:00 UTC · AMD EPYC")
        question.get_by_role("button", name="Keep").click()
        expect(question).to_have_count(0)
        delete.click()
        expect(question.get_by_role("button", name="Delete")).to_be_visible()
        data, away = tmp_path / "data", tmp_path / "away"
        data.rename(away)
        data.write_text("no folder")  # a data directory that takes nothing, whoever asks
        question.get_by_role("button", name="Delete").click()
        expect(question.get_by_text("Set HEADROOM_DATA_DIR")).to_be_visible()
        data.unlink()
        away.rename(data)
        question.get_by_role("button", name="Delete").click()
        expect(page.get_by_text("No run is kept yet")).to_be_visible()
        assert "Traceback" not in dashboard.log(), dashboard.log()


def children_of(pid: int) -> list[int]:
    """Processes whose parent is pid, from Linux' own list."""
    listed = (Path(f"/proc/{pid}/task") / str(task.name) / "children" for task in Path(f"/proc/{pid}/task").iterdir())
    return [int(child) for file in listed if file.exists() for child in file.read_text().split()]
