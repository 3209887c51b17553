"""Headroom's server: what `streamlit run dashboard.py` starts.

The dashboard itself is pages/frame.py. Wrapping it in st.App, rather than running it directly, keeps Streamlit's
legacy pages/ discovery from answering the first deep link after a start with a page that has no frame around it,
and gives one place for response headers and for ending measurements when the server stops.
"""

import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import streamlit as st
from starlette.middleware import Middleware

ROOT = Path(__file__).parent
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))
# Streamlit puts the folder of pages/frame.py in front at the start of each run and takes it out at its end, unless it
# is there. What another thread imports just then is not found, and a package that was half imported stays broken.
if os.path.abspath(ROOT / "pages") not in sys.path:
    sys.path.append(os.path.abspath(ROOT / "pages"))

from core.models.hub import gate  # noqa: E402  found by the line above
from pages.server import between_runs, entry, health, logs  # noqa: E402
from pages.server.headers import ResponseHeaders  # noqa: E402
from pages.server.page_html import OursInThePage  # noqa: E402
from pages.server.view_after_sign_in import OpenWhatWasWanted  # noqa: E402
from pages.shell import one_lock, picture_height, whole_callbacks  # noqa: E402


@asynccontextmanager
async def lifespan(_app: st.App) -> AsyncIterator[None]:
    """Sweeps that the last server left under way go on; on the way out, every measurement still running is ended."""
    if os.environ.get("RAY_ADDRESS"):
        from core.cluster import follow  # noqa: PLC0415  loads only where a cluster is named

        follow.go_on_after_a_restart()
    async with between_runs.tidied():
        yield
    for name in ("core.decode.worker", "core.uptraining.runs"):
        runs = sys.modules.get(name)  # never imported: then nothing was ever started
        if runs is not None:
            runs.stop_all()


def let_in() -> entry.Entry:
    """Who may enter, as the server was set up; ends the start with a sentence where that names nobody."""
    try:
        set_up = entry.entry_as_set_up()
        entry.check_start(set_up, st.config.get_option("server.address"))
    except entry.EntryError as error:
        sys.exit(str(error))
    if set_up.open_to_others:  # a traceback shows paths and values: on a shared server it goes to the log alone
        st.config.set_option("client.showErrorDetails", "none")
    gate.set_shut(not set_up.reads_with_the_token)
    return set_up


logs.begin()
one_lock.install()  # before the first session has its first run
whole_callbacks.install()
who_enters = let_in()
app = st.App(
    "pages/frame.py",
    lifespan=lifespan,
    routes=health.ROUTES,
    middleware=[
        Middleware(logs.RequestLog),
        Middleware(ResponseHeaders),
        Middleware(entry.LocalOnly, entry=who_enters),
        Middleware(OpenWhatWasWanted, sign_in=who_enters.sign_in),
        Middleware(OursInThePage, more_style=picture_height.style_sheet()),
    ],
)
