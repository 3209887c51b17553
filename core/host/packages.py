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


LOOKS = 3


def _is_installed(name: str) -> bool:
    """Looked for again before it is called missing: Streamlit puts a script's folder into sys.path at the start of each
    run and takes it out at its end, and a look of another thread then steps over the folder that comes next."""
    try:
        return any(find_spec(name) is not None for _ in range(LOOKS))
    except (ImportError, ValueError):
        return False
