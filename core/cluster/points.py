"""A sweep as points: every G at every context, batch and dtype, on every kind of device that was chosen.

A point is one run of core.decode at one G. Its id is a digest of what it measures and on what, so that the same point
is the same point after a restart.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from hashlib import sha256
from itertools import product
from math import prod
from typing import Any, TypeVar

from core.decode.plan import DecodeJob, InvalidJob, StepShape

HOST, CPU = "host", "CPU"  # this host; a cluster's nodes without an accelerator
MOST_POINTS = 2_000
Read = TypeVar("Read")


@dataclass(frozen=True, kw_only=True)
class Point:
    """One run: a job of one G, and the kind of device that it is for."""

    id: str
    device: str
    job: DecodeJob


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """What is measured on which kinds of device. Raises InvalidJob for a value that no run takes."""

    num_query_heads: int
    head_dim: int
    kv_heads: tuple[int, ...]
    contexts: tuple[int, ...]
    batches: tuple[int, ...]
    dtypes: tuple[str, ...] = ("bfloat16",)
    devices: tuple[str, ...] = (HOST,)
    kernels: tuple[str, ...] = ()
    step: StepShape | None = None
    quick: bool = True
    seconds_limit: float = 300.0  # of one point
    seed: int | None = None
    host_device: str = "auto"  # what a run on this host asks torch for

    def __post_init__(self) -> None:
        for name in ("kv_heads", "contexts", "batches", "dtypes", "devices"):
            values = getattr(self, name)
            if not values:
                raise InvalidJob(f"the sweep has no {name.replace('_', ' ')}: give at least one.")
            if len(set(values)) != len(values):
                raise InvalidJob(f"{name} is {', '.join(map(str, values))}: give each once.")
        if self.num_points > MOST_POINTS:
            raise InvalidJob(f"the sweep has {self.num_points:,} points: leave some out, {MOST_POINTS:,} is the most.")
        self.points()  # every job checks itself

    @property
    def num_points(self) -> int:
        return prod(map(len, (self.kv_heads, self.contexts, self.batches, self.dtypes, self.devices)))

    def points(self) -> tuple[Point, ...]:
        """The largest cache last, the devices in turn, so that each has something to do from the start."""
        shapes = product(self.dtypes, sorted(self.contexts), sorted(self.batches), sorted(self.kv_heads))
        return tuple(
            _point(device, self._job(device, dtype, context, batch, g))
            for (dtype, context, batch, g), device in product(shapes, self.devices)
        )

    def _job(self, device: str, dtype: str, context: int, batch: int, num_kv_heads: int) -> DecodeJob:
        return DecodeJob(
            num_query_heads=self.num_query_heads, kv_heads=(num_kv_heads,), head_dim=self.head_dim,
            context_length=context, batch_size=batch, dtype=dtype, kernels=self.kernels,
            device=self.host_device if device == HOST else torch_device(device),
            step=self.step, quick=self.quick, seconds_limit=self.seconds_limit, seed=self.seed,
        )  # fmt: skip


def torch_device(device: str) -> str:
    """What a run on a kind of device asks torch for: every accelerator that a cluster offers here is a GPU."""
    return {HOST: "auto", CPU: "cpu"}.get(device, "cuda")


def _point(device: str, job: DecodeJob) -> Point:
    said = json.dumps({"device": device, "job": asdict(job)}, sort_keys=True)
    return Point(id=sha256(said.encode()).hexdigest()[:16], device=device, job=job)


def job_from(raw: Mapping[str, Any]) -> DecodeJob:
    """A job from its JSON. Raises InvalidJob for what is none."""
    return _read(DecodeJob, raw, ("kv_heads", "lengths", "kernels"))


def sweep_from(raw: Mapping[str, Any]) -> Sweep:
    """A sweep from its JSON. Raises InvalidJob for what is none."""
    return _read(Sweep, raw, ("kv_heads", "contexts", "batches", "dtypes", "devices", "kernels"))


def _read(kind: type[Read], raw: Mapping[str, Any], lists: tuple[str, ...]) -> Read:
    try:
        tuples = {name: tuple(raw[name]) for name in lists if name in raw}
        step = raw.get("step")
        return kind(**{**raw, **tuples, "step": StepShape(**step) if step else None})
    except InvalidJob:
        raise
    except (TypeError, ValueError, AttributeError) as e:
        raise InvalidJob(f"written by another version of Headroom, and not read by this one ({e}).") from e
