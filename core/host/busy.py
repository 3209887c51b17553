"""Whether this machine is busy with something else, or slowed down: what it says of itself, and what to do about it."""

import os
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from core.host.optional import psutil

BUSY_CORES, STOLEN, SLOW_CLOCK = 0.3, 0.02, 0.7  # cores of others, share of time taken by a hypervisor, of its clock
THROTTLED = Path("/sys/fs/cgroup/cpu.stat")


@dataclass(frozen=True, kw_only=True)
class Moment:
    """Counters at one moment; two of them say what happened in between. Seconds; None where the system has no such."""

    at: float
    busy: float | None = None  # CPU seconds of the whole machine
    stolen: float | None = None
    own: float | None = None  # of this process and its ended children
    throttled: float | None = None  # seconds that a container's quota held it back


@dataclass(frozen=True, kw_only=True)
class Load:
    """A stretch of time on this machine. Cores are CPU seconds a second."""

    seconds: float
    others_cores: float | None = None
    stolen_share: float | None = None
    throttled_share: float | None = None
    clock_share: float | None = None  # of the highest frequency, at its end

    @property
    def sentences(self) -> tuple[str, ...]:
        """What would spoil a measurement, and what to do; none on a quiet machine."""
        said = []
        if self.others_cores is not None and self.others_cores > BUSY_CORES:
            said.append(
                f"other processes used {self.others_cores:.1f} cores: close them, or measure when they are done"
            )
        if self.stolen_share is not None and self.stolen_share > STOLEN:
            said.append(f"the hypervisor took {self.stolen_share:.0%} of the time: measure on a machine of your own")
        if self.throttled_share is not None and self.throttled_share > STOLEN:
            said.append(f"a CPU quota held processes back for {self.throttled_share:.0%} of the time: raise the quota")
        if self.clock_share is not None and self.clock_share < SLOW_CLOCK:
            said.append(f"cores run at {self.clock_share:.0%} of their highest clock: let them cool, or plug in")
        return tuple(said)

    def as_dict(self) -> dict[str, Any]:
        return {**asdict(self), "said": list(self.sentences)}


def moment() -> Moment:
    ps = psutil()
    if ps is None:
        return Moment(at=time.monotonic(), throttled=_throttled())
    try:
        times, own = ps.cpu_times(), os.times()
        idle = times.idle + getattr(times, "iowait", 0.0)
        stolen = getattr(times, "steal", None)
        every = sum(times) - getattr(times, "guest", 0.0) - getattr(times, "guest_nice", 0.0)
        busy = every - idle - (stolen or 0.0)
    except (ps.Error, OSError, RuntimeError):
        return Moment(at=time.monotonic(), throttled=_throttled())
    return Moment(at=time.monotonic(), busy=busy, stolen=stolen, own=sum(own[:4]), throttled=_throttled())


def between(first: Moment, last: Moment) -> Load:
    """What the machine did besides this process from one moment to another."""
    seconds = max(last.at - first.at, 1e-9)
    busy, own, stolen, throttled = (
        None if a is None or b is None else max(0.0, b - a)
        for a, b in (
            (first.busy, last.busy), (first.own, last.own), (first.stolen, last.stolen),
            (first.throttled, last.throttled),
        )
    )  # fmt: skip
    cores = os.cpu_count() or 1
    return Load(
        seconds=seconds,
        others_cores=None if busy is None or own is None else max(0.0, busy - own) / seconds,
        stolen_share=None if stolen is None else stolen / seconds / cores,
        throttled_share=None if throttled is None else throttled / seconds / cores,
        clock_share=clock_share(),
    )


def look(seconds: float = 0.5) -> Load:
    """The machine now, over a moment in which this thread waits."""
    first = moment()
    time.sleep(seconds)
    return between(first, moment())


def load_of_last_minute() -> float | None:
    """Cores that were asked for on average; None where the system does not count them."""
    if sys.platform == "win32":
        return None
    try:
        return os.getloadavg()[0]
    except OSError:
        return None


def clock_share() -> float | None:
    """The cores' frequency of now over their highest; None where the system does not say both."""
    ps = psutil()
    try:
        found = None if ps is None else ps.cpu_freq()
    except (ps.Error, OSError, RuntimeError, NotImplementedError):
        return None
    if found is None or not found.max or not found.current:
        return None
    return min(1.0, float(found.current) / float(found.max))


def _throttled() -> float | None:
    """Seconds that a control group's quota has held its processes back (cgroup-v2.rst, cpu.stat)."""
    try:
        lines = dict(line.split() for line in THROTTLED.read_text(encoding="ascii").splitlines())
        return int(lines["throttled_usec"]) / 1e6
    except (OSError, KeyError, ValueError):
        return None


def cache_bytes() -> int | None:
    """The largest cache of the first core, in bytes; None where the system does not say."""
    sizes = []
    for path in Path("/sys/devices/system/cpu/cpu0/cache").glob("index*/size"):
        try:
            text = path.read_text(encoding="ascii").strip()
        except OSError:
            continue
        unit = {"K": 2**10, "M": 2**20, "G": 2**30}.get(text[-1:], 0)
        if unit and text[:-1].isdigit():
            sizes.append(int(text[:-1]) * unit)
    return max(sizes, default=None)
