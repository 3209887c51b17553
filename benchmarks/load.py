"""How Headroom bears many people at once, beside a bare Streamlit page with one chart, in one run.

    python -m benchmarks.load                           1, 10, 50 and 100 sessions
    python -m benchmarks.load --sessions 10 --seconds 5 part of it, quickly
    python -m benchmarks.load --beside DIR              a third side: another checkout of Headroom, with this Python

Each session is a WebSocket as the browser's client opens it (Streamlit's own protobuf messages): it walks WALK, then
changes G on The three layouts, on the bare page the number of rows, each time after a pause of PAUSE_SECONDS on
average. A change lasts from the message until the script is said to be finished. Every session's G is checked in what
came back: a figure of another session is an error. Memory is the resident set of the server's process, a session's
share is the growth over the sessions, and "after" is read once all have left and Streamlit has dropped them.
The last line is JSON: for each side and number of sessions p50, p95 and p99 in milliseconds, errors, MiB.
"""

import argparse
import asyncio
import json
import os
import platform
import random
import re
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tests.dashboard import free_port

ROOT = Path(__file__).parents[1]
WALK = ("", "models", "size", "formula", "layouts")
PAUSE_SECONDS = 1.0
ANSWER_SECONDS = 60.0
SAID = re.compile(r"There are (\d+) rows|MHA: each of the (\d+) query heads|GQA: \d+ query heads share (\d+) key")
SETTLE_SECONDS = 12.0  # Streamlit keeps a closed session for a while, so that a tab may come back


@dataclass(frozen=True)
class Side:
    """One of the servers compared: what is started where, the pages walked, and the label that a change is read by."""

    name: str
    script: Path
    folder: Path
    walk: tuple[str, ...]


@dataclass
class Measured:
    """What the sessions of one round met. Seconds for each change of G and for each first visit of a page."""

    changes: list[float] = field(default_factory=list)
    visits: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


class Session:
    """One browser tab as the server sees it."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.page_hash = self.widget = self.fragment = ""
        self.options: list[str] = []
        self.chosen: dict[str, str] = {}  # a browser sends every widget's value with each change
        self.answers: list[str] = []

    async def visit(self, page: str) -> None:
        """Runs a page's script, and takes the choice of G where it has one."""
        self.chosen.clear()
        message = BackMsg()
        message.rerun_script.page_name = page
        await self._run(message)

    async def change(self, value: str) -> None:
        """Chooses `value` in the page's first segmented control. Raises ValueError where another's answer comes."""
        message = BackMsg()
        state = message.rerun_script
        state.page_script_hash, state.fragment_id = self.page_hash, self.fragment
        for box, option in self.chosen.items():
            state.widget_states.widgets.add(id=box, string_value=option)
        widget = state.widget_states.widgets.add(id=self.widget)
        widget.string_array_value.data.append(value)
        await self._run(message)

    async def _run(self, message: BackMsg) -> None:
        self.answers = []
        await self.socket.send(message.SerializeToString())
        while True:
            got = ForwardMsg.FromString(await asyncio.wait_for(self.socket.recv(decode=False), ANSWER_SECONDS))
            kind = got.WhichOneof("type")
            if kind == "new_session":
                self.page_hash = got.new_session.page_script_hash
            elif kind == "delta":
                self._take(got)
            elif kind == "script_finished":
                return

    def _take(self, got: ForwardMsg) -> None:
        element = got.delta.new_element
        kind = element.WhichOneof("type")
        if kind == "button_group" and element.button_group.options:
            self.widget, self.fragment = element.button_group.id, got.delta.fragment_id
            self.options = [option.content for option in element.button_group.options]
        elif kind == "selectbox" and element.selectbox.HasField("default"):
            self.chosen[element.selectbox.id] = element.selectbox.options[element.selectbox.default]
        elif kind == "exception":
            raise ValueError(f"{element.exception.type}: {element.exception.message}")
        elif kind == "markdown":
            self.answers.append(element.markdown.body)


def told(texts: list[str]) -> str | None:
    """The number of rows, or the G, that the page's sentence is about; None where it says neither."""
    for text in texts:
        if text.startswith("MQA: "):
            return "1"
        found = re.match(
            r"There are (\d+) rows|MHA: each of the (\d+) query|GQA: \d+ query heads share (\d+) key", text
        )
        if found is not None:
            return next(value for value in found.groups() if value)
    return None


async def live(side: Side, url: str, seconds: float, seed: int, met: Measured) -> None:
    """One session from its first page to its end."""
    chance = random.Random(seed)
    try:
        async with connect(f"{url}/_stcore/stream", subprotocols=["streamlit"], max_size=None, origin=None) as socket:
            session = Session(socket)
            for page in side.walk:
                await asyncio.sleep(chance.expovariate(1 / PAUSE_SECONDS))
                begun = time.perf_counter()
                await session.visit(page)
                met.visits.append(time.perf_counter() - begun)
            until = time.monotonic() + seconds
            while time.monotonic() < until:
                await asyncio.sleep(chance.expovariate(1 / PAUSE_SECONDS))
                value = chance.choice(session.options)
                begun = time.perf_counter()
                await session.change(value)
                met.changes.append(time.perf_counter() - begun)
                if told(session.answers) != value:
                    met.errors.append(f"asked for {value}, was told {told(session.answers)}: {session.answers[:2]}")
    except (OSError, ValueError, TimeoutError, ConnectionClosed, IndexError) as error:
        met.errors.append(f"{type(error).__name__}: {error}")


async def live_together(side: Side, url: str, sessions: int, seconds: float) -> Measured:
    met = Measured()
    await asyncio.gather(*(live(side, url, seconds, seed, met) for seed in range(sessions)))
    return met


@contextmanager
def serving(side: Side) -> Iterator[tuple[str, psutil.Process]]:
    """`streamlit run` of a side: its address and process."""
    port = free_port()
    with tempfile.TemporaryDirectory() as data:
        command = [sys.executable, "-m", "streamlit", "run", str(side.script), "--server.port", str(port)]
        options = ["--server.headless", "true", "--server.fileWatcherType", "none", "--server.address", "localhost"]
        own = {"HEADROOM_DATA_DIR": data, "HF_HOME": data, "HF_HUB_OFFLINE": "1", "HEADROOM_LOG_LEVEL": "ERROR"}
        with (Path(data) / "log").open("wb") as log:
            process = subprocess.Popen(
                [*command, *options], cwd=side.folder, env={**os.environ, **own}, stdout=log, stderr=subprocess.STDOUT
            )
        try:
            _wait_for(f"http://localhost:{port}/_stcore/health")
            yield f"ws://localhost:{port}", psutil.Process(process.pid)
        finally:
            process.terminate()
            process.wait(timeout=30)


def _wait_for(url: str) -> None:
    until = time.monotonic() + 120
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.1)


def mib(process: psutil.Process) -> float:
    return float(process.memory_info().rss / 2**20)


def measure(side: Side, url: str, process: psutil.Process, sessions: int, seconds: float) -> dict[str, Any]:
    """A round: latencies in ms, errors, MiB before, at most while all are there, and after they left."""
    before, highest = mib(process), 0.0

    async def with_memory() -> Measured:
        nonlocal highest
        task = asyncio.ensure_future(live_together(side, url, sessions, seconds))
        while not task.done():
            highest = max(highest, mib(process))
            await asyncio.wait([task], timeout=0.5)
        return task.result()

    met = asyncio.run(with_memory())
    if not met.changes:
        raise SystemExit(f"{side.name}: no session changed anything: {met.errors[:3]}")
    time.sleep(SETTLE_SECONDS)
    return {
        "sessions": sessions, **_percentiles("change", met.changes), **_percentiles("visit", met.visits),
        "errors": len(met.errors), "first_errors": met.errors[:3], "mib_before": round(before, 1),
        "mib_a_session": round((highest - before) / sessions, 2), "mib_after": round(mib(process), 1),
    }  # fmt: skip


def _percentiles(name: str, seconds: list[float]) -> dict[str, float]:
    cuts = statistics.quantiles(seconds, n=100, method="inclusive") if len(seconds) > 1 else [*seconds] * 99
    return {f"{name}_p{p}_ms": round(1e3 * cuts[p - 1], 1) for p in (50, 95, 99)} | {f"{name}s": len(seconds)}


def sides(beside: Path | None) -> list[Side]:
    found = [
        Side("bare", ROOT / "benchmarks" / "bare_page.py", ROOT, ("",)),
        Side("headroom", ROOT / "dashboard.py", ROOT, WALK),
    ]
    return found if beside is None else [*found, Side("beside", beside / "dashboard.py", beside, WALK)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sessions", type=int, nargs="+", default=[1, 10, 50, 100])
    parser.add_argument("--seconds", type=float, default=20.0, help="how long each session changes G")
    parser.add_argument("--beside", type=Path, help="another checkout of Headroom, measured in the same run")
    asked = parser.parse_args()
    print(f"{platform.machine()}, {os.cpu_count()} cores, Streamlit {version('streamlit')}")
    found: dict[str, list[dict[str, Any]]] = {}
    for side in sides(asked.beside):
        with serving(side) as (url, process):
            measure(side, url, process, 1, 2.0)  # imports and caches are there
            found[side.name] = [measure(side, url, process, count, asked.seconds) for count in asked.sessions]
        for row in found[side.name]:
            print(f"{side.name:9} {row['sessions']:4} sessions: change p50 {row['change_p50_ms']:8.1f} ms, "
                  f"p95 {row['change_p95_ms']:8.1f}, visit p95 {row['visit_p95_ms']:8.1f}, {row['errors']} errors, "
                  f"{row['mib_a_session']:.2f} MiB a session, {row['mib_before']:.0f} -> {row['mib_after']:.0f} MiB "
                  f"{row['first_errors'] or ''}")  # fmt: skip
    for bare, ours in zip(found["bare"], found["headroom"], strict=True):
        print(f"{ours['sessions']} sessions: p95 of a change {ours['change_p95_ms'] / bare['change_p95_ms']:.2f} times")
    print(json.dumps(found))


if __name__ == "__main__":
    main()
