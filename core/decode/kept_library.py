"""The compiled kernel kept from one process to the next: the compiler takes seconds, and each run is a process.

It lies in the cache folder of this user (core.host.folders), named by all that decides what it is: the source, the
flags, the compiler and what -march=native means to it here, since a home may be shared by unlike machines. A file that
somebody else could have written is not loaded.
"""

import contextlib
import hashlib
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from core.host.folders import cache_directory, is_ours_alone

MOST = 8  # libraries that are kept; the oldest go
ASK = ("-###", "-E", "-x", "c++", os.devnull)  # g++ and clang++ say what they would run, and run nothing


def place_of(command: Sequence[str], source: Path) -> Path | None:
    """Where the library of this command is or will be kept; None where that cannot be told or nothing may be kept.

    `command` is the compiler and its flags, without input and output.
    """
    try:
        said = subprocess.run(
            [*command, *ASK], capture_output=True, cwd=os.path.abspath(os.sep), timeout=30, check=False,
            env={**os.environ, "LC_ALL": "C"},
        )  # fmt: skip
        folder = cache_directory() / "kernels"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        ours = is_ours_alone(folder)
    except (OSError, subprocess.SubprocessError):
        return None
    if said.returncode or not said.stderr or not ours:
        return None
    texts = (path.read_bytes() for path in (source, *sorted(source.parent.glob("*.h"))))
    parts = (*(part.encode() for part in command), said.stdout, said.stderr, *texts)
    key = hashlib.sha256(b"".join(len(part).to_bytes(8, "big") + part for part in parts)).hexdigest()
    return folder / f"{key}.so"


def is_kept(place: Path | None) -> bool:
    """Whether a library lies there that nobody else can have written."""
    return place is not None and place.is_file() and is_ours_alone(place)


def keep(built: Path, place: Path | None) -> None:
    """Puts a library there at once or not at all; where the folder takes nothing, each process compiles its own."""
    if place is None:
        return
    draft = place.with_suffix(f".{os.getpid()}")
    with contextlib.suppress(OSError):
        shutil.copyfile(built, draft)
        draft.chmod(0o600)
        draft.replace(place)
        for old in sorted(place.parent.glob("*.so"), key=lambda path: path.stat().st_mtime)[:-MOST]:
            old.unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        draft.unlink(missing_ok=True)
