"""A file that somebody asked for stays until the browser has fetched it.

Streamlit 1.67 makes a download when its button is pressed, answers with an address, and deletes what lies there when
any two runs of anybody's have ended since (MediaFileManager.remove_orphaned_files): on a server that a team shares, or
in a tab that still draws, the browser is now and then told 404 for the file that it was just given. Here the second
run starts a clock, and the file goes with the first run after KEEP_S.
"""

import functools
import time
from typing import Any

from streamlit.runtime.media_file_manager import MediaFileManager
from streamlit.runtime.media_file_storage import MediaFileKind

NAME = "_delete_file"
KEEP_S = 60.0  # from address to request is one way over the network and back; a gateway may be slow
UNUSED_SINCE = "unused_since"


def install() -> None:
    """Once for the process; a Streamlit without this name stays as it is."""
    found = getattr(MediaFileManager, NAME, None)
    if found is None or getattr(found, "lean", False):
        return

    @functools.wraps(found)
    def _delete_file(self: Any, file_id: str) -> None:
        if not _waited_for(self._file_metadata[file_id]):
            found(self, file_id)

    _delete_file.lean = True  # type: ignore[attr-defined]
    setattr(MediaFileManager, NAME, _delete_file)


def _waited_for(metadata: Any) -> bool:
    """Whether someone may still come for the file; asked again at the end of each run, until it may go."""
    if metadata.kind is not MediaFileKind.DOWNLOADABLE:
        return False
    if not hasattr(metadata, UNUSED_SINCE):  # a file that is made again has metadata of its own
        setattr(metadata, UNUSED_SINCE, time.monotonic())
    since: float = getattr(metadata, UNUSED_SINCE)
    return time.monotonic() - since < KEEP_S
