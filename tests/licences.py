"""What Headroom runs with and under which licence: `python -m tests.licences` writes docs/licences.md.

Which packages those are stands in requirements.lock; a licence is what the package's own metadata says
(License-Expression of PEP 639, else its License field or classifiers).
"""

import re
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path

ROOT = Path(__file__).parents[1]
LOCK, PAGE = ROOT / "requirements.lock", ROOT / "docs" / "licences.md"
_PIN = re.compile(r"^([A-Za-z0-9][\w.\-]*)==([^\s;\\]+)", re.MULTILINE)
_HEAD = """# Licences

What Headroom runs with, as requirements.lock pins it, and the licence that each package names for itself. Written by
`python -m tests.licences`. A package without a line here is one that only another system or a CUDA build of torch
brings; NVIDIA's libraries among them come under NVIDIA's own terms.

| package | version | licence |
|---|---|---|
"""


def locked() -> dict[str, str]:
    """Every package that requirements.lock pins, with its version."""
    return dict(_PIN.findall(LOCK.read_text(encoding="utf-8")))


def licence(package: str) -> str | None:
    """In the package's own words, one line; None where it is not installed."""
    try:
        about = metadata(package)
    except PackageNotFoundError:
        return None
    classifiers = [line.rpartition(" :: ")[2] for line in about.get_all("Classifier", []) if line.startswith("License")]
    named = (about.get("License-Expression") or "").strip() or ", ".join(classifiers)
    return named or (about.get("License") or "").strip().partition("\n")[0][:60] or "not named in its metadata"


def page() -> str:
    found = [(name, number, licence(name)) for name, number in locked().items()]
    return _HEAD + "".join(f"| {name} | {number} | {said} |\n" for name, number, said in found if said)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8", newline="\n")
