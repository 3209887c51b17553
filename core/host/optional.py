"""psutil, loaded when it is first asked for: no page waits for it to open, and a bare GPU box goes on without it."""

from functools import cache
from typing import Any


@cache
def psutil() -> Any:
    """The module, or None where it is not installed: a measurement from a terminal needs torch alone."""
    try:
        import psutil as module  # noqa: PLC0415  a page asks for it late
    except ImportError:
        return None
    return module
