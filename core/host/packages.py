"""Packages that only some of Headroom needs: what to install, in one line, before anything is started in vain."""

from importlib.util import find_spec


def missing(what: str, *packages: str) -> str:
    """'Measuring needs torch, ...' where one of the packages is not installed; empty where all are."""
    absent = [name for name in packages if not _is_installed(name)]
    if not absent:
        return ""
    are = "are" if len(absent) > 1 else "is"
    names = " and ".join(absent)
    return f"{what} needs {names}, which {are} not installed here: `pip install -r requirements.txt` brings it all."


def _is_installed(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except (ImportError, ValueError):
        return False
