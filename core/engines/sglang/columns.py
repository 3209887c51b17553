"""Many jobs of one model in SGLang's pools at once, equal to plan row by row.

What a token costs is worked out once, what a request takes of the pools is arithmetic on columns; the pools themselves
are sized once for each distinct memory, since memory passes through floats of GiB there.
"""

from dataclasses import replace
from typing import Any

import numpy as np

from core.engines.arrays import ceiling, smaller
from core.engines.sglang.layout import layout_of
from core.engines.sglang.plan import checked, sizes_of
from core.engines.sglang.shapes import Layout
from core.engines.sglang.sizes import Job, Rates, Sizes, layout_at, window_tokens
from core.models.spec import ModelSpec


def columns(spec: ModelSpec, contexts: Any, batches: Any, available: Any, settings: dict[str, Any]) -> tuple[Any, Any]:
    """(bytes of the pools that each batch takes, whether it is served at once), for numpy columns of jobs."""
    job: Job = checked(settings)[2]
    layout = layout_at(layout_of(spec), job)
    kept: dict[tuple[Any, ...], Rates] = {}
    rates = sizes_of(layout, job, kept).rates
    amounts, places = np.unique(available, return_inverse=True)
    found = [sizes_of(layout, replace(job, available_bytes=amount), kept) for amount in amounts.tolist()]
    served = _served(layout, rates, found, places, contexts)
    return _request_bytes(layout, rates, contexts) * batches, served >= batches


def _request_bytes(layout: Layout, rates: Rates, contexts: Any) -> Any:
    """Pages and slots that one request takes (plan.groups_of)."""
    page = rates.block_size
    pages = ceiling(contexts, page)
    total = pages * (rates.full_bytes * page)
    if rates.window_bytes:
        window = (
            pages
            if layout.window is None
            else smaller(pages, ceiling(window_tokens(page, layout.window, rates.draft_tokens), page))
        )
        total = total + window * (rates.window_bytes * page)
    slots = rates.slot_bytes * (rates.slots_per_request or 0) if layout.states is not None else 0
    return total + slots


def _served(layout: Layout, rates: Rates, found: list[Sizes], places: Any, contexts: Any) -> Any:
    """Requests at once (plan.concurrency); 0 where the server would not start."""

    def column(values: list[int | None]) -> Any:
        return np.array([value or 0 for value in values], dtype=np.int64)[places]

    page = rates.block_size
    whole = ceiling(contexts, page) * page
    served = column([0 if sizes.stopped else sizes.max_running_requests for sizes in found])
    if rates.full_bytes:
        served = smaller(served, column([sizes.capacity_tokens for sizes in found]) // whole)
    if layout.window is not None and any(sizes.window_capacity_tokens is not None for sizes in found):
        windows = column([sizes.window_capacity_tokens for sizes in found])
        served = smaller(served, windows // smaller(whole, window_tokens(page, layout.window, rates.draft_tokens)))
    return served
