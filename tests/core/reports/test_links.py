"""Links lead where a server says it is, or nowhere but to the view; and say what said what."""

import pytest

from core.reports.links import made_by, path_of, read_differently, view_link
from core.version import VERSION


@pytest.fixture(autouse=True)
def _no_base(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HEADROOM_BASE_URL", raising=False)


def test_a_link_has_path_and_inputs_and_no_address_of_this_machine():
    path = path_of("http://127.0.0.1:8611/size?size_g=8")
    query = {"size_g": "8", "present": "1", "screen": "2", "models_pick": ["Falcon-7B", "Llama-1 7B"]}
    assert view_link(path, query) == "/size?size_g=8&models_pick=Falcon-7B&models_pick=Llama-1+7B"
    assert view_link("/", {}) == "/"


def test_a_server_that_says_where_it_is_signs_with_it(monkeypatch):
    monkeypatch.setenv("HEADROOM_BASE_URL", "https://headroom.example.org/team/ ")
    assert view_link("/size", {"size_g": "8"}, made="0.2.0-1f0c93ab") == (
        "https://headroom.example.org/team/size?size_g=8&made=0.2.0-1f0c93ab"
    )


def test_a_signature_is_the_version_and_what_the_view_said():
    one, other = made_by(["G = 8 fits with 1.08 GB"]), made_by(["G = 8 fits with 1.09 GB"])
    assert one.startswith(f"{VERSION}-")
    assert one != other
    assert made_by(["**G = 8** fits with 1.08 GB"]) == one


@pytest.mark.parametrize(
    ("made", "now", "differs"),
    [
        ("0.1.0-00000000", "0.2.0-11111111", True),
        ("0.1.0-11111111", "0.2.0-11111111", False),  # another version, the same answer
        ("0.2.0-00000000", "0.2.0-11111111", False),  # the same version: a host's own runs may differ
        ("<script>", "0.2.0-11111111", False),
        ("", "0.2.0-11111111", False),
    ],
)
def test_only_a_newer_version_that_says_something_else_is_told(made, now, differs):
    said = read_differently(made, now)
    assert bool(said) is differs
    assert "Headroom 0.1.0" in said or not differs
