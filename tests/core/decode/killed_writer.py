"""Writers of runs that are killed at random points: what was said to be kept must be there afterwards.

`python -m tests.core.decode.killed_writer --kills 200` prints JSON: kills, commits, and how many of them were lost.
Each writer is a fork of a process that has the store loaded, and says each run's id after save() returned; every
other kill has a second writer beside it, as two servers on one folder have.
"""

import argparse
import json
import os
import random
import signal
import tempfile
import time
from dataclasses import replace
from typing import TextIO

from core.decode import store
from tests.core.decode.records import run_record


def write_on(pipe: int, name: str) -> None:
    record = run_record()
    for number in range(1_000_000):
        kept = replace(record, run_id=f"{name}-{number}")
        store.save(kept)
        os.write(pipe, f"{kept.run_id}\n".encode())


def start_writer(name: str) -> tuple[int, TextIO]:
    """(process id, what it says)."""
    read_end, write_end = os.pipe()
    process = os.fork()
    if process == 0:
        os.close(read_end)
        write_on(write_end, name)
    os.close(write_end)
    return process, open(read_end, encoding="utf-8")


def kill(process: int, says: TextIO) -> list[str]:
    """What a writer had still to say when it was killed; a line cut short was not said."""
    os.kill(process, signal.SIGKILL)
    os.waitpid(process, 0)
    with says:
        return [line.strip() for line in says if line.endswith("\n")]


def kill_writers(kills: int, seed: int) -> dict[str, int]:
    random_source = random.Random(seed)
    said: list[str] = []
    done = 0
    while done < kills:
        writers = [start_writer(f"{done}-{side}") for side in range(1 + done % 2)]
        said += [writers[0][1].readline().strip() for _ in range(random_source.randrange(4))]
        time.sleep(random_source.uniform(0.0, 0.005))  # somewhere in the commit that follows
        for writer in writers:
            said += kill(*writer)
        done += len(writers)
    kept = {line.run_id for line in store.history(limit=10_000_000)}
    whole = sum(store.load(run_id) is not None for run_id in said[:: max(1, len(said) // 200)])
    return {"kills": done, "commits": len(said), "lost": len(set(said) - kept), "read_again": whole}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=23)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["HEADROOM_DATA_DIR"] = folder
        print(json.dumps(kill_writers(asked.kills, asked.seed)))
