"""Lets core.host answer as on another system, in this process: each of its modules looks at sys.platform for itself."""

import sys
from types import SimpleNamespace

import pytest

PLATFORM = {"linux": "linux", "macos": "darwin", "windows": "win32"}
MODULES = ("children", "compiler", "guard", "linux", "lock", "memory", "processor")


def seem(monkeypatch: pytest.MonkeyPatch, system: str) -> None:
    stand_in = SimpleNamespace(platform=PLATFORM[system], executable=sys.executable)
    for name in MODULES:
        monkeypatch.setattr(f"core.host.{name}.sys", stand_in)
