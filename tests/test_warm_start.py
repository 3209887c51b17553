"""What begins in a kept process is a process like any other: a child, with its own pipes, folder and environment."""

import ctypes
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import warm_start
from tests.dashboard import ROOT

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="a process is handed over on Linux alone")
IS_CHILD_SUBREAPER = 37  # of prctl(2)
SAYS = ("-n", "1", "-r", "1", "-s", "import os, sys")  # of timeit, which runs what it is given


@pytest.fixture(scope="module")
def starts() -> Iterator[warm_start.Starts]:
    with warm_start.Starts(lambda: os.environ) as starts, pytest.MonkeyPatch.context() as patch:
        patch.setattr(warm_start, "LOADED", {"json.tool": ("colorsys",), "timeit": ("colorsys",)})
        yield starts
        (kept,) = starts._kept.values()  # one for all
    assert kept._process.returncode == 0


def start(starts: warm_start.Starts, *arguments: str, **named: Any) -> "subprocess.Popen[str]":
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    given = {"env": dict(os.environ), "cwd": ROOT, "start_new_session": True, "text": True} | pipes | named
    return starts.Popen([sys.executable, *arguments], **given)


def test_it_reads_its_input_and_ends_with_its_own_code(starts: warm_start.Starts) -> None:
    process = start(starts, "-m", "json.tool", "--compact")
    assert isinstance(process, warm_start.Forked)
    assert process.communicate('{"G": [8,  1]}') == ('{"G":[8,1]}\n', "")
    assert process.returncode == 0
    process = start(starts, "-m", "json.tool")
    said = process.communicate("{")
    assert said[0] == ""
    assert "line 1 column 2" in said[1]
    assert process.returncode == 1


def test_it_is_a_child_in_a_session_of_its_own_and_can_be_ended(starts: warm_start.Starts) -> None:
    with start(starts, "-m", "json.tool") as process:
        stat = Path(f"/proc/{process.pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        assert stat[1:4] == [str(os.getpid()), str(process.pid), str(process.pid)]  # parent, group, session
        assert process.poll() is None
        process.kill()
        assert process.wait() == -9


def test_it_has_the_folder_and_the_environment_and_what_was_loaded(starts: warm_start.Starts, tmp_path: Path) -> None:
    said = "print(os.getcwd(), os.environ['HEADROOM_SAID'], 'colorsys' in sys.modules, *os.listdir('/proc/self/fd'))"
    environment = {**os.environ, "HEADROOM_SAID": "G ≤ H"}
    process = start(starts, "-m", "timeit", *SAYS, said, cwd=tmp_path, env=environment)
    assert isinstance(process, warm_start.Forked)
    assert process.communicate()[0].splitlines()[0] == f"{tmp_path} G ≤ H True 0 1 2 3"  # its pipes, and what lists


def test_what_is_asked_otherwise_starts_as_ever(starts: warm_start.Starts) -> None:
    asked = ("-m", "json.tool")
    early = start(starts, *asked, env={**os.environ, "OMP_NUM_THREADS": "3"})  # read by a library as it is loaded
    for process in (early, start(starts, "-m", "calendar", "2026"), start(starts, "-c", "print(1)")):
        assert not isinstance(process, warm_start.Forked)
        process.communicate("{}")
        assert process.returncode == 0


def test_whoever_asks_first_does_not_decide_in_which_environment_the_packages_load(starts: warm_start.Starts) -> None:
    elsewhere = {**os.environ, "PYTHONPATH": "elsewhere"}
    with warm_start.Starts(lambda: os.environ) as fresh:
        first = start(fresh, "-m", "json.tool", env=elsewhere)
        assert not isinstance(first, warm_start.Forked)
        first.communicate("{}")
        second = start(fresh, "-m", "json.tool", env={**os.environ, "HEADROOM_SAID": "late"})
        assert isinstance(second, warm_start.Forked)
        assert second.communicate("{}") == ("{}\n", "")


def test_nobody_is_adopted_but_what_was_asked_for(starts: warm_start.Starts) -> None:
    start(starts, "-m", "json.tool").communicate("{}")
    adopts = ctypes.c_int(-1)
    assert ctypes.CDLL(None).prctl(IS_CHILD_SUBREAPER, ctypes.byref(adopts), 0, 0, 0) == 0
    assert adopts.value == 0
