"""The processor's name and cores as the system itself says them, and whether an NVIDIA GPU is here."""

import os
import platform
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

from core.host.optional import psutil

CPUINFO = Path("/proc/cpuinfo")
CPU_KEY = r"HARDWARE\DESCRIPTION\System\CentralProcessor\0"


@cache
def cpu_name() -> str:
    """'Apple M2 Pro', 'AMD EPYC 9B14', or the architecture where the system has no name for it."""
    named = {"win32": _windows_name, "darwin": _macos_name}.get(sys.platform, _lscpu_name)()
    return named or platform.processor() or platform.machine()


def _lscpu_name() -> str:
    """util-linux's own table also names Arm cores, which the kernel lists by number."""
    lines = said_by("lscpu").splitlines()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("Model name:")), "")


def _macos_name() -> str:
    return said_by("sysctl", "-n", "machdep.cpu.brand_string").strip()


def _windows_name() -> str:
    """The name in the registry; platform.processor() gives family and stepping there."""
    try:
        import winreg  # noqa: PLC0415  Windows alone has it

        with winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, CPU_KEY) as key:  # type: ignore[attr-defined, unused-ignore]
            return str(winreg.QueryValueEx(key, "ProcessorNameString")[0]).strip()  # type: ignore[attr-defined, unused-ignore]
    except (ImportError, OSError):
        return ""


@cache
def has_amx() -> bool:
    """Whether Linux says that this processor multiplies tiles of bfloat16, and keeps them for programs."""
    try:
        lines = CPUINFO.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return False
    flags = next((line.split() for line in lines if line.startswith("flags")), [])
    return {"amx_tile", "amx_bf16"} <= set(flags)


def cores_in_words() -> str:
    """'8 physical, 16 logical'; on Apple silicon the kinds of cores too: torch computes on the performance cores."""
    physical, logical = _count(logical=False), _count(logical=True)
    said = ", ".join(f"{n} {word}" for n, word in ((physical, "physical"), (logical, "logical")) if n)
    kinds = [said_by("sysctl", "-n", f"hw.perflevel{i}.physicalcpu").strip() for i in (0, 1)] if _is_mac() else []
    if len(kinds) == 2 and all(kind.isdigit() for kind in kinds):
        said += f" ({kinds[0]} performance, {kinds[1]} efficiency)"
    return said or "unknown"


def _is_mac() -> bool:
    return sys.platform == "darwin"


def _count(*, logical: bool) -> int | None:
    ps = psutil()
    try:
        return None if ps is None else ps.cpu_count(logical=logical)
    except (ps.Error, OSError, RuntimeError):
        return None


def has_nvidia_gpu() -> bool:
    """A driver's device file, or its tool on Windows; whether torch can use it, the run itself finds out."""
    if sys.platform == "win32":
        return shutil.which("nvidia-smi") is not None
    return sys.platform == "linux" and Path("/dev/nvidia0").exists()


def nvidia_driver() -> str:
    """The version of the NVIDIA driver, by its own tool; 'unknown' where it does not say."""
    lines = said_by("nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader").split()
    return lines[0] if lines else "unknown"


def said_by(*command: str) -> str:
    """The output of one of the system's tools in plain English; empty where it is not there or fails."""
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, encoding="utf-8", errors="replace", timeout=10, check=False,
            stdin=subprocess.DEVNULL, env={**os.environ, "LC_ALL": "C"},
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout if done.returncode == 0 else ""


def usable_cores() -> frozenset[int]:
    """The cores that the calling thread may run on; empty where the system does not say (macOS, Windows)."""
    if sys.platform == "linux":  # a statement: mypy looks at an expression on every system
        return frozenset(os.sched_getaffinity(0))
    return frozenset()


def use_cores(cores: frozenset[int]) -> None:
    """Lets the calling thread run on these; nothing happens where usable_cores says none."""
    if sys.platform == "linux":
        os.sched_setaffinity(0, cores)
