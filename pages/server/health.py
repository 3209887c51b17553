"""/healthz for whoever keeps the server up, and /metrics for Prometheus.

Figures come from what is already loaded: asking for them imports no torch and opens no file that is not there yet.
"""

import hmac
import os
import sys
from collections.abc import Iterator
from contextlib import suppress

import psutil
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from streamlit.runtime import Runtime

from core.version import VERSION
from pages.server.entry import is_local
from pages.server.tidy import sessions_kept

TOKEN = "HEADROOM_METRICS_TOKEN"


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
    kept = sys.modules.get("core.cluster.kept")  # never imported: then no sweep was ever asked for
    if kept is None:
        return
    with suppress(OSError):  # its data directory is out of reach, which the page says
        yield GaugeMetricFamily("headroom_sweep_points_waiting", "Points that wait for a node", value=kept.waiting())


async def healthz(_request: Request) -> Response:
    return JSONResponse({"status": "ok", "version": VERSION}, headers={"cache-control": "no-store"})


async def metrics(request: Request) -> Response:
    """To this machine, or to who sends the token; to others there is no such page."""
    token = os.environ.get(TOKEN, "")
    sent = request.headers.get("authorization", "")
    knows_it = bool(token) and hmac.compare_digest(sent.encode(), f"Bearer {token}".encode())
    if not knows_it and (token or request.client is None or not is_local(request.client.host)):
        return PlainTextResponse("Not Found", status_code=404)
    registry = CollectorRegistry()
    registry.register(Headroom())
    return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)


ROUTES = [Route("/healthz", healthz), Route("/metrics", metrics)]
