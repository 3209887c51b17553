"""Pulling from the Hub with progress for each model; recorded facts stay where a pull fails."""

from collections.abc import Sequence

import streamlit as st

from core.figures.comparison import plain
from core.models.hub.pulls import PullRequest, PullResult
from pages.tools.models import pick

MAX_REMEMBERED = 150  # results of one visitor: the whole registry and some typed ids


def pull(names: Sequence[str]) -> None:
    """Pulls all of them together and remembers each result for this visitor."""
    from core.models.hub import client as model_hub  # noqa: PLC0415  the Hub's client loads with the first pull, not with the page

    requests = [_request(name) for name in names]
    with st.status(f"Asking the Hub for {len(requests)} config.json files", expanded=True) as status:
        bar = st.progress(0.0)
        failed = 0
        for done, result in enumerate(model_hub.pull_many(requests), start=1):
            _remember(result)
            failed += result.error is not None
            bar.progress(done / len(requests), text=f"{done} of {len(requests)}")
            st.markdown(_line(result))
        got = len(requests) - failed
        label = f"{got} of {len(requests)} pulled" + (
            f", {failed} failed: the reasons are below the table" if failed else ""
        )
        status.update(label=label, state="error" if got == 0 else "complete", expanded=False)


def _request(name: str) -> PullRequest:
    """A registered model by its name, or by its repository typed in: both know the mirror of a gated original."""
    known = pick.by_name()
    found = known.get(name) or next((model for model in known.values() if model.repository == name), None)
    if found is None:
        return PullRequest(key=name, repository=name)
    return PullRequest(key=name, repository=found.repository, mirror=found.mirror)


def _remember(result: PullResult) -> None:
    """For this visitor, and not without end."""
    kept = pick.pulled()
    kept[result.request.key] = result
    while len(kept) > MAX_REMEMBERED:
        del kept[next(iter(kept))]


def _line(result: PullResult) -> str:
    name = plain(result.request.key)
    if result.pulled is None:
        return f":material/error: **{name}** {plain(str(result.error), links=True)}"
    if result.pulled.stale_because is not None:
        kept = f"kept since {result.pulled.pulled_at:%Y-%m-%d %H:%M} UTC"
        return f":material/history: **{name}** {kept}: {plain(result.pulled.stale_because, links=True)}"
    origin = "unchanged, from the cache" if result.pulled.from_cache else "read"
    return f":material/check: **{name}** {plain(result.pulled.repository)} at {result.pulled.commit[:7]}, {origin}"
