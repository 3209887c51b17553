"""A compiler that remembers: python compile_once.py FOLDER COMPILER ARGUMENT...

A shared library or an object of one source file is built once for its content and its flags, and copied from then on.
Whatever else it is asked is passed on as it is.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path


def main(folder: Path, compiler: str, arguments: list[str]) -> int:
    sources = [argument for argument in arguments if argument.endswith(".cpp")]
    if not {"-shared", "-c"} & {*arguments} or "-o" not in arguments or len(sources) != 1:
        os.execvp(compiler, [compiler, *arguments])
    place = arguments.index("-o") + 1
    flags = [compiler, *arguments[:place], *arguments[place + 1 :]]
    key = hashlib.sha256("\0".join(flags).encode() + Path(sources[0]).read_bytes()).hexdigest()
    kept = folder / f"{key}.so"
    with (folder / f"{key}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two processes that need it at once: the second waits
        if not kept.exists():
            done = subprocess.run([compiler, *arguments], check=False)
            if done.returncode:
                return done.returncode
            shutil.copy(arguments[place], kept)
            return 0
    shutil.copy(kept, arguments[place])
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2], sys.argv[3:]))
