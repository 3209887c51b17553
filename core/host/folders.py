"""Where Headroom keeps what it keeps, by each system's custom (platformdirs)."""

import os
import stat
from pathlib import Path


def data_directory() -> Path:
    """HEADROOM_DATA_DIR, else headroom under ~/.local/share (XDG_DATA_HOME), ~/Library/Application Support or
    %LOCALAPPDATA%. Raises OSError where platformdirs is not installed and nothing is named."""
    named = os.environ.get("HEADROOM_DATA_DIR")
    return Path(named) if named else _by_custom("user_data_path")


def cache_directory() -> Path:
    """What can be had again: HEADROOM_CACHE_DIR, else headroom under ~/.cache (XDG_CACHE_HOME), ~/Library/Caches, or
    Cache in %LOCALAPPDATA%'s. Raises OSError as data_directory does."""
    named = os.environ.get("HEADROOM_CACHE_DIR")
    return Path(named) if named else _by_custom("user_cache_path")


def is_ours_alone(path: Path) -> bool:
    """Whether this user owns it and nobody else may write it; False where the system does not say who owns a file.

    Raises OSError where it is not there.
    """
    if not hasattr(os, "getuid"):
        return False
    found = path.stat()
    return found.st_uid == os.getuid() and not found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def _by_custom(kind: str) -> Path:
    try:
        import platformdirs  # noqa: PLC0415  a bare GPU box has torch alone
    except ImportError as e:
        raise OSError("platformdirs is not installed, which knows where this system keeps data") from e
    found: Path = getattr(platformdirs, kind)("headroom", appauthor=False)
    return found
