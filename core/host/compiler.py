"""The C++ compiler that builds the kernel for this very CPU, or one line that says what to install."""

import os
import platform
import shutil
import sys

from core.host.processor import said_by

APPLE_STUB = "/usr/bin/clang++"  # there on every Mac; without Apple's tools it opens a window and fails


def cxx_compiler() -> str | None:
    """CXX, else g++ or clang++ on Linux, clang++ on macOS; None on Windows and where none is found."""
    if sys.platform == "win32":
        return None
    named = os.environ.get("CXX")
    if named:
        return named
    order = ("clang++", "g++") if sys.platform == "darwin" else ("g++", "clang++")
    return next((path for name in order if (path := shutil.which(name)) and _works(path)), None)


def _works(path: str) -> bool:
    stub = sys.platform == "darwin" and path.startswith("/usr/bin/")
    return not stub or bool(said_by("xcode-select", "-p"))


def what_to_install() -> str:
    """Why there is no compiler, and what brings one."""
    if sys.platform == "win32":
        return (
            "built on Linux and macOS alone: on Windows torch's own paths are measured; under WSL with g++ it is built"
        )
    if sys.platform == "darwin":
        return "no C++ compiler here: `xcode-select --install` brings clang++ for the kernel that is built for this CPU"
    return "no C++ compiler here: install g++ or clang++ for the kernel that is built for this CPU"


def flags_for_this_cpu() -> tuple[str, ...]:
    """What tells a compiler to use all that this processor has: Arm compilers know it under another name."""
    return ("-mcpu=native",) if platform.machine().lower() in ("arm64", "aarch64") else ("-march=native",)
