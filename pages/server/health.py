"""/healthz for whoever keeps the server up, and /metrics for Prometheus."""

import hmac
import os

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from core.version import VERSION
from pages.server.entry import is_local

TOKEN = "HEADROOM_METRICS_TOKEN"


async def healthz(_request: Request) -> Response:
    return JSONResponse({"status": "ok", "version": VERSION}, headers={"cache-control": "no-store"})


async def metrics(request: Request) -> Response:
    """To this machine, or to who sends the token; to others there is no such page."""
    token = os.environ.get(TOKEN, "")
    sent = request.headers.get("authorization", "")
    knows_it = bool(token) and hmac.compare_digest(sent.encode(), f"Bearer {token}".encode())
    if not knows_it and (token or request.client is None or not is_local(request.client.host)):
        return PlainTextResponse("Not Found", status_code=404)
    from pages.server import metrics as figures  # noqa: PLC0415  prometheus_client loads with the first who asks

    return Response(figures.text(), media_type=figures.MEDIA_TYPE)


ROUTES = [Route("/healthz", healthz), Route("/metrics", metrics)]
