"""A Ray cluster as devices of a sweep. Imported by a process that RAY_ADDRESS was meant for, never by a page.

On an accelerator a run asks Ray for num_gpus=1, the accelerator's type and memory, and Ray finds the node. On a node
without one the device is the whole node: a run asks for all its CPUs, there, so that nothing of ours runs beside it.
A task that its node or worker took along is told as lost; the queue decides what comes of it.
"""

import json
import logging
import os
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict
from typing import Any

import ray
from ray import exceptions as lost
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from core.cluster.local import outcome
from core.cluster.points import CPU, Point
from core.cluster.queue import LOST, PROGRESS, REFUSED, Told
from core.cluster.reported import UNNAMED, Kind, Node, kinds
from core.cluster.task import Board, measure
from core.decode import worker
from core.decode.plan import needed_bytes
from core.decode.record_files import InvalidRecord, from_dict
from core.host.children import ROOT

REFRESH_SECONDS = 1.0
CUDA_HOST_BYTES = 4 * 2**30  # torch with CUDA, and what goes through the host
SLACK_SECONDS = 60.0  # beyond what the worker allows itself
# A lost worker, a lost node, memory that Ray's own monitor took back, a node that went before its task began.
LOSSES = (
    lost.WorkerCrashedError, lost.NodeDiedError, lost.LocalRayletDiedError, lost.ObjectLostError, lost.OutOfMemoryError,
    lost.TaskUnschedulableError, lost.RaySystemError,
)  # fmt: skip


class NoCluster(RuntimeError):
    """The cluster of RAY_ADDRESS cannot be used: the message says why and what to do."""


def connect(address: str) -> None:
    """Joins the cluster as a driver whose code travels with it. Raises NoCluster."""
    try:
        ray.init(
            address=address, runtime_env=runtime_environment(), log_to_driver=False, logging_level=logging.ERROR,
            namespace="headroom",
        )  # fmt: skip
    except (ConnectionError, RuntimeError, ValueError, OSError, lost.RayError) as e:
        said = [line.strip() for line in str(e).splitlines() if line.strip()] or [type(e).__name__]
        reason = " ".join(dict.fromkeys((said[0], said[-1])))  # a server's traceback says its reason last
        raise NoCluster(
            f"No Ray cluster was reached at {address!r} ({reason[:500]}): set RAY_ADDRESS to ray://HEAD:10001, or to "
            "HEAD:6379 on a machine that is a node itself, with the Python and the Ray of the cluster."
        ) from e


def runtime_environment() -> dict[str, Any]:
    """core/ as a module of every task; HEADROOM_RAY_RUNTIME_ENV, a JSON object, adds what the nodes lack."""
    own = {"py_modules": [str(ROOT / "core")], "excludes": ["**/__pycache__/**", "*.pyc"]}
    try:
        more = json.loads(os.environ.get("HEADROOM_RAY_RUNTIME_ENV") or "{}")
    except json.JSONDecodeError as e:
        raise NoCluster(f"HEADROOM_RAY_RUNTIME_ENV is not JSON ({e}): give an object such as {{}}.") from e
    if not isinstance(more, dict):
        raise NoCluster(f"HEADROOM_RAY_RUNTIME_ENV is {type(more).__name__}: give a JSON object.")
    return {**more, **own}


def reported() -> dict[str, Kind]:
    """The kinds of device of the cluster that connect() joined."""
    return kinds(ray.nodes())


class Cluster:
    """A Devices source over the cluster that connect() joined."""

    def __init__(self, only: tuple[str, ...] = ()) -> None:
        self._only = only
        self._task = ray.remote(max_retries=0, num_cpus=1)(measure)
        self._board: Any = ray.remote(num_cpus=0, max_restarts=-1)(Board).remote()
        self._running: dict[str, _Task] = {}
        self._kinds: dict[str, Kind] = {}
        self._asked = float("-inf")
        self._words: Any = None

    def counts(self) -> dict[str, int]:
        if time.monotonic() - self._asked > REFRESH_SECONDS:
            self._kinds, self._asked = reported(), time.monotonic()
        return {name: kind.devices for name, kind in self._kinds.items() if not self._only or name in self._only}

    def start(self, point: Point) -> None:
        kind = self._kinds[point.device]
        node = self._free_node(kind) if kind.name == CPU else None
        task = self._task.options(**request(point, kind, node))
        ref = task.remote(point.id, asdict(point.job), (), self._board)
        self._running[point.id] = _Task(point=point, ref=ref, node=node)

    def _free_node(self, kind: Kind) -> Node:
        taken = {task.node.id for task in self._running.values() if task.node is not None}
        return next((node for node in kind.nodes if node.id not in taken), kind.nodes[0])

    def poll(self) -> Iterator[Told]:
        yield from self._progress()
        if not self._running:
            return
        refs = {task.ref: task for task in self._running.values()}
        ready, _ = ray.wait(list(refs), num_returns=len(refs), timeout=0)
        for ref in ready:
            task = refs[ref]
            del self._running[task.point.id]
            yield _ending(task.point, ref)
        for task in [t for t in self._running.values() if t.is_late()]:
            self.cancel(task.point.id)
            yield Told(point_id=task.point.id, kind=LOST, message="It did not end at its time limit.")

    def _progress(self) -> Iterator[Told]:
        """What the board holds: asked without waiting, so a board that is being restarted holds nothing up."""
        if self._words is None:
            self._words = self._board.take.remote()
        ready, _ = ray.wait([self._words], timeout=0)
        if not ready:
            return
        words, self._words = self._words, None
        with suppress(lost.RayError):
            for point_id, (said, where) in ray.get(words).items():
                if task := self._running.get(point_id):
                    task.begun = task.begun or time.monotonic()
                    yield Told(point_id=point_id, kind=PROGRESS, message=f"{where['host']}: {said}", place=where)

    def cancel(self, point_id: str) -> None:
        """Ends the task's process; the worker that it started ends with it."""
        task = self._running.pop(point_id, None)
        if task is not None:
            with suppress(lost.RayError):
                ray.cancel(task.ref, force=True)


class _Task:
    """A run under way on the cluster, or still waiting for its resources there."""

    def __init__(self, *, point: Point, ref: Any, node: Node | None) -> None:
        self.point, self.ref, self.node = point, ref, node
        self.begun: float | None = None  # by our clock, once it told something

    def is_late(self) -> bool:
        limit = self.point.job.seconds_limit + worker.GRACE_SECONDS + SLACK_SECONDS
        return self.begun is not None and time.monotonic() - self.begun > limit


def request(point: Point, kind: Kind, node: Node | None) -> dict[str, Any]:
    """The resources of a run, as options of a Ray task; memory in bytes, never more than every node has."""
    if node is not None:
        memory = min(needed_bytes(point.job), node.memory_bytes)
        where = NodeAffinitySchedulingStrategy(node_id=node.id, soft=False)
        return {"num_cpus": node.cpus, "memory": memory, "scheduling_strategy": where}
    named = {} if kind.name == UNNAMED else {"accelerator_type": kind.name}
    return {"num_gpus": 1, "num_cpus": 1, "memory": min(CUDA_HOST_BYTES, kind.memory_bytes), **named}


def _ending(point: Point, ref: Any) -> Told:
    try:
        told = ray.get(ref)
        record = None if told["record"] is None else from_dict(told["record"])
    except LOSSES as e:
        return Told(point_id=point.id, kind=LOST, message=_first_line(e))
    except (lost.RayError, InvalidRecord) as e:
        return Told(point_id=point.id, kind=REFUSED, message=_first_line(e))
    state = worker.RunState(job=point.job, status=told["status"], message=told["message"], record=record)
    return outcome(point.id, state, told["seconds"], told["place"])


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[-1][:300] if lines else 'no more is said'}"
