"""The link that an export is signed with: where the view is, what was asked, and which version said what.

A link carries the version and a digest of what the view said. Opened in the same version it shows the same; opened in
a newer one that says something else, the page tells whoever follows it. A server's own address goes into a link only
where HEADROOM_BASE_URL names it: 127.0.0.1 leads nobody anywhere.
"""

import os
import re
from collections.abc import Iterable, Mapping
from hashlib import blake2s
from urllib.parse import urlencode, urlsplit

from core.reports.pictures import plain
from core.version import VERSION

BASE = "HEADROOM_BASE_URL"
MADE = "made"  # the query parameter; no page has an input of that name
OF_THE_SCREEN = ("present", "screen", MADE)  # parameters that say how a view is looked at, not what it is
_MADE = re.compile(r"(\d[\w.]{0,20})-([0-9a-f]{8})")


def made_by(said: Iterable[str]) -> str:
    """'0.2.0-1f0c93ab': the version, and a digest of what the view says, its numbers included."""
    return f"{VERSION}-{blake2s(chr(10).join(map(plain, said)).encode(), digest_size=4).hexdigest()}"


def view_link(path: str, query: Mapping[str, str | list[str]], *, made: str = "") -> str:
    """The address that restores the view: HEADROOM_BASE_URL's, else its path and inputs alone."""
    kept = {key: value for key, value in query.items() if key not in OF_THE_SCREEN} | ({MADE: made} if made else {})
    base = os.environ.get(BASE, "").strip().rstrip("/")
    asked = urlencode(kept, doseq=True)
    return f"{base}/{path.strip('/')}{'?' if asked else ''}{asked}"


def path_of(url: str) -> str:
    """'/size' of 'http://127.0.0.1:8501/size?size_g=8'."""
    return urlsplit(url).path


def read_differently(made: str, now: str) -> str:
    """What to tell whoever opened a link: empty where it says the same today, or was never signed."""
    then, today = _MADE.fullmatch(made), _MADE.fullmatch(now)
    if then is None or today is None or then[1] == today[1] or then[2] == today[2]:
        return ""
    return (
        f"This link was made with Headroom {then[1]}. Headroom {today[1]} reads it differently: with the same inputs "
        "it says something else here than it said then. What stands below is today's answer."
    )
