"""What runs on a node: the worker of core.decode, unchanged, its progress told to a board that the driver reads.

Ray restarts the board elsewhere when its node is lost, and what it held is lost with it: it carries words only. The
result is the task's own return value, and a task never runs twice by Ray's doing (max_retries=0): the queue retries.
"""

import os
import platform
import tempfile
import time
from typing import Any

import ray

from core.cluster.local import doing
from core.cluster.points import job_from
from core.decode import worker
from core.decode.records import to_dict

TELL_SECONDS = 0.5


class Board:
    """The last words of each point that runs; an actor without a resource request."""

    def __init__(self) -> None:
        self._said: dict[str, tuple[str, dict[str, str]]] = {}

    def tell(self, point_id: str, said: str, place: dict[str, str]) -> None:
        self._said[point_id] = (said, place)

    def take(self) -> dict[str, tuple[str, dict[str, str]]]:
        """What was told since the last look."""
        said, self._said = self._said, {}
        return said


def measure(point_id: str, job: dict[str, Any], options: tuple[str, ...], board: Any) -> dict[str, Any]:
    """Runs a job here and returns status, message, record (or None), place and seconds of the run."""
    where, begun = place(), time.monotonic()
    board.tell.remote(point_id, "Starting", where)
    with tempfile.TemporaryDirectory(prefix="headroom-node-") as folder:
        os.environ["HEADROOM_DATA_DIR"] = folder  # runs are kept where the sweep is, not on its nodes
        run = worker.LiveRun(job_from(job), ("--no-save", *options))
        try:
            state = _followed(run, point_id, where, board)
        finally:
            run.cancel("Ended with its task.")
            run.wait(worker.SECONDS_TO_STOP)
    record = None if state.record is None else to_dict(state.record)
    return {
        "status": state.status, "message": state.message, "record": record, "place": where,
        "seconds": time.monotonic() - begun,
    }  # fmt: skip


def _followed(run: worker.LiveRun, point_id: str, where: dict[str, str], board: Any) -> worker.RunState:
    said = ""
    while (state := run.wait(TELL_SECONDS)).running:
        if (words := doing(state)) != said:
            said = words
            board.tell.remote(point_id, said, where)
    return state


def place() -> dict[str, str]:
    """The node, its accelerators as Ray gave them, and the versions that the record does not name itself."""
    context = ray.get_runtime_context()
    given = {name: ids for name, ids in context.get_accelerator_ids().items() if ids}
    return {
        "host": platform.node(), "node": context.get_node_id(), "ray": ray.__version__,
        "accelerators": ", ".join(f"{name} {' '.join(ids)}" for name, ids in given.items()),
    }  # fmt: skip
