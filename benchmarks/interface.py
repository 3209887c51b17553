"""How quick Headroom is, as ratios to a bare Streamlit page measured beside it in the same run.

    python -m benchmarks.interface              the measures that the bar is set on
    python -m benchmarks.interface --pages      also every page: first paint cold (a server of its own) and warm, shift
    python -m benchmarks.interface --cold 0 --warm 2    part of it, quickly

Both sides are started in turn by `streamlit run`, driven by the same Chromium and timed inside the page, so what
machine, browser and Streamlit cost falls out of the ratios. A page counts as settled when its script has finished and
nothing in it has changed for QUIET_MS. "Paint" is then the time of the last change to what stands in the window,
"picture" that of the first chart (the paint of a page without one), "settled" that of anything, also below the window;
none holds the wait, and none comes before the page is shown. "Shift" is what Chromium's layout-shift entries add up to
from the first paint on, those that follow an input within half a second left out, as in the Cumulative Layout Shift of
the web. A page switch is a click on each page of the sidebar in turn: the median of each page's runs, then the median
of the pages, with the slowest beside it. Every figure is a median in milliseconds, shifts and errors are the worst; the
last line is JSON.
"""

import argparse
import json
import os
import platform
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil
from playwright.sync_api import Browser, Page, sync_playwright

from benchmarks.watched_tab import collect_errors, count_bytes, settle, tab
from tests.browser.conftest import LAUNCH_ARGS
from tests.chromium import find_chromium
from tests.dashboard import free_port
from tests.paths import page_paths

ROOT = Path(__file__).parents[1]
ROUNDS = 3
HEAVY = ("torch", "transformers", "huggingface_hub")
Click = Callable[[Page], None]
Rerun = tuple[str, dict[str, float]]  # which click, and what was noted after it
BARS = {
    "cold_start": 1.15, "page_switch": 1.35, "slowest_page": 2.2, "models_settled": 2.2, "change_g": 1.0, "memory": 1.0,
}  # fmt: skip


@dataclass(frozen=True)
class Side:
    """One of the two things compared: a name, the script and the folder that it is started in."""

    name: str
    script: Path
    folder: Path


@dataclass(frozen=True)
class Server:
    """A started side: its address, its process and when it was spawned (seconds of time.monotonic)."""

    url: str
    process: subprocess.Popen[bytes]
    spawned_s: float
    ready_s: float

    @property
    def resident_bytes(self) -> int:
        """What the process holds in memory."""
        return int(psutil.Process(self.process.pid).memory_info().rss)


@contextmanager
def started(side: Side, data: Path) -> Iterator[Server]:
    """`streamlit run` of a side on a free port, ended with the block."""
    port = free_port()
    command = [sys.executable, "-m", "streamlit", "run", str(side.script), "--server.port", str(port)]
    settings = ["--server.headless", "true", "--server.fileWatcherType", "none", "--browser.gatherUsageStats", "false"]
    env = {**os.environ, "HEADROOM_DATA_DIR": str(data), "HF_HOME": str(data), "HF_ENDPOINT": "http://127.0.0.1:9"}
    spawned_s = time.monotonic()
    process = subprocess.Popen(
        [*command, *settings], cwd=side.folder, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        url = f"http://localhost:{port}"
        _wait_until_healthy(url, process)
        yield Server(url, process, spawned_s, time.monotonic() - spawned_s)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=20)


def _wait_until_healthy(url: str, process: subprocess.Popen[bytes]) -> None:
    while process.poll() is None:
        try:
            with urllib.request.urlopen(f"{url}/_stcore/health", timeout=1):
                return
        except OSError:
            time.sleep(0.01)
    raise RuntimeError(f"the server of {url} ended at once")


def first_visit(browser: Browser, server: Server, path: str = "") -> dict[str, float]:
    """One visit with an empty browser cache: paint after navigation, bytes received, layout shift, console errors."""
    with tab(browser) as (context, page):
        errors = collect_errors(page)
        received = count_bytes(context, page)
        navigated_s = time.monotonic()
        page.goto(f"{server.url}/{path}", wait_until="commit")
        seen = settle(page)
        return {
            "paint_ms": seen["paint"],
            "since_spawn_ms": (navigated_s - server.spawned_s) * 1000 + seen["paint"],
            "bytes": float(sum(received)),
            "shift": seen["shift"],
            "console_errors": float(len(errors)),
        }


def reruns(browser: Browser, url: str, clicks: dict[str, Click], times: int) -> list[Rerun]:
    """Each click in turn, `times` rounds after one to warm up: ms from the click to the last change it brought."""
    result = []
    with tab(browser) as (_, page):
        page.goto(url)
        settle(page)
        for number in range(times + 1):
            for click, press in clicks.items():
                press(page)
                seen = settle(page)
                if number:
                    noted = {
                        "settled": seen["any"],
                        "paint": seen["paint"],
                        "picture": seen["picture"] or seen["paint"],
                    }
                    times_ms = {f"{name}_ms": at - seen["start"] for name, at in noted.items()}
                    result.append((click, {**times_ms, "shift": seen["shift"]}))
    return result


def radio(name: str) -> Click:
    """The first radio button, or segment, of that name."""
    return lambda page: page.get_by_role("radio", name=name, exact=True).first.click()


def link(path: str) -> Click:
    """The sidebar's link to a page."""
    return lambda page: page.locator(f'[data-testid="stSidebarNavLink"][href$="/{path}"]').click()


def worst(values: list[dict[str, float]], key: str) -> float:
    return max(value[key] for value in values)


def median(values: list[dict[str, float]], key: str) -> float:
    return statistics.median(value[key] for value in values)


def measure_cold(browser: Browser, side: Side, times: int) -> dict[str, float]:
    """Server ready, first paint after the spawn, and memory once the first page stands; a new server each time."""
    visits, ready, resident = [], [], []
    for _ in range(times):
        with tempfile.TemporaryDirectory() as data, started(side, Path(data)) as server:
            ready.append(server.ready_s * 1000)
            visits.append(first_visit(browser, server))
            resident.append(server.resident_bytes)
    keys = ("paint_ms", "since_spawn_ms", "bytes")
    return {
        "server_ready_ms": statistics.median(ready),
        "resident_bytes": statistics.median(resident),
        **{key: median(visits, key) for key in keys},
        **{key: worst(visits, key) for key in ("shift", "console_errors")},
    }


def measure_reruns(browser: Browser, bare: Side, headroom: Side, times: int) -> dict[str, Any]:
    """A bare rerun, a change of G and a switch to every page, on warm servers that run side by side."""
    switch = {path or "/": link(path) for path in page_paths()}
    with (
        tempfile.TemporaryDirectory() as data,
        started(bare, Path(data)) as plain,
        started(headroom, Path(data)) as server,
    ):
        last = f"{server.url}/{[*switch][-1]}"  # from there the first switch leads to another page too
        found: dict[str, list[Rerun]] = {"bare_rerun": [], "change_g": [], "page_switch": []}
        for _ in range(ROUNDS):  # in turns, so that a busy moment of the machine meets all of them
            found["bare_rerun"] += reruns(browser, plain.url, {g: radio(g) for g in ("1", "16", "8")}, times)
            found["change_g"] += reruns(
                browser, f"{server.url}/layouts", {g: radio(g) for g in ("1", "64", "8")}, times
            )
            found["page_switch"] += reruns(browser, last, switch, max(1, times // 4))
    return {name: _by_click(runs) for name, runs in found.items()}


def _by_click(runs: list[Rerun]) -> dict[str, Any]:
    """Medians by click, and the median of those: pages differ more than runs do, and each counts once."""
    keys = ("settled_ms", "paint_ms", "picture_ms")
    clicks = {
        click: {key: median([times for name, times in runs if name == click], key) for key in keys}
        for click in dict.fromkeys(name for name, _ in runs)
    }
    middle = {key: median(list(clicks.values()), key) for key in keys}
    return {**middle, "shift": worst([times for _, times in runs], "shift"), "clicks": clicks}


def measure_pages(browser: Browser, headroom: Side, times: int) -> dict[str, dict[str, float]]:
    """Each page: the first visit to a server just started, then the median of `times` visits to it warm."""
    result = {}
    for path in page_paths():
        with tempfile.TemporaryDirectory() as data, started(headroom, Path(data)) as server:
            cold = first_visit(browser, server, path)
            warm = [first_visit(browser, server, path) for _ in range(times)]
            result[path or "/"] = {
                "cold_ms": cold["paint_ms"],
                "warm_ms": median(warm, "paint_ms"),
                "bytes": median(warm, "bytes"),
                **{key: worst([cold, *warm], key) for key in ("shift", "console_errors")},
                "resident_bytes": float(server.resident_bytes),
            }
    return result


def ratios(cold: dict[str, dict[str, float]], warm: dict[str, Any]) -> dict[str, float]:
    """What the bar is set on."""
    plain = warm["bare_rerun"]
    return {
        "cold_start": cold["headroom"]["since_spawn_ms"] / cold["bare"]["since_spawn_ms"],
        "server_ready": cold["headroom"]["server_ready_ms"] / cold["bare"]["server_ready_ms"],
        "page_switch": warm["page_switch"]["paint_ms"] / plain["paint_ms"],
        "page_switch_settled": warm["page_switch"]["settled_ms"] / plain["settled_ms"],
        "slowest_page": max(page["paint_ms"] for page in warm["page_switch"]["clicks"].values()) / plain["paint_ms"],
        "models_settled": warm["page_switch"]["clicks"]["models"]["settled_ms"] / warm["page_switch"]["settled_ms"],
        "change_g": warm["change_g"]["picture_ms"] / plain["picture_ms"],
        "change_g_settled": warm["change_g"]["settled_ms"] / plain["settled_ms"],
        "memory": cold["headroom"]["resident_bytes"] / cold["bare"]["resident_bytes"],
        "bytes": cold["headroom"]["bytes"] / cold["bare"]["bytes"],
    }


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cold", type=int, default=5, help="servers started for each side (default 5)")
    parser.add_argument("--warm", type=int, default=4, help=f"rounds of reruns, {ROUNDS} times (default 4)")
    parser.add_argument("--pages", action="store_true", help="also the first paint of every page")
    return parser


def main() -> None:
    asked = _parser().parse_args()
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        bare_script = Path(folder) / "bare_page.py"
        bare_script.write_text((Path(__file__).parent / "bare_page.py").read_text())
        bare, headroom = Side("bare", bare_script, Path(folder)), Side("headroom", ROOT / "dashboard.py", ROOT)
        browser = playwright.chromium.launch(executable_path=find_chromium(first=()), args=LAUNCH_ARGS)
        report: dict[str, Any] = {"machine": machine(browser), "heavy_at_start": heavy_at_start()}
        if asked.cold:
            report["cold"] = {side.name: measure_cold(browser, side, asked.cold) for side in (bare, headroom)}
        if asked.warm:
            report["warm"] = measure_reruns(browser, bare, headroom, asked.warm)
        if asked.cold and asked.warm:
            report["ratios"] = {key: round(value, 3) for key, value in ratios(report["cold"], report["warm"]).items()}
            report["bars"] = BARS
        if asked.pages:
            report["pages"] = measure_pages(browser, headroom, 3)
        browser.close()
    print(json.dumps(report))


def heavy_at_start() -> list[str]:
    """Which of HEAVY are in memory once the server's module is imported, in a Python of its own."""
    program = f"import sys, dashboard; print(*[name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.split()


def machine(browser: Browser) -> dict[str, object]:
    """What the figures depend on."""
    return {
        "cpus": os.cpu_count(),
        "cpu": platform.processor() or platform.machine(),
        "python": platform.python_version(),
        "streamlit": version("streamlit"),
        "altair": version("altair"),
        "chromium": browser.version,
    }


if __name__ == "__main__":
    main()
