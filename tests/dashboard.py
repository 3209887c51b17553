"""Starts the real dashboard for a test and ends it: the command that people run, on a free port."""

import os
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

ROOT = Path(__file__).parents[1]
START_LIMIT_S = 120


@dataclass(frozen=True)
class Dashboard:
    """A running dashboard: its address, its process and the file that its output goes to."""

    url: str
    process: subprocess.Popen[bytes]
    log_path: Path

    def log(self) -> str:
        return self.log_path.read_text(encoding="utf-8", errors="replace")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running_dashboard(
    folder: Path, env: Mapping[str, str] | None = None, *, port: int | None = None, options: Sequence[str] = ()
) -> Iterator[Dashboard]:
    """`streamlit run dashboard.py`, its data, Hub cache and device lock in `folder`; `env` is added to its own."""
    port = port or free_port()
    log_path = folder / "dashboard.log"
    command = [sys.executable, "-m", "streamlit", "run", "dashboard.py", "--server.port", str(port), *options]
    own = {"HEADROOM_DATA_DIR": str(folder / "data"), "HF_HOME": str(folder / "hf"), "TMPDIR": str(folder)}
    with log_path.open("wb") as log:
        process = subprocess.Popen(
            command, cwd=ROOT, env={**os.environ, **own, **(env or {})}, stdout=log, stderr=subprocess.STDOUT
        )
    dashboard = Dashboard(f"http://localhost:{port}", process, log_path)
    try:
        _wait_until_healthy(dashboard)
        yield dashboard
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_until_healthy(dashboard: Dashboard) -> None:
    deadline = monotonic() + START_LIMIT_S
    while monotonic() < deadline:
        if dashboard.process.poll() is not None:
            raise RuntimeError(f"the dashboard ended at once:\n{dashboard.log()}")
        try:
            with urllib.request.urlopen(f"{dashboard.url}/_stcore/health", timeout=2) as answer:
                if answer.status == 200:
                    return
        except (urllib.error.URLError, TimeoutError):
            pass
    raise RuntimeError(f"the dashboard did not answer within {START_LIMIT_S} s:\n{dashboard.log()}")
