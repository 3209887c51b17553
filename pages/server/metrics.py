"""The figures of /metrics, as Prometheus reads them: loaded by whoever asks first, and no start waits for them.

They come from what is already loaded: asking for them imports no torch and opens no file that is not there yet.
"""

import sys
from collections.abc import Iterator
from contextlib import suppress

import psutil
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from streamlit.runtime import Runtime

from pages.server.between_runs import sessions_kept

MEDIA_TYPE = CONTENT_TYPE_LATEST


def text() -> bytes:
    """All figures now, in Prometheus' text format (MEDIA_TYPE)."""
    registry = CollectorRegistry()
    registry.register(Headroom())
    return generate_latest(registry)


class Headroom:
    """Prometheus' collector: sessions, memory of the server and of its workers, measurements, faults of the Hub."""

    def collect(self) -> Iterator[Metric]:
        yield GaugeMetricFamily("headroom_sessions", "Open browser sessions", value=_sessions())
        kept = max(0, sessions_kept() - _sessions())
        yield GaugeMetricFamily("headroom_sessions_kept", "Sessions of closed tabs that may come back", value=kept)
        yield _memory()
        yield _hub_faults()
        yield from _measurements()
        yield from _queue()


def _sessions() -> int:
    return Runtime.instance()._session_mgr.num_active_sessions() if Runtime.exists() else 0


def _memory() -> GaugeMetricFamily:
    family = GaugeMetricFamily("headroom_memory_bytes", "Resident memory by part", labels=["part"])
    server = psutil.Process()
    family.add_metric(["server"], server.memory_info().rss)
    family.add_metric(["workers"], sum(_resident_bytes(child) for child in server.children(recursive=True)))
    return family


def _resident_bytes(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.Error:  # ended meanwhile
        return 0


def _hub_faults() -> CounterMetricFamily:
    family = CounterMetricFamily("headroom_hub_faults", "Answers of the Hub without a file, by kind", labels=["kind"])
    pulls = sys.modules.get("core.models.hub.pulls")  # never imported: then nothing was ever asked
    for kind, count in sorted(pulls.FAULTS.items()) if pulls is not None else ():
        family.add_metric([kind], count)
    return family


def _measurements() -> Iterator[Metric]:
    worker = sys.modules.get("core.decode.worker")  # never imported: then nothing was ever measured
    under_way = 0 if worker is None else len(worker.running())
    yield GaugeMetricFamily("headroom_measurements_running", "Decode measurements under way", value=under_way)
    ended = CounterMetricFamily("headroom_measurements", "Decode measurements that ended, by status", labels=["status"])
    for status, count in sorted(worker.ENDED.items()) if worker is not None else ():
        ended.add_metric([status], count)
    yield ended


def _queue() -> Iterator[Metric]:
    """Points of a cluster's sweeps; this host has no queue, since a second run on a device is refused."""
    kept = sys.modules.get("core.cluster.store")  # never imported: then no sweep was ever asked for
    if kept is None:
        return
    with suppress(OSError):  # its data directory is out of reach, which the page says
        yield GaugeMetricFamily("headroom_sweep_points_waiting", "Points that wait for a node", value=kept.waiting())
