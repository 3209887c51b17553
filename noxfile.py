"""Lint, types on three systems and the unit tests, on every supported Python that is here: `make test-pythons`.

A Python that is not here is skipped and named. torch comes along where pip finds a build for the CPU: a wheel in a
folder or an index that pip is told of; on macOS and Windows every build is one, and Linux's own carries gigabytes for
GPUs. Elsewhere the tests marked torch are left out, and the summary counts them.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import nox

PYTHONS = ("3.11", "3.12", "3.13", "3.14")
FILES = ("requirements-look.txt", "requirements.txt", "requirements-sharing.txt", "requirements-dev.txt")
nox.options.error_on_missing_interpreters = False


def _show_pyenvs_pythons() -> None:
    """pyenv's own python3.12 answers only for versions that are switched on; all that it has installed count here."""
    try:
        found = subprocess.run(["pyenv", "root"], capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return
    folders = [str(path) for version in PYTHONS for path in Path(found).glob(f"versions/{version}.*/bin")]
    os.environ["PATH"] = os.pathsep.join([*folders, os.environ["PATH"]])


_show_pyenvs_pythons()


@nox.session(python=PYTHONS)
def checks(session: nox.Session) -> None:
    """All checks of one Python; what follows -- goes to pytest."""
    pins = [
        line.split("#")[0].strip() for file in FILES for line in Path(file).read_text(encoding="utf-8").splitlines()
    ]
    named = [pin for pin in pins if pin and not pin.startswith("-r")]
    torch = next(pin for pin in named if pin.startswith("torch=="))
    session.install(*(pin for pin in named if pin != torch))
    if _has_cpu_build(session, torch):
        session.install(torch)
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    for system in ("linux", "darwin", "win32"):
        session.run("mypy", "--python-version", str(session.python), "--platform", system)
    session.run("pytest", "--ignore=tests/browser", *session.posargs)


def _has_cpu_build(session: nox.Session, pin: str) -> bool:
    report = ("--dry-run", "--no-deps", "--quiet", "--only-binary", ":all:", "--report", "-")
    said = session.run(
        "python", "-m", "pip", "install", *report, pin, silent=True, success_codes=range(256), stderr=None
    )
    try:
        url = json.loads(str(said))["install"][0]["download_info"]["url"]
    except (ValueError, LookupError):
        session.log(f"no wheel of {pin} for this Python")
        return False
    return sys.platform != "linux" or url.startswith("file:") or "cpu" in url.rsplit("/", 1)[1]
