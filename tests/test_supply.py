"""What is installed is what was reviewed: every pin stands in the lock with a hash, and every package has a licence."""

import re

import yaml

from tests.licences import LOCK, PAGE, ROOT, licence, locked

PIN = re.compile(r"^([\w.\-]+)==([^\s#;]+)", re.MULTILINE)


def pins(name: str) -> dict[str, str]:
    return dict(PIN.findall((ROOT / name).read_text(encoding="utf-8")))


def test_the_lock_holds_every_pin_of_what_runs() -> None:
    asked = pins("requirements-look.txt") | pins("requirements.txt") | pins("requirements-sharing.txt")
    assert len(asked) >= 16
    have = locked()
    assert {name: have.get(name.replace("_", "-").lower()) for name in asked} == asked


def test_every_package_of_the_lock_has_a_hash() -> None:
    blocks = re.split(r"\n(?=[a-z0-9])", LOCK.read_text(encoding="utf-8"))
    without = [block.split("==")[0] for block in blocks if "==" in block and "--hash=sha256:" not in block]
    assert without == []


def test_the_lock_names_no_registry() -> None:
    assert not re.search(r"://|--index|--find-links", LOCK.read_text(encoding="utf-8"))


def test_the_licences_are_those_of_the_lock() -> None:
    rows = dict(re.findall(r"^\| ([\w.\-]+) \| ([^|]+) \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE))
    rows.pop("package")
    have = locked()
    assert {name: have.get(name) for name in rows} == rows
    assert {name for name in pins("requirements-look.txt") if name.replace("_", "-").lower() not in rows} == set()


def test_the_image_installs_what_is_pinned_and_runs_as_nobody_special() -> None:
    image = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    assert f"torch=={pins('requirements.txt')['torch']}" in image
    assert image.count("pip install --require-hashes -r requirements.lock") == 1
    # One stage: podman 4.3 leaves out a stage whose name comes from an argument.
    assert re.findall(r"^FROM (.+)$", image, re.MULTILINE) == ["python:3.11-slim"]
    assert re.findall(r"^ +(\S+)\) ", image, re.MULTILINE) == ["cuda", "cpu", "*"]
    installed, last = image.split("\nCOPY --chown=root:root . .\n")
    assert installed.endswith("pip install -r requirements-sharing.txt\n")
    assert last.startswith("USER 10001\n")
    assert "/healthz" in last


def test_a_server_for_many_is_started_with_the_allocator_that_gives_memory_back() -> None:
    assert "\n    PYTHONMALLOC=malloc \\\n" in (ROOT / "Dockerfile").read_text(encoding="utf-8")
    assert "`PYTHONMALLOC=malloc streamlit run" in (ROOT / "docs" / "sharing.md").read_text(encoding="utf-8")


def test_only_the_proxy_of_the_example_has_a_port() -> None:
    services = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))["services"]
    assert [name for name, service in services.items() if "ports" in service] == ["proxy"]
    assert services["headroom"]["environment"]["HEADROOM_ALLOW_ANONYMOUS"] == "1"
    assert services["headroom"]["cap_drop"] == ["ALL"]


def test_a_licence_is_what_the_package_says() -> None:
    assert licence("streamlit") == "Apache-2.0"
    assert licence("no-such-package") is None
