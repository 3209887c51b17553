"""Who gets in: the rule by hand, and the start that names nobody."""

import os
import subprocess
import sys
from types import SimpleNamespace

import pytest

from pages.server.entry import Entry, EntryError, check_start, entry_as_set_up, is_local
from tests.dashboard import ROOT, free_port

ADA = {"email": "Ada@Example.org", "email_verified": True}


@pytest.mark.parametrize(
    ("address", "local"),
    [
        *[(name, True) for name in ("localhost", "a.localhost", "127.0.0.1", "127.3.2.1", "::1", "[::1]")],
        *[(name, False) for name in ("0.0.0.0", "::", "10.0.0.7", "example.org", "localhost.example.org", "", None)],
    ],
)
def test_what_only_this_machine_reaches(address, local):
    assert is_local(address) is local


@pytest.mark.parametrize("allowed", [("ada@example.org",), ("@example.org",), ("x@y.z", "@example.org")])
def test_a_listed_address_or_domain_enters(allowed):
    assert Entry(sign_in=True, allowed=allowed).refusal(ADA) is None


@pytest.mark.parametrize(
    ("allowed", "person", "says"),
    [
        (("@example.org",), {"email": "eve@evil.example.org", "email_verified": True}, "not on this server's list"),
        (("@example.org",), {"email": "eve@notexample.org", "email_verified": True}, "not on this server's list"),
        (("ada@example.org",), {"email": "bada@example.org", "email_verified": True}, "not on this server's list"),
        (("@example.org",), {"email": "ada@example.org"}, "does not say that ada@example.org is verified"),
        (("@example.org",), {"email": "ada@example.org", "email_verified": "true"}, "is verified"),
        (("@example.org",), {"name": "Ada"}, "without an e-mail address"),
    ],
)
def test_everybody_else_is_told_why_not(allowed, person, says):
    assert says in (Entry(sign_in=True, allowed=allowed).refusal(person) or "")


def test_a_provider_that_never_says_verified_can_be_believed():
    entry = Entry(sign_in=True, allowed=("@example.org",), believe_unverified=True)
    assert entry.refusal({"email": "ada@example.org"}) is None


def test_sign_in_without_a_list_does_not_start():
    with pytest.raises(EntryError, match="nobody is let in"):
        check_start(Entry(sign_in=True), "localhost")


@pytest.mark.parametrize("address", ["0.0.0.0", "10.0.0.7", None])
def test_a_shared_address_needs_sign_in_or_a_word(address):
    with pytest.raises(EntryError, match="HEADROOM_ALLOW_ANONYMOUS=1"):
        check_start(Entry(sign_in=False), address)
    check_start(Entry(sign_in=False, anonymous=True), address)
    check_start(Entry(sign_in=True, allowed=("@example.org",)), address)


def test_the_real_command_ends_with_the_sentence():
    command = [sys.executable, "-m", "streamlit", "run", "dashboard.py", "--server.port", str(free_port())]
    done = subprocess.run(
        [*command, "--server.address", "0.0.0.0"], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 1
    assert "Headroom does not start on 0.0.0.0 without sign-in" in done.stderr


@pytest.mark.parametrize(
    ("entry", "reads"),
    [
        (Entry(sign_in=False), True),  # this machine alone: the token is the reader's own
        (Entry(sign_in=True, allowed=("@example.org",)), False),
        (Entry(sign_in=True, allowed=("@example.org",), show_gated=True), True),
        (Entry(sign_in=False, anonymous=True), False),
        (Entry(sign_in=False, anonymous=True, show_gated=True), False),  # nobody whom the owner named
    ],
)
def test_who_may_see_what_only_the_server_s_token_reads(entry, reads):
    assert entry.reads_with_the_token is reads


@pytest.mark.parametrize(("said", "shown"), [({}, False), ({"show_gated": "yes"}, False), ({"show_gated": True}, True)])
def test_show_gated_is_said_in_secrets_toml(monkeypatch, said, shown):
    class Secrets(dict):
        def load_if_toml_exists(self):
            return True

    secrets = Secrets(auth={}, headroom={"allowed": ["@example.org"], **said})
    monkeypatch.setattr("pages.server.entry.st", SimpleNamespace(secrets=secrets))
    assert entry_as_set_up().show_gated is shown


@pytest.mark.parametrize(("anonymous", "shown", "shut"), [("0", "full", "False"), ("1", "none", "True")])
def test_a_traceback_and_what_a_gate_hides_are_shown_on_this_machine_alone(anonymous, shown, shut):
    asked = (
        "import dashboard, streamlit as st; print(st.config.get_option('client.showErrorDetails'))\n"
        "print(dashboard.gate.is_shut())"
    )
    done = subprocess.run(
        [sys.executable, "-c", asked], cwd=ROOT, capture_output=True, text=True, timeout=120, check=True,
        env={**os.environ, "HEADROOM_ALLOW_ANONYMOUS": anonymous},
    )  # fmt: skip
    assert done.stdout.split() == [shown, shut]
