"""Where Headroom keeps what it keeps, by each system's custom (platformdirs)."""

import os
from pathlib import Path


def data_directory() -> Path:
    """HEADROOM_DATA_DIR, else headroom under ~/.local/share (XDG_DATA_HOME), ~/Library/Application Support or
    %LOCALAPPDATA%. Raises OSError where platformdirs is not installed and nothing is named."""
    named = os.environ.get("HEADROOM_DATA_DIR")
    if named:
        return Path(named)
    try:
        from platformdirs import user_data_path  # noqa: PLC0415  a bare GPU box has torch alone
    except ImportError as e:
        raise OSError("platformdirs is not installed, which knows where this system keeps data") from e
    return user_data_path("headroom", appauthor=False)
