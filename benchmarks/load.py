"""How Headroom bears many people at once, beside a bare Streamlit page with one chart, in one run.

    python -m benchmarks.load                           1, 10, 50 and 100 sessions
    python -m benchmarks.load --sessions 10 --seconds 5 part of it, quickly
    python -m benchmarks.load --beside DIR              a third side: another checkout of Headroom, with this Python
    python -m benchmarks.load --measuring               Headroom once more, while all cores measure decoding

Each session is a WebSocket as the browser's client opens it (Streamlit's own protobuf messages): it walks WALK, then
changes G on The three layouts, on the bare page the number of rows, each time after a pause of PAUSE_SECONDS on
average. A change lasts from the message until the script is said to be finished. Every session's G is checked in what
came back: a figure of another session is an error. Memory is the resident set of the server's process. The baseline of
a side is taken once, before the first round: one session has walked the pages and chosen every option, and the server
has let go of it. A session's share is the highest growth over what was there before its round; "after" is read once all
have left and their time to come back (server.disconnectedSessionTTL) is over, and is held against the baseline. Every
side is started as docs/sharing.md starts a server for many, with glibc's allocator; --pymalloc leaves Python's.
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
import threading
import time
import tomllib
import urllib.request
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from core.decode.plan import DecodeJob
from core.decode.worker import LiveRun
from tests.dashboard import free_port

ROOT = Path(__file__).parents[1]
WALK = ("", "models", "size", "formula", "layouts")
PAUSE_SECONDS = 1.0
ANSWER_SECONDS = 60.0
SAID = re.compile(r"There are (\d+) rows|MHA: each of the (\d+) query heads|GQA: \d+ query heads share (\d+) key")
TO_COME_BACK_SECONDS = 120  # what Streamlit gives a closed tab where nothing is configured
TIDIED_SECONDS = 10.0  # Headroom looks every few seconds for sessions whose time is over


@dataclass(frozen=True)
class Side:
    """One of the servers compared: what is started where, the pages walked, and the label that a change is read by."""

    name: str
    script: Path
    folder: Path
    walk: tuple[str, ...]

    @property
    def to_come_back_seconds(self) -> float:
        """How long its server keeps the session of a closed tab."""
        written = self.folder / ".streamlit" / "config.toml"
        options = tomllib.loads(written.read_text(encoding="utf-8")).get("server", {}) if written.exists() else {}
        return float(options.get("disconnectedSessionTTL", TO_COME_BACK_SECONDS))


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
        found = SAID.match(text)
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


async def live_through_all(side: Side, url: str) -> None:
    """One session that walks the pages and chooses every option, so that what all share is there."""
    async with connect(f"{url}/_stcore/stream", subprotocols=["streamlit"], max_size=None, origin=None) as socket:
        session = Session(socket)
        for page in side.walk:
            await session.visit(page)
        for option in list(session.options):
            await session.change(option)


async def live_together(side: Side, url: str, sessions: int, seconds: float) -> Measured:
    met = Measured()
    await asyncio.gather(*(live(side, url, seconds, seed, met) for seed in range(sessions)))
    return met


@contextmanager
def serving(side: Side, allocator: str = "malloc") -> Iterator[tuple[str, psutil.Process]]:
    """`streamlit run` of a side: its address and process. allocator is a value of PYTHONMALLOC."""
    port = free_port()
    with tempfile.TemporaryDirectory() as data:
        command = [sys.executable, "-m", "streamlit", "run", str(side.script), "--server.port", str(port)]
        options = ["--server.headless", "true", "--server.fileWatcherType", "none", "--server.address", "localhost"]
        own = {
            "PYTHONMALLOC": allocator,
            "HEADROOM_DATA_DIR": data,
            "HF_HOME": data,
            "HF_HUB_OFFLINE": "1",
            "HEADROOM_LOG_LEVEL": "ERROR",
        }
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


def warm(side: Side, url: str, process: psutil.Process) -> float:
    """MiB of a server that has drawn all that it is going to be asked for, and whose only visitor has left."""
    asyncio.run(live_through_all(side, url))
    wait_until_forgotten(side)
    return mib(process)


def wait_until_forgotten(side: Side) -> None:
    """Until the server may let go of the tabs that were closed last, and has had the time to do so."""
    time.sleep(side.to_come_back_seconds + TIDIED_SECONDS)


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
    wait_until_forgotten(side)
    return {
        "sessions": sessions, **_percentiles("change", met.changes), **_percentiles("visit", met.visits),
        "errors": len(met.errors), "first_errors": met.errors[:3], "mib_before": round(before, 1),
        "mib_a_session": round((highest - before) / sessions, 2), "mib_after": round(mib(process), 1),
    }  # fmt: skip


def _percentiles(name: str, seconds: list[float]) -> dict[str, float]:
    cuts = statistics.quantiles(seconds, n=100, method="inclusive") if len(seconds) > 1 else [*seconds] * 99
    return {f"{name}_p{p}_ms": round(1e3 * cuts[p - 1], 1) for p in (50, 95, 99)} | {f"{name}s": len(seconds)}


@contextmanager
def decoding() -> Iterator[None]:
    """While a decode run as the dashboard starts it keeps all cores busy, again and again."""
    job = DecodeJob(
        num_query_heads=40, kv_heads=(40, 8, 1), head_dim=128, context_length=16_384, batch_size=1, dtype="bfloat16",
        device="cpu", seconds_limit=600.0,
    )  # fmt: skip
    runs, stopped = [LiveRun(job, ("--no-save",))], threading.Event()

    def go_on() -> None:
        while not stopped.is_set():
            if not runs[-1].wait(0.5).running and not stopped.is_set():
                runs.append(LiveRun(job, ("--no-save",)))

    keeping = threading.Thread(target=go_on)
    keeping.start()
    try:
        while not runs[-1].state.results:  # torch is loaded and the first kernel timed
            time.sleep(0.2)
        yield
    finally:
        stopped.set()
        runs[-1].cancel()
        keeping.join()


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
    parser.add_argument("--measuring", action="store_true", help="Headroom once more, beside a decode run")
    parser.add_argument("--pymalloc", action="store_true", help="with Python's own allocator")
    asked = parser.parse_args()
    print(f"{platform.machine()}, {os.cpu_count()} cores, Streamlit {version('streamlit')}")
    found: dict[str, list[dict[str, Any]]] = {}
    for side in sides(asked.beside):
        rounds: dict[str, AbstractContextManager[None]] = {side.name: nullcontext()}
        if asked.measuring and side.name == "headroom":
            rounds["measuring"] = decoding()
        with serving(side, "pymalloc" if asked.pymalloc else "malloc") as (url, process):
            baseline = warm(side, url, process)
            for name, meanwhile in rounds.items():
                with meanwhile:
                    found[name] = [
                        measure(side, url, process, count, asked.seconds) | {"mib_baseline": round(baseline, 1)}
                        for count in asked.sessions
                    ]
        for name in rounds:
            _say(name, found[name])
    for bare, ours in zip(found["bare"], found["headroom"], strict=True):
        print(f"{ours['sessions']} sessions: p95 of a change {ours['change_p95_ms'] / bare['change_p95_ms']:.2f} times")
    for quiet, busy in zip(found["headroom"], found.get("measuring", []), strict=False):
        times = busy["change_p95_ms"] / quiet["change_p95_ms"]
        print(f"{busy['sessions']} sessions beside a decode run: p95 of a change {times:.2f} times that without")
    print(json.dumps(found))


def _say(name: str, rows: list[dict[str, Any]]) -> None:
    for row in rows:
        print(f"{name:9} {row['sessions']:4} sessions: change p50 {row['change_p50_ms']:8.1f} ms, "
              f"p95 {row['change_p95_ms']:8.1f}, visit p95 {row['visit_p95_ms']:8.1f}, {row['errors']} errors, "
              f"{row['mib_a_session']:.2f} MiB a session, {row['mib_baseline']:.0f} MiB at first, "
              f"{row['mib_before']:.0f} -> {row['mib_after']:.0f} MiB {row['first_errors'] or ''}")  # fmt: skip


if __name__ == "__main__":
    main()
