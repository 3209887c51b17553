"""A Ray cluster on this machine: a head that computes nothing and nodes of one CPU each, stopped whatever happens.

Each node has a folder for temporary files of its own, so that the lock of 'cpu' is the node's: to Headroom they are
machines apart. Only processes that were started here are ended, by their numbers.
"""

import contextlib
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import psutil

STORE_BYTES = 80_000_000  # Ray's least is 75 MiB
UP_SECONDS = 90.0
ONE_CPU_EACH = (("--num-cpus=1",), ("--num-cpus=1",))


class LocalRay:
    """`address` is what RAY_ADDRESS is set to; kill(number) takes a node away as a power cut does."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._port, self._client_port = _free_port(), _free_port()
        self.address = f"127.0.0.1:{self._port}"
        self.client_address = f"ray://127.0.0.1:{self._client_port}"
        self._head = self._start(
            "head", "--head", "--num-cpus=0", f"--port={self._port}", "--include-dashboard=false",
            f"--temp-dir={folder / 'ray'}", f"--ray-client-server-port={self._client_port}",
        )  # fmt: skip
        self.nodes: list[subprocess.Popen[bytes]] = []

    def start(self, nodes: Sequence[Sequence[str]]) -> None:
        """Waits for the head, then begins a node for each list of options. Raises RuntimeError with what Ray said."""
        self._wait_for("head", self._head)
        for number, options in enumerate(nodes):  # one after the other: of two begun at once, one timed out
            self.nodes.append(self._start(f"node{number}", f"--address={self.address}", *options))
            self._wait_for(f"node{number}", self.nodes[-1])

    @property
    def pids(self) -> list[int]:
        """Of the head and the nodes."""
        return [process.pid for process in (self._head, *self.nodes)]

    def _start(self, name: str, *options: str) -> "subprocess.Popen[bytes]":
        own = self._folder / name
        own.mkdir()
        with (self._folder / f"{name}.log").open("wb") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "ray.scripts.scripts", "start", "--block", "--disable-usage-stats",
                 f"--object-store-memory={STORE_BYTES}", *options],
                stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
                env={**os.environ, "TMPDIR": str(own), "RAY_USAGE_STATS_ENABLED": "0", "RAY_ADDRESS": "",
                     "CXX": "false"},  # no kernel is compiled for every point
            )  # fmt: skip

    def _wait_for(self, name: str, process: "subprocess.Popen[bytes]") -> None:
        """Until Ray says that it runs. Raises RuntimeError with what it said instead."""
        log, until = self._folder / f"{name}.log", time.monotonic() + UP_SECONDS
        while "Ray runtime started" not in log.read_text(encoding="utf-8", errors="replace"):
            if process.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"{name} did not start: {log.read_text(encoding='utf-8', errors='replace')[-2000:]}")
            time.sleep(0.2)

    def kill(self, number: int) -> None:
        """Ends a node with all it started."""
        _end([self.nodes[number]])

    def stop(self) -> None:
        """Ends every node and the head."""
        _end([*self.nodes, self._head])


def _end(started: list["subprocess.Popen[bytes]"]) -> None:
    processes: list[Any] = []
    for process in started:
        if process.poll() is None:
            with contextlib.suppress(psutil.NoSuchProcess):
                whole = psutil.Process(process.pid)
                processes += [whole, *whole.children(recursive=True)]
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    for child in started:
        child.wait()
    psutil.wait_procs(processes, timeout=10)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def local_ray(nodes: Sequence[Sequence[str]] = ONE_CPU_EACH) -> Iterator[LocalRay]:
    """The cluster for the length of the block, a node for each list of `ray start`'s options; Ray's sockets bound the
    length of the folder's name."""
    with tempfile.TemporaryDirectory(prefix="hr", dir="/tmp", ignore_cleanup_errors=True) as folder:
        cluster = LocalRay(Path(folder))
        try:
            cluster.start(nodes)
            yield cluster
        finally:
            cluster.stop()
