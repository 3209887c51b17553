"""A compiler that remembers: python compile_once.py FOLDER COMPILER ARGUMENT...

A shared library or an object of one source file is built once for its content, its flags and what the compiler makes
of them on this processor, and copied from then on, in the next run of the tests too. Whatever else it is asked is
passed on as it is.
"""

import contextlib
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

MOST = 16  # that are kept; the oldest go
ASK = ("-###", "-E", "-x", "c++", os.devnull)  # g++ and clang++ say what they would run, and run nothing


def main(folder: Path, compiler: str, arguments: list[str]) -> int:
    sources = [argument for argument in arguments if argument.endswith(".cpp")]
    if not {"-shared", "-c"} & {*arguments} or "-o" not in arguments or len(sources) != 1:
        os.execvp(compiler, [compiler, *arguments])
    target = arguments.index("-o") + 1
    kept = folder / f"{key(compiler, [*arguments[: target - 1], *arguments[target + 1 :]], Path(sources[0]))}.built"
    with kept.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two processes that need it at once: the second waits
        if not kept.exists():
            done = subprocess.run([compiler, *arguments], check=False)
            if done.returncode:
                return done.returncode
            keep(Path(arguments[target]), kept)
            return 0
    shutil.copy(kept, arguments[target])
    return 0


def key(compiler: str, flags: list[str], source: Path) -> str:
    """Of what is built: the source, the headers that it may take, and the commands that its compiler would run here."""
    others = [flag for flag in flags if flag != str(source)]
    said = subprocess.run([compiler, *others, *ASK], capture_output=True, check=False, cwd=os.sep)
    parts = [compiler.encode(), *(flag.encode() for flag in others), said.stderr]
    folders = [source.parent, *(Path(flags[i + 1]) for i, flag in enumerate(flags) if flag == "-I")]
    headers = (header for folder in folders for header in sorted(folder.glob("*.h")))
    parts += [path.read_bytes() for path in (source, *headers)]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()


def keep(built: Path, place: Path) -> None:
    """At once or not at all: a run that is ended meanwhile leaves no half of one."""
    draft = place.with_suffix(f".{os.getpid()}")
    shutil.copy(built, draft)
    draft.replace(place)
    for old in sorted(place.parent.glob("*.built"), key=lambda path: path.stat().st_mtime)[:-MOST]:
        with contextlib.suppress(OSError):
            old.unlink()
            old.with_suffix(".lock").unlink()


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2], sys.argv[3:]))
