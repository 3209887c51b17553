"""What ends every report and deck: what was asked where the page has no list of its own, and what it was made with."""

from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from platform import python_version

from core.reports.exports import Section
from core.version import VERSION

SAID = {"transformers": "class defaults and the cache check", "vl-convert-python": "pictures"}


def asked_section(path: str, query: Mapping[str, str | list[str]]) -> tuple[Section, ...]:
    """Every input that is not the page's default, by its name in the link; nothing where all are."""
    rows = tuple(
        (_words(path, key), ", ".join(value) if isinstance(value, list) else value)
        for key, value in query.items()
        if key != path  # a lesson's own key is the step on screen: the file has every step
    )
    if not rows:
        return ()
    text = "What differs from the page's defaults; everything else is as the page opens."
    return (Section(title="What was asked", text=text, table=(("Input", "Value"), rows)),)


def _words(path: str, key: str) -> str:
    """'layouts_g64' of /layouts -> 'g64'."""
    return key.removeprefix(f"{path}_").replace("_", " ")


def versions_section(*, link: str, written: str) -> Section:
    """Version, date and link: what makes the figures reproducible."""
    rows = [("Headroom", VERSION), ("Python", python_version())]
    for package, what in SAID.items():
        try:
            rows.append((f"{package} ({what})", version(package)))
        except PackageNotFoundError:  # an installation to look at has no transformers
            continue
    rows += [("Written", written), ("The view", link)]
    return Section(title="Versions and date", table=(("What", "Which"), tuple(rows)))
