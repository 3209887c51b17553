"""A worker that the tests start begins in a process that has loaded torch, or transformers too, already.

The load is 2 to 5 s of a core, most of what many a test of a worker takes. What a test gets is a process of its own all
the same: forked from a kept one and handed over as the test's child, with the pipes, the folder, the environment and
the session that were asked for, and its module run as `python -m` runs it. On Linux alone; whatever else is asked for
(another Python, a program in words, a variable that a library reads as it is loaded) starts as ever.
"""

import ctypes
import gc
import inspect
import json
import os
import runpy
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from types import TracebackType
from typing import Any

TORCH, TRANSFORMERS = ("torch",), ("torch", "transformers.modeling_utils", "transformers.models.auto.modeling_auto")
LOADED = {
    "core.decode": TORCH, "core.uptraining.worker": TORCH, "core.parameters.worker": TRANSFORMERS,
    "core.engines.transformers_check_worker": TRANSFORMERS, "core.learning.ask_local_worker": TRANSFORMERS,
}  # fmt: skip
READ_LATE = ("HEADROOM_", "PYTEST_", "TOKENIZERS_PARALLELISM", "TMPDIR", "CXX")  # what no library reads as it is loaded
SET_CHILD_SUBREAPER = 36  # of prctl(2)
MOST = 1 << 20  # bytes of a question
PATIENCE_S = 120  # a busy machine is slow, not wrong
ADOPTED_S = 60  # shorter: what is late must not answer for the next


class Kept:
    """The process that has loaded some packages, begun with the first who asks."""

    def __init__(self, packages: Sequence[str], environment: Mapping[str, str]) -> None:
        self.environment = dict(environment)
        self._ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            command = [sys.executable, "-m", "tests.warm_start", str(theirs.fileno()), *packages]
            self._process = subprocess.Popen(command, env=self.environment, pass_fds=[theirs.fileno()])
        self._ours.settimeout(PATIENCE_S)

    def fork(self, asked: Mapping[str, Any], descriptors: Sequence[int]) -> int:
        """The number of a process that runs what is asked for: a child of this one. Raises OSError where none comes."""
        _adopts(True)  # for this moment: whom a test orphans goes to the system's first process, as ever
        try:
            question = json.dumps({**asked, "parent": os.getpid()}).encode()
            socket.send_fds(self._ours, [question], list(descriptors))
            answer = self._ours.recv(64)
        finally:
            _adopts(False)
        if not answer:
            raise ConnectionError(f"what loads {self._process.args} has ended")
        return int(answer)

    def close(self) -> None:
        self._ours.close()
        try:
            self._process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            raise


def _adopts(yes: bool) -> None:
    if ctypes.CDLL(None, use_errno=True).prctl(SET_CHILD_SUBREAPER, int(yes), 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl")


class Forked(subprocess.Popen[str]):
    """A process whose program is loaded already."""

    def __init__(self, kept: Kept, arguments: Sequence[str], **named: Any) -> None:
        self._kept = kept
        super().__init__(arguments, **named)

    def _execute_child(self, *given: Any) -> None:
        named = inspect.signature(super()._execute_child).bind(*given).arguments  # type: ignore[misc]
        pipes = [named[name] for name in ("p2cread", "p2cwrite", "c2pread", "c2pwrite", "errread", "errwrite")]
        asked = {name: named[name] for name in ("args", "env", "start_new_session")}
        asked["cwd"] = os.fspath(named["cwd"])
        ends = [own if own >= 0 else standard for standard, own in enumerate((pipes[0], pipes[3], pipes[5]))]
        self.pid = self._kept.fork(asked, ends)
        self._child_created = True
        self._close_pipe_fds(*pipes)  # type: ignore[attr-defined]


class Starts:
    """In place of the module subprocess, for whoever starts workers in this process's own environment.

    A worker that a test gives another one starts as ever, and so do all once the own has changed since the load.
    """

    def __init__(self, own: Callable[[], Mapping[str, str]]) -> None:
        self._own = own
        self._kept: dict[Sequence[str], Kept] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(subprocess, name)

    def Popen(self, arguments: Sequence[str], **named: Any) -> "subprocess.Popen[str]":  # noqa: N802  as it is called
        """As subprocess.Popen."""
        python, option, module, *_ = [*arguments, "", ""]
        packages = LOADED.get(module) if (python, option) == (sys.executable, "-m") else None
        own = self._own()
        if packages is None or _early(named["env"]) != _early(own):
            return subprocess.Popen(arguments, **named)
        if packages not in self._kept:
            self._kept[packages] = Kept(packages, own)
        kept = self._kept[packages]
        if _early(kept.environment) != _early(own):
            return subprocess.Popen(arguments, **named)
        return Forked(kept, arguments, **named)

    def __enter__(self) -> "Starts":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for kept in self._kept.values():
            kept.close()


def _early(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if not name.startswith(READ_LATE)}


def serve(place: socket.socket) -> dict[str, Any]:
    """Forks for each who asks, until nobody can. In the process that is forked: what it is asked, once it is theirs."""
    while True:
        question, descriptors, _, _ = socket.recv_fds(place, MOST, 3)
        if not question:
            sys.exit()
        asked: dict[str, Any] = json.loads(question)
        between = os.fork()
        if between:
            os.waitpid(between, 0)
        elif os.fork():
            os._exit(0)  # whoever adopts gets its child
        else:
            begun = time.monotonic()
            while os.getppid() != asked["parent"]:
                if time.monotonic() - begun > ADOPTED_S:
                    os._exit(1)  # Kept says that none comes
                time.sleep(0.001)
            if asked["start_new_session"]:
                os.setsid()
            for standard, descriptor in enumerate(descriptors):
                os.dup2(descriptor, standard)
            place.send(str(os.getpid()).encode())
            place.close()
            return asked
        for descriptor in descriptors:
            os.close(descriptor)


def run(asked: Mapping[str, Any]) -> None:
    """What `python -m` does with a module, in its folder, environment and session."""
    os.closerange(3, 64)
    os.chdir(asked["cwd"])
    os.environ.clear()
    os.environ.update(asked["env"])
    tempfile.tempdir = None
    sys.stdin, sys.stdout = open(0, encoding="utf-8"), open(1, "w", encoding="utf-8")  # noqa: SIM115  to its end
    sys.stderr = open(2, "w", encoding="utf-8", errors="backslashreplace", buffering=1)  # noqa: SIM115
    sys.argv = asked["args"][2:]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


def main(descriptor: str, *packages: str) -> None:
    """Loads the packages, then is there for Kept."""
    for package in packages:
        import_module(package)
    gc.collect()
    gc.freeze()
    run(serve(socket.socket(fileno=int(descriptor))))


if __name__ == "__main__":
    main(*sys.argv[1:])
