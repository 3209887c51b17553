"""What the running server answers beside the pages: headers, health, figures, log lines, and to whom."""

import base64
import hashlib
import http.client
import json
import re
from collections import Counter
from contextlib import closing
from time import monotonic

import pytest

from core.cluster import store
from core.cluster.points import Sweep
from core.models.hub.pulls import FAULTS, HubError
from core.version import VERSION
from pages.server.metrics import Headroom
from tests.dashboard import Dashboard, running_dashboard


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with running_dashboard(tmp_path_factory.mktemp("answers"), {"HEADROOM_METRICS_TOKEN": "planted"}) as dashboard:
        yield dashboard


def asked(server: Dashboard, method: str, path: str, **headers: str) -> tuple[http.client.HTTPResponse, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", int(server.url.rpartition(":")[2]), timeout=60)
    with closing(connection):
        connection.request(method, path, headers=headers)
        answer = connection.getresponse()
        return answer, answer.read()


def test_a_page_says_what_may_run_in_it(server):
    answer, html = asked(server, "GET", "/size")
    policy = dict(part.split(" ", 1) for part in answer.headers["content-security-policy"].split("; "))
    assert policy["frame-ancestors"] == "'self'"
    assert policy["object-src"] == "'none'"
    written = re.findall(rb"<script(?![^>]*\ssrc=)[^>]*>(.*?)</script>", html, re.DOTALL)
    hashes = [f"'sha256-{base64.b64encode(hashlib.sha256(script).digest()).decode()}'" for script in written]
    assert len(hashes) == 2  # Streamlit's flag and ours
    assert policy["script-src"].split() == ["'self'", "blob:", *hashes]  # nothing else that is written into a page
    for name, value in {"x-content-type-options": "nosniff", "referrer-policy": "same-origin"}.items():
        assert answer.headers[name] == value


def test_head_is_answered_as_get_is(server):
    head, nothing = asked(server, "HEAD", "/")
    got, html = asked(server, "GET", "/")
    assert nothing == b""
    assert int(head.headers["content-length"]) == int(got.headers["content-length"]) == len(html) > 10_000


@pytest.mark.parametrize("host", ["rebound.example", "10.0.0.7:8501", "localhost.example.org"])
def test_a_foreign_host_name_gets_a_sentence(server, host):
    answer, text = asked(server, "GET", "/", Host=host)
    assert answer.status == 403
    assert b"Headroom answers on localhost alone" in text


@pytest.mark.parametrize("foreign", [{"Host": "rebound.example"}, {"Origin": "https://evil.example"}])
def test_a_socket_from_elsewhere_is_refused(server, foreign):
    key = base64.b64encode(b"0123456789abcdef").decode()
    socket = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": key}
    connection = http.client.HTTPConnection("localhost", int(server.url.rpartition(":")[2]), timeout=60)
    with closing(connection):
        connection.request("GET", "/_stcore/stream", headers={**socket, **foreign})
        assert connection.getresponse().status == 403


def test_health_is_a_small_json(server):
    answer, text = asked(server, "GET", "/healthz")
    assert (answer.status, json.loads(text)) == (200, {"status": "ok", "version": VERSION})


def test_figures_are_for_who_knows_the_token(server):
    assert asked(server, "GET", "/metrics")[0].status == 404
    assert asked(server, "GET", "/metrics", Authorization="Bearer guessed")[0].status == 404
    answer, text = asked(server, "GET", "/metrics", Authorization="Bearer planted")
    assert answer.status == 200
    figures = dict(line.rsplit(" ", 1) for line in text.decode().splitlines() if not line.startswith("#"))
    assert float(figures['headroom_memory_bytes{part="server"}']) > 2**24
    assert figures["headroom_sessions"] == figures["headroom_sessions_kept"] == "0.0"
    assert figures["headroom_measurements_running"] == "0.0"


def test_faults_of_the_hub_are_counted_by_kind(monkeypatch):
    monkeypatch.setattr("core.models.hub.pulls.FAULTS", FAULTS.copy())
    before = FAULTS["timeout"]
    HubError("timeout", "a/b", "late")
    faults = next(family for family in Headroom().collect() if family.name == "headroom_hub_faults")
    assert {sample.labels["kind"]: sample.value for sample in faults.samples}["timeout"] == before + 1


def test_measurements_are_counted_by_how_they_ended(monkeypatch):
    monkeypatch.setattr("core.decode.worker.ENDED", Counter({"complete": 3, "failed": 1}))
    family = {family.name: family for family in Headroom().collect()}["headroom_measurements"]
    assert {sample.labels["status"]: sample.value for sample in family.samples} == {"complete": 3.0, "failed": 1.0}


def test_points_that_wait_for_a_node_are_counted(monkeypatch, tmp_path):
    monkeypatch.setenv("HEADROOM_DATA_DIR", str(tmp_path))
    assert store.waiting() == 0
    store.add(Sweep(num_query_heads=8, head_dim=64, kv_heads=(8, 1), contexts=(1024,), batches=(2,), devices=("H100",)))
    family = {family.name: family for family in Headroom().collect()}["headroom_sweep_points_waiting"]
    assert [sample.value for sample in family.samples] == [2.0]


def test_a_request_is_logged_under_the_id_that_it_got_and_without_its_query(server):
    answer, _ = asked(server, "GET", "/models?typed=private")
    deadline = monotonic() + 30  # the line is written once the answer is out
    while not (said := [x for x in server.log().splitlines() if answer.headers["x-request-id"] in x]):
        assert monotonic() < deadline, server.log()
    line = json.loads(said[0])
    assert (line["path"], line["status"], line["method"]) == ("/models", 200, "GET")
    assert "private" not in server.log()
