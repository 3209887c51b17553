"""Sign-in in a real browser against a real OpenID provider on loopback: who is listed enters, who is not is told."""

import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic

import pytest
from playwright.sync_api import Page, expect

from tests.dashboard import START_LIMIT_S, Dashboard, free_port, running_dashboard

ADA = {"sub": "ada", "email": "ada@example.org", "email_verified": True}
EVE = {"sub": "eve", "email": "eve@elsewhere.example", "email_verified": True}


@contextmanager
def running_provider() -> Iterator[str]:
    """The address of a provider that knows ADA and EVE, in a process of its own."""
    port = free_port()
    people = [argument for person in (ADA, EVE) for argument in ("--user-claims", json.dumps(person))]
    command = [sys.executable, "-m", "oidc_provider_mock", "--port", str(port), "--host", "localhost", *people]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    metadata = f"http://localhost:{port}/.well-known/openid-configuration"
    try:
        _wait_for(metadata)
        yield metadata
    finally:
        process.terminate()
        process.wait(timeout=20)


def _wait_for(url: str) -> None:
    deadline = monotonic() + START_LIMIT_S
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except OSError:
            if monotonic() > deadline:
                raise


@pytest.fixture
def shared(tmp_path: Path) -> Iterator[Dashboard]:
    port = free_port()
    secrets = tmp_path / "secrets.toml"
    with running_provider() as metadata:
        secrets.write_text(
            f"""
            [auth]
            redirect_uri = "http://localhost:{port}/oauth2callback"
            cookie_secret = "a secret of this test"
            client_id = "headroom"
            client_secret = "another"
            server_metadata_url = "{metadata}"
            [headroom]
            allowed = ["@example.org"]
            """,
            encoding="utf-8",
        )
        with running_dashboard(tmp_path, port=port, options=["--secrets.files", str(secrets)]) as dashboard:
            yield dashboard


def sign_in(page: Page, who: dict[str, object]) -> None:
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.get_by_role("button", name=str(who["sub"]), exact=True).first.click()


def test_only_a_listed_person_sees_a_page(shared: Dashboard, page: Page) -> None:
    # the provider's own pages ask a network that is not there for their style
    page.route("https://cdn.jsdelivr.net/**", lambda route: route.fulfill(body="", content_type="text/css"))
    page.goto(f"{shared.url}/size")
    expect(page.get_by_text("This server is shared.")).to_be_visible()
    expect(page.get_by_role("link", name="Models")).to_have_count(0)
    sign_in(page, EVE)
    expect(page.get_by_text("eve@elsewhere.example is not on this server's list.")).to_be_visible()
    expect(page.get_by_role("link", name="Models")).to_have_count(0)
    expect(page.get_by_role("button", name="Sign in as somebody else")).to_be_visible()
    page.context.clear_cookies()
    page.goto(f"{shared.url}/layouts?layouts_model=Falcon+7B")
    sign_in(page, ADA)
    expect(page.get_by_role("link", name="Models").first).to_be_visible()
    assert page.url.startswith(f"{shared.url}/layouts?")  # what was asked for before signing in
    expect(page.get_by_text("This server is shared.")).to_have_count(0)
