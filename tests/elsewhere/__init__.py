"""Processes that answer as on another system: what to put into the environment of one, and a tree of theirs."""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

import psutil

from tests.dashboard import ROOT

SYSTEMS = ("windows", "macos")
DRIVE = {"windows": "C:\\Users\\Ann Lee\\AppData\\Local", "macos": "Library/Application Support"}
TEXT = (".py", ".yaml", ".md", ".js", ".css", ".html", ".toml", ".cpp", ".svg", ".txt")


def environment(system: str, folder: Path, root: Path = ROOT) -> dict[str, str]:
    """Of a process on `system`: its data in `folder`, under a name with drive letter and backslashes on Windows."""
    own = folder / DRIVE[system]
    own.mkdir(parents=True, exist_ok=True)
    return {
        "HEADROOM_ELSEWHERE": system,
        "PYTHONPATH": os.pathsep.join((str(root), str(root / "tests" / "elsewhere"))),
        "HEADROOM_DATA_DIR": str(own / "headroom"), "HEADROOM_CACHE_DIR": str(own / "cache"),
        "HF_HOME": str(own / "hf"), "HF_HUB_OFFLINE": "1",
        "TMPDIR": str(own), "TEMP": str(own), "TMP": str(own),
    }  # fmt: skip


def gone(pid: int) -> bool:
    """Whether no process of that number is left, but for one that its parent has not asked after yet."""
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def whole(own: Mapping[str, str]) -> dict[str, str]:
    """The environment of this process with `own` put in."""
    return {**os.environ, **own}


def tree_with_crlf(folder: Path) -> Path:
    """A copy of what is under version control, as a checkout on Windows may lay it: every line ends in CR LF."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, encoding="utf-8", check=True,
    )  # fmt: skip
    for name in listed.stdout.splitlines():
        source, target = ROOT / name, folder / name
        if not source.is_file() or name.startswith(("tests/data/", "tests/browser/", "docs/", "findings/")):
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        content = source.read_bytes()
        target.write_bytes(content.replace(b"\n", b"\r\n") if source.suffix in TEXT else content)
    return folder
