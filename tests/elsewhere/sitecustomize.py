"""Makes a Python process answer as one on Windows or macOS would, for Headroom's own code and all that it starts.

With this folder on PYTHONPATH, Python runs this file before anything else; HEADROOM_ELSEWHERE says which system, and
HEADROOM_WITHOUT names packages that are as if not installed. Then

- the modules that the system lacks cannot be imported, by anybody (what of the standard library and psutil cannot do
  without them here is loaded before), and the functions that os lacks there are gone;
- sys.platform and os.name answer as there to Headroom and to platformdirs. To other libraries they tell the truth: what
  they do on that system is theirs to test, and here they must go on working;
- nothing under /proc and /sys can be opened or looked at, but by psutil, which stands for that system's own calls.
"""

import builtins
import io
import os
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
OURS = (*(os.path.join(ROOT, part) + os.sep for part in ("core", "pages")), os.path.join(ROOT, "dashboard.py"))
ANSWERS = {"windows": ("win32", "nt"), "macos": ("darwin", "posix")}
LACKING_MODULES = {"windows": ("fcntl", "resource", "pwd", "grp", "termios", "tty", "pty", "syslog"), "macos": ()}
LACKING_FUNCTIONS = {
    "windows": (
        *("killpg", "getpgid", "setsid", "getuid", "geteuid", "getgid", "fork", "forkpty", "nice", "statvfs"),
        *("pread", "pwrite", "getloadavg", "sched_getaffinity", "sched_setaffinity"),
    ),
    "macos": ("sched_getaffinity", "sched_setaffinity"),
}
NEEDED_BEFORE = ("asyncio", "ctypes", "getpass", "multiprocessing", "psutil", "shutil", "subprocess", "tempfile")
HIDDEN = ("/proc", "/sys")


class Answer(str):
    """A string that reads otherwise where Headroom looks at it."""

    there: str

    def __new__(cls, here: str, there: str) -> "Answer":
        made = super().__new__(cls, here)
        made.there = there
        return made

    def _read(self) -> str:
        caller = sys._getframe(2)
        return self.there if _is_ours(caller) else str.__str__(self)

    def __str__(self) -> str:
        return self._read()

    def __eq__(self, other: object) -> bool:
        return str.__eq__(self._read(), other) is True if isinstance(other, str) else False

    def __ne__(self, other: object) -> bool:
        return str.__ne__(self._read(), other) is not False if isinstance(other, str) else True

    def __hash__(self) -> int:
        return hash(self._read())

    def __format__(self, spec: str) -> str:
        return format(self._read(), spec)

    def __contains__(self, part: object) -> bool:
        return str(part) in self._read()

    def startswith(self, *arguments: Any) -> bool:
        return self._read().startswith(*arguments)


def _is_ours(frame: FrameType) -> bool:
    file = frame.f_code.co_filename
    return file.startswith(OURS) or f"{os.sep}platformdirs{os.sep}" in file


def _hiding(function: Callable[..., Any]) -> Callable[..., Any]:
    """The same function, to which HIDDEN is not there."""

    def looked(path: Any = ".", *arguments: Any, **options: Any) -> Any:
        named = os.fsdecode(path) if isinstance(path, str | bytes | os.PathLike) else ""
        if named.startswith(HIDDEN) and not _asked_by_psutil():
            raise FileNotFoundError(2, "No such file or directory", named)
        return function(path, *arguments, **options)

    return looked


def _asked_by_psutil() -> bool:
    frame: FrameType | None = sys._getframe(2)
    for _ in range(4):
        if frame is None:
            return False
        if f"{os.sep}psutil{os.sep}" in frame.f_code.co_filename:
            return True
        frame = frame.f_back
    return False


def become(system: str) -> None:
    """From here on this process is on `system`: 'windows' or 'macos'."""
    for name in NEEDED_BEFORE:
        __import__(name)
    for name in LACKING_MODULES[system]:
        sys.modules[name] = None  # type: ignore[assignment]
    for name in LACKING_FUNCTIONS[system]:
        if hasattr(os, name):
            delattr(os, name)
    if "sched_getaffinity" in LACKING_FUNCTIONS[system] and hasattr(os, "process_cpu_count"):
        os.process_cpu_count = os.cpu_count  # as os.py of Python 3.13 does where a process has no such set
    for module in (builtins, io, os):
        module.open = _hiding(module.open)  # type: ignore[assignment]
    for name in ("stat", "listdir", "scandir"):
        setattr(os, name, _hiding(getattr(os, name)))
    platform, family = ANSWERS[system]
    sys.platform = Answer(sys.platform, platform)
    os.name = Answer(os.name, family)


for absent in filter(None, os.environ.get("HEADROOM_WITHOUT", "").split(",")):
    sys.modules[absent] = None  # type: ignore[assignment]
if os.environ.get("HEADROOM_ELSEWHERE"):
    become(os.environ["HEADROOM_ELSEWHERE"])
