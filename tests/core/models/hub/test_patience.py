"""Asking the Hub again, and not before it says; the file that it gave last where it cannot be asked."""

import ssl
import subprocess
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from huggingface_hub import constants

from core.models.hub.client import HubError, pull_config
from core.models.hub.patience import retry_after_seconds
from tests.hub_server import HubServer

FALCON = {"model_type": "falcon", "num_attention_heads": 71, "multi_query": True}


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[HubServer]:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_ASSETS_CACHE", str(tmp_path / "assets"))
    with HubServer() as server:
        yield server


@pytest.mark.parametrize("fault", ["rate_limited_briefly", "server_error", "unavailable"])
def test_a_passing_fault_is_asked_again(hub: HubServer, fault: str) -> None:
    hub.add("some/model", config=FALCON, fault=fault, faults_left=2)
    assert pull_config("some/model", endpoint=hub.url, timeout=0.5).config == FALCON
    assert hub.methods("some/model") == ["HEAD", "HEAD", "HEAD", "GET"]


@pytest.mark.parametrize("fault", ["drop_body", "truncated"])
def test_a_broken_connection_is_asked_again(hub: HubServer, fault: str) -> None:
    hub.add("some/model", config=FALCON, fault=fault, faults_left=1)
    assert pull_config("some/model", endpoint=hub.url, timeout=0.5).config == FALCON
    assert hub.methods("some/model") == ["HEAD", "GET", "HEAD", "GET"]


def test_three_times_and_no_more(hub: HubServer) -> None:
    hub.add("some/model", config=FALCON, fault="unavailable")
    with pytest.raises(HubError, match="answered 503"):
        pull_config("some/model", endpoint=hub.url, timeout=0.5)
    assert hub.methods("some/model") == ["HEAD"] * 3


@pytest.mark.parametrize("fault", ["gated", "missing_404", "bad_token"])
def test_what_does_not_pass_is_not_asked_again(hub: HubServer, fault: str) -> None:
    hub.add("some/model", config=FALCON, fault=fault)
    with pytest.raises(HubError):
        pull_config("some/model", endpoint=hub.url, timeout=0.5)
    assert hub.methods("some/model") == ["HEAD"]


def test_a_long_wait_is_kept_without_waiting_for_it(hub: HubServer) -> None:
    hub.add("some/model", config=FALCON, fault="rate_limited")  # Retry-After: 37
    for words in ("Try again in 37 seconds", r"not to be asked for some/model before 3[67] seconds"):
        with pytest.raises(HubError, match=words) as caught:
            pull_config("some/model", endpoint=hub.url, timeout=0.5)
        assert caught.value.kind == "rate_limited"
    assert hub.methods("some/model") == ["HEAD"]  # the second time nothing was asked


def test_retry_after_is_seconds_or_a_date() -> None:
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=90), usegmt=True)
    assert retry_after_seconds({"Retry-After": "12"}) == 12.0
    assert retry_after_seconds({"Retry-After": soon}) == pytest.approx(90, abs=2)
    assert retry_after_seconds({"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}) == 0.0
    for unread in ("", "soon", "-5", "1e3", "Wed, 21 Oct 2015 07:28:00"):
        assert retry_after_seconds({"Retry-After": unread}) is None


@pytest.mark.parametrize("fault", ["unavailable", "hang", "truncated", "drop_body", "rate_limited"])
def test_the_last_file_stands_in_and_says_since_when(hub: HubServer, fault: str) -> None:
    hub.add("some/model", config=FALCON)
    before = pull_config("some/model", endpoint=hub.url)
    hub.add("some/model", config={**FALCON, "num_attention_heads": 1}, commit="f" * 40, fault=fault)
    now = pull_config("some/model", endpoint=hub.url, timeout=0.5)
    assert (now.config, now.commit, now.pulled_at) == (FALCON, before.commit, before.pulled_at)
    assert now.stale_because
    assert before.stale_because is None


@pytest.mark.parametrize(("fault", "kind"), [("gated", "gated"), ("missing", "not_found"), ("bad_token", "bad_token")])
def test_a_gate_or_a_missing_file_is_not_papered_over(hub: HubServer, fault: str, kind: str) -> None:
    hub.add("some/model", config=FALCON)
    pull_config("some/model", endpoint=hub.url)
    hub.add("some/model", config=FALCON, fault=fault)
    with pytest.raises(HubError) as caught:
        pull_config("some/model", endpoint=hub.url, timeout=0.5)
    assert caught.value.kind == kind


def test_a_spoilt_memory_of_the_last_file_is_no_file(hub: HubServer, tmp_path: Path) -> None:
    hub.add("some/model", config=FALCON)
    pull_config("some/model", endpoint=hub.url)
    (kept,) = (tmp_path / "assets" / "headroom" / "last").iterdir()
    hub.add("some/model", config=FALCON, fault="unavailable")
    for spoilt in ("", "[]", "{}", '{"pulled_at": 3}', '{"pulled_at": "2026-01-01", "more": 1}'):
        kept.write_text(spoilt, encoding="utf-8")
        with pytest.raises(HubError, match="answered 503"):
            pull_config("some/model", endpoint=hub.url, timeout=0.5)


def test_a_certificate_that_nobody_vouches_for(tmp_path: Path) -> None:
    """A TLS server of its own, its certificate signed by itself: refused, and said as that."""
    key, certificate = _self_signed(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        server.handle_error = lambda *_: None  # type: ignore[method-assign]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            with pytest.raises(HubError, match=r"certificate of localhost:.* is not valid here"):
                pull_config("some/model", endpoint=f"https://localhost:{server.server_address[1]}", timeout=5)
        finally:
            server.shutdown()
            thread.join()


def _self_signed(folder: Path) -> tuple[Path, Path]:
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost", "-days", "2"]
    subprocess.run([*command, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    return key, certificate
