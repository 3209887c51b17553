"""What a server does between the runs of its pages: it collects garbage, forgets who left, and gives memory back.

Streamlit collects all garbage after every run, on the script's thread and before the last of the run is sent
(runner.postScriptGC). That search walks through what every session holds: with fifty sessions it took four times the
processor time of the run itself. Here it is done every few seconds for all of them, where enough was made meanwhile.
And Streamlit keeps the session of a closed tab for two minutes, in case it comes back, but lets go of it when another
tab is closed and no sooner (streamlit/runtime/caching/ttl_cache.py of 1.67: what expired is removed by a write). Here
it goes when its time is over. It goes then although Streamlit's loop holds on to the session that it served last: the
variable of its for statement (Runtime._loop_coroutine) would keep it until somebody comes, and its few thousand objects
lie among those of all who were there with it, so that the interpreter could give none of that memory back.
"""

import asyncio
import gc
import logging
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from typing import Any

import streamlit as st
from streamlit.runtime import Runtime
from streamlit.runtime.session_manager import ActiveSessionInfo

from core.host.linux import give_memory_back, keep_few_arenas

LOG = logging.getLogger("headroom.tidy")
EVERY_SECONDS = 3.0
WORTH_IT = 20  # the interpreter's own young collections since the last look, each after 700 new objects


class Tidier:
    """Looks again and again; it remembers what it saw the last time."""

    def __init__(self) -> None:
        self._sessions = self._young = 0

    def look(self) -> bool:
        """Collects where sessions went or enough was made since the last look; whether it did."""
        sessions = sessions_kept()
        fewer, self._sessions = sessions < self._sessions, sessions
        if not fewer and _young_collections() - self._young < WORTH_IT:
            return False
        if fewer:
            _forget_looked_up_names()
            gc.unfreeze()  # what pages/shell/cached.py set aside while these sessions were there
        gc.collect()
        if fewer:
            gc.freeze()
            give_memory_back()
        self._young = _young_collections()
        return True


def _young_collections() -> int:
    return int(gc.get_stats()[0]["collections"])


def sessions_kept() -> int:
    """Open tabs, and closed ones that may still come back; those whose time is over are let go of by this."""
    if not Runtime.exists():
        return 0
    manager = Runtime.instance()._session_mgr
    cache = getattr(getattr(manager, "_session_storage", None), "_cache", None)
    if cache is None or not hasattr(cache, "expire"):  # another Streamlit, which lets go of them as it likes
        return int(manager.num_active_sessions())
    with getattr(manager, "_storage_lock", nullcontext()):
        gone = [info.session for _id, info in cache.expire()]
        kept = len(cache)
    if gone:
        _let_go(gone)
    del gone  # their ends run here, outside the lock
    return int(manager.num_active_sessions()) + kept


def _forget_looked_up_names() -> None:
    """The interpreter remembers its last 4,096 look-ups of attributes with the very string that each was asked by.

    Streamlit asks for enums by names that it makes anew (`getattr(Align, f"ALIGN_{align.upper()}")`): a string of 60
    bytes, of which nobody knows any more, keeps the whole MiB that it lies in from being given back.
    """
    before_3_13 = getattr(sys, "_clear_type_cache", None)
    forget = getattr(sys, "_clear_internal_caches", before_3_13)
    if forget is not None:
        forget()


def _let_go(sessions: list[Any]) -> None:
    """What served these sessions while they had a tab holds them no longer; nobody else is to hold them now."""
    gc.unfreeze()  # what is set aside is not looked through
    for holder in gc.get_referrers(*sessions):
        if isinstance(holder, ActiveSessionInfo):
            holder.session = holder.client = None  # type: ignore[assignment]


@asynccontextmanager
async def tidied() -> AsyncIterator[None]:
    """For as long as a server runs, on its own loop, where sessions end too."""
    st.config.set_option("runner.postScriptGC", False)
    keep_few_arenas()
    looking = asyncio.create_task(_look_for_ever(Tidier()))
    try:
        yield
    finally:
        looking.cancel()
        await asyncio.gather(looking, return_exceptions=True)


async def _look_for_ever(tidier: Tidier) -> None:
    while True:
        await asyncio.sleep(EVERY_SECONDS)
        try:
            tidier.look()
        except Exception:  # Streamlit's inside, or a session's end: the next look must come all the same
            LOG.exception("could not tidy up")
