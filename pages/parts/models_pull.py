"""Pulling from the Hub with progress for each model; recorded facts stay where a pull fails."""

from collections.abc import Sequence

import streamlit as st

from core import model_hub
from core.comparison import plain
from core.model_hub import PullRequest, PullResult
from pages.parts import models_pick


def pull(names: Sequence[str]) -> None:
    """Pulls all of them together and remembers each result for this visitor."""
    requests = [_request(name) for name in names]
    with st.status(f"Asking the Hub for {len(requests)} config.json files", expanded=True) as status:
        bar = st.progress(0.0)
        failed = 0
        for done, result in enumerate(model_hub.pull_many(requests), start=1):
            models_pick.pulled()[result.request.key] = result
            failed += result.error is not None
            bar.progress(done / len(requests), text=f"{done} of {len(requests)}")
            st.markdown(_line(result))
        got = len(requests) - failed
        label = f"{got} of {len(requests)} pulled" + (
            f", {failed} failed: the reasons are below the table" if failed else ""
        )
        status.update(label=label, state="error" if got == 0 else "complete", expanded=False)


def _request(name: str) -> PullRequest:
    known = models_pick.by_name().get(name)
    if known is None:
        return PullRequest(key=name, repository=name)
    return PullRequest(key=name, repository=known.repository, mirror=known.mirror)


def _line(result: PullResult) -> str:
    name = plain(result.request.key)
    if result.pulled is None:
        return f":material/error: **{name}** {plain(str(result.error), links=True)}"
    origin = "unchanged, from the cache" if result.pulled.from_cache else "read"
    return f":material/check: **{name}** {plain(result.pulled.repository)} at {result.pulled.commit[:7]}, {origin}"
