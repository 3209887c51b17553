"""SGLang's plan in the words of every engine: a checked job, the sizes, and the lines that explain them."""

import math
from collections.abc import Iterable, Mapping
from typing import Any

from core.engines.plan import CacheGroup, EngineError, EnginePlan, PlanNote
from core.engines.sglang import drafts
from core.engines.sglang.deepseek_v4 import compressed_rates, compressed_sizes
from core.engines.sglang.layout import layout_of
from core.engines.sglang.shapes import Layout
from core.engines.sglang.sizes import GIB, Job, Rates, Sizes, layout_at, pool_sizes, rates_of, window_tokens
from core.models.spec import ModelSpec

VERSION = "SGLang 0.5.23"
KEYS = (
    "available_bytes",
    "tensor_parallel",
    "pipeline_parallel",
    "data_parallel",
    "pipeline_stage",
    "draft_method",
    "draft",
    "speculative_tokens",
    "cache_type",
    "block_size",
    "prefix_caching",
    "max_running_requests",
    "swa_full_tokens_ratio",
    "mamba_full_memory_ratio",
)
REQUEST_KEYS = ("context_length", "batch_size")  # of a common job: how many requests of that length the pools hold
CACHE_TYPES = {16: "auto", 8: "fp8_e4m3"}
MOST_BYTES, MOST_COUNT = 2**60, 2**40  # no machine has more; keeps the floats of the arithmetic exact


def translated(common: Mapping[str, Any]) -> dict[str, Any]:
    """A common job in SGLang's keys: cache_bits 16 is auto, 8 is fp8_e4m3. Raises EngineError for other bits."""
    job = {key: value for key, value in common.items() if key != "cache_bits"}
    if "cache_bits" in common:
        bits = common["cache_bits"]
        if isinstance(bits, bool) or bits not in CACHE_TYPES:
            raise EngineError(
                f"sglang: cache_bits is {bits!r}; its caches have 16 or 8 bits here. Choose one of these."
            )
        job["cache_type"] = CACHE_TYPES[bits]
    return job


def plan(spec: ModelSpec, **job: Any) -> EnginePlan:
    """What SGLang allocates on one rank for its pools.

    Where the server would not start, a plan is returned with fits False. With context_length, max_concurrency says how
    many such requests the pools hold at once, and fits whether batch_size (1) of them do. Raises EngineError for a
    class that SGLang does not serve by code of its own, an unknown key, and a job that it refuses.
    """
    context, batch, asked = checked(job)
    layout = layout_at(layout_of(spec), asked)
    sizes = sizes_of(layout, asked)
    held = None if context is None else concurrency(layout, sizes, context)
    fits = None if asked.available_bytes is None else not sizes.stopped and (held is None or batch <= held)
    return EnginePlan(
        engine="sglang",
        version=VERSION,
        fits=fits,
        block_size=sizes.rates.block_size,
        capacity_tokens=sizes.capacity_tokens,
        max_concurrency=held,
        bytes_per_token=sizes.rates.bytes_per_token,
        window_capacity_tokens=sizes.window_capacity_tokens,
        state_slots=sizes.state_slots,
        slots_per_request=sizes.rates.slots_per_request,
        max_running_requests=sizes.max_running_requests,
        groups=groups_of(layout, sizes, context),
        notes=notes_of(layout, asked, sizes, context, held),
    )


def jobs_of(spec: ModelSpec, jobs: Iterable[Mapping[str, Any]]) -> list[Sizes]:
    """The sizes of many jobs of one model: its layout is compiled once, then each job is a few operations."""
    layout = layout_of(spec)
    kept: dict[tuple[Any, ...], Rates] = {}
    asked = [checked(job)[2] for job in jobs]
    return [sizes_of(layout_at(layout, one), one, kept) for one in asked]


def sizes_of(layout: Layout, job: Job, kept: dict[tuple[Any, ...], Rates] | None = None) -> Sizes:
    """Sizes of one rank's pools; too little memory is `stopped`. Raises EngineError for a job that SGLang refuses.

    kept holds what a token and a slot cost between jobs that differ in memory and requests alone.
    """
    kept = {} if kept is None else kept
    key = (
        (job.draft_method, id(job.draft), job.speculative_tokens),
        layout.layers,
        job.tensor_parallel,
        job.cache_type,
        job.block_size,
        job.prefix_caching,
        job.swa_full_tokens_ratio,
    )
    rates = kept.get(key)
    if rates is None:
        rates = kept[key] = (rates_of if layout.compressed is None else compressed_rates)(layout, job)
    return (pool_sizes if layout.compressed is None else compressed_sizes)(layout, job, rates)


def checked(job: Mapping[str, Any]) -> tuple[int | None, int, Job]:
    """(context_length, batch_size, the job in SGLang's keys). Raises EngineError for what cannot be."""
    for key in job:
        if key not in KEYS and key not in REQUEST_KEYS:
            raise EngineError(f"sglang has no setting {key!r}: it takes {', '.join(KEYS)}. Leave {key} out.")
    context, batch = _count(job, "context_length", None), _count(job, "batch_size", 1)
    own = {key: job[key] for key in KEYS if key in job}
    asked = Job(**own)
    _count(own, "available_bytes", None, minimum=0, most=MOST_BYTES)
    _count(own, "tensor_parallel", 1)
    _count(own, "pipeline_parallel", 1)
    _count(own, "data_parallel", 1)
    _count(own, "pipeline_stage", None, minimum=0)
    drafts.check(asked.draft_method, asked.draft, asked.speculative_tokens)
    _count(own, "block_size", None)
    _count(own, "max_running_requests", None)
    _share(own, "swa_full_tokens_ratio", 1.0)
    _share(own, "mamba_full_memory_ratio", None)
    for key in ("tensor_parallel", "data_parallel"):
        if own.get(key, 1) is None:
            raise EngineError(f"sglang: {key} is None: it has to be a number of ranks. Leave it out for 1.")
    if not isinstance(asked.prefix_caching, bool):
        raise EngineError(f"sglang: prefix_caching is {asked.prefix_caching!r}: it is True or False. Choose one.")
    if not isinstance(asked.cache_type, str):
        raise EngineError(f"sglang: cache_type is {asked.cache_type!r}: it is a name, such as auto. Name one.")
    return context, batch or 1, asked


def _count(
    job: Mapping[str, Any], key: str, default: int | None, minimum: int = 1, most: int = MOST_COUNT
) -> int | None:
    value = job.get(key, default)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not minimum <= value <= most:
        raise EngineError(
            f"sglang: {key} is {str(value)[:40]}: it has to be a whole number from {minimum} to {most:,}."
        )
    return value


def _share(job: Mapping[str, Any], key: str, most: float | None) -> None:
    value = job.get(key)
    if value is None:
        return
    usable = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value > 0
    if not usable or (most is not None and value > most) or value > MOST_COUNT:
        bound = "above 0" if most is None else f"above 0 and at most {most:g}"
        raise EngineError(f"sglang: {key} is {str(value)[:40]}: it has to be a number {bound}.")


def concurrency(layout: Layout, sizes: Sizes, context: int) -> float | None:
    """Requests of context tokens that are served at once: the least that tokens, windows, slots and the limit allow."""
    if sizes.stopped or sizes.capacity_tokens is None or sizes.max_running_requests is None:
        return 0.0 if sizes.stopped else None
    page = sizes.rates.block_size
    held = [sizes.max_running_requests]
    if sizes.rates.full_bytes:
        held.append(sizes.capacity_tokens // (-(-context // page) * page))
    if sizes.window_capacity_tokens is not None and layout.window is not None:
        most = window_tokens(page, layout.window, sizes.rates.draft_tokens)
        held.append(sizes.window_capacity_tokens // min(-(-context // page) * page, most))
    return float(min(held))


def groups_of(layout: Layout, sizes: Sizes, context: int | None) -> tuple[CacheGroup, ...]:
    """The pools: tokens, window tokens, states; with a context, the pages that one request of it takes."""
    page = sizes.rates.block_size
    pages = None if context is None else -(-context // page)
    window = None if layout.window is None else -(-window_tokens(page, layout.window, sizes.rates.draft_tokens) // page)
    groups = []
    if sizes.rates.full_bytes:
        kind = "all tokens" if layout.compressed is None else "compressed tokens"
        groups.append(
            CacheGroup(
                kind=kind,
                num_layers=layout.layers,
                block_size=page,
                page_bytes=sizes.rates.full_bytes * page,
                pages_per_request=pages,
            )
        )
    if sizes.rates.window_bytes:
        size = "" if layout.window is None else f" {layout.window:,}"
        groups.append(
            CacheGroup(
                kind=f"sliding window{size}",
                num_layers=layout.window_layers,
                block_size=page,
                page_bytes=sizes.rates.window_bytes * page,
                pages_per_request=pages if pages is None or window is None else min(pages, window),
            )
        )
    if layout.states is not None:
        groups.append(
            CacheGroup(
                kind="state",
                num_layers=layout.states.layers,
                page_bytes=sizes.rates.slot_bytes,
                pages_per_request=sizes.rates.slots_per_request,
                filled_bytes=sizes.rates.slot_bytes,  # the running state; the other slots are copies and room for them
            )
        )
    return tuple(groups)


def notes_of(layout: Layout, job: Job, sizes: Sizes, context: int | None, held: float | None) -> tuple[PlanNote, ...]:
    """The lines that explain the plan."""
    notes = [_token_note(layout, sizes)]
    if sizes.stopped:
        notes.append(
            PlanNote(
                name="does not start",
                formula="memory for keys, values and states",
                numbers=f"{(job.available_bytes or 0) / GIB:.2f} GiB",
                result=sizes.stopped,
                reason="SGLang stops at start and asks for a larger --mem-fraction-static.",
            )
        )
        return tuple(notes)
    if sizes.rates.window_bytes and sizes.window_capacity_tokens is not None:
        notes.append(_window_note(layout, job, sizes))
    if sizes.rates.draft_tokens:
        notes.append(_draft_note(layout, job, sizes))
    if sizes.state_slots is not None:
        notes.append(_state_note(layout, job, sizes))
    if sizes.max_running_requests is not None:
        notes.append(_request_note(job, sizes))
    if held is not None and context is not None:
        notes.append(
            PlanNote(
                name="concurrency",
                formula="least of tokens / context, window tokens / window, slots / slots per request, most requests",
                numbers=f"{context:,} tokens a request",
                result=f"{held:,.0f} requests",
                reason=f"The server allows {layout.context_length:,} tokens a request by default."
                if context > layout.context_length
                else "",
            )
        )
    return tuple(notes)


def _token_note(layout: Layout, sizes: Sizes) -> PlanNote:
    if not sizes.rates.bytes_per_token:
        return PlanNote(
            name="tokens",
            formula="no layer keeps keys and values",
            numbers="0 bytes a token",
            result=f"{layout.context_length:,} tokens, the context",
        )
    heads = "latent" if layout.row.heads is None else "max(1, KV heads / ranks) x (key + value width)"
    share = " + ratio x window layers" if sizes.rates.window_bytes and not sizes.capped_window else ""
    return PlanNote(
        name="tokens",
        formula=f"layers x {heads} x bytes{share}",
        numbers=f"{layout.layers} layers, {sizes.rates.full_bytes:,} bytes a token, pages of {sizes.rates.block_size}",
        result=f"{sizes.rates.bytes_per_token:,.1f} bytes a token"
        + ("" if sizes.capacity_tokens is None else f", {sizes.capacity_tokens:,} tokens"),
        reason=""
        if layout.window_layers
        else "SGLang keeps every token in every attention layer of this class: no window is cut.",
    )


def _draft_note(layout: Layout, job: Job, sizes: Sizes) -> PlanNote:
    layers, tokens = sizes.rates.draft_layers, sizes.rates.draft_tokens
    states = f"; {tokens} states more for each request that runs" if layout.states else ""
    return PlanNote(
        name="draft",
        formula="layers of the draft, each as wide as one of the model's",
        numbers=f"{job.draft_method}, {job.speculative_tokens} tokens drafted a step",
        result=f"{layers} layer{'' if layers == 1 else 's'} more in the cost of a token{states}",
        reason=f"SGLang reckons a draft so whatever its heads are, and runs {drafts.REQUESTS} requests at most unless "
        "--max-running-requests says otherwise."
        if layers
        else "SGLang reckons no layer for this draft: its cache takes what the server leaves free.",
    )


def _window_note(layout: Layout, job: Job, sizes: Sizes) -> PlanNote:
    ratio = layout.window_ratio if job.swa_full_tokens_ratio is None else job.swa_full_tokens_ratio
    by_requests = sizes.capped_window
    return PlanNote(
        name="window pool",
        formula="requests x (window + 128 + 2 pages) + chunks in flight"
        if by_requests
        else "tokens x swa_full_tokens_ratio",
        numbers=f"window {layout.window or 0:,}" if by_requests else f"{sizes.capacity_tokens:,} x {ratio:g}",
        result=f"{sizes.window_capacity_tokens:,} window tokens of {sizes.rates.window_bytes:,} bytes",
        reason=""
        if by_requests
        else "A fixed share of the tokens whatever the window: --swa-full-tokens-ratio moves memory between the pools.",
    )


def _state_note(layout: Layout, job: Job, sizes: Sizes) -> PlanNote:
    ratio = layout.state_ratio if job.mamba_full_memory_ratio is None else job.mamba_full_memory_ratio
    named = sizes.rates.slots_per_request == 1 and job.max_running_requests is not None
    return PlanNote(
        name="states",
        formula="one slot a request" if named else "memory x ratio / (1 + ratio) / slot, less one",
        numbers=f"slots of {sizes.rates.slot_bytes:,} bytes" + ("" if named else f", ratio {ratio:g}"),
        result=f"{sizes.state_slots:,} slots, {sizes.rates.slots_per_request} a request",
        reason=""
        if sizes.rates.slots_per_request == 1
        else "Prefix caching keeps copies of a state: without it a request takes one slot.",
    )


KNOBS = {
    "state slots": "raise --mamba-full-memory-ratio, or switch prefix caching off",
    "tokens": "give it more memory or an 8-bit cache",
    "estimate": "name --max-running-requests",
    "max_running_requests": "raise --max-running-requests",
    "default": "name --max-running-requests",
}


def _over_ranks(job: Job) -> str:
    """What a rank's limit is of; empty where a server is one rank of attention."""
    return f", the server's over {job.data_parallel} ranks" if job.data_parallel > 1 else ""


def _request_note(job: Job, sizes: Sizes) -> PlanNote:
    name, _ = min(sizes.limits, key=lambda limit: limit[1])
    over = {limit: _over_ranks(job) for limit in ("max_running_requests", "default")}
    return PlanNote(
        name="requests",
        formula="least of " + ", ".join(limit for limit, _ in sizes.limits),
        numbers=", ".join(f"{limit} {value:,}{over.get(limit, '')}" for limit, value in sizes.limits),
        result=f"{sizes.max_running_requests:,} at once, by {name}{over.get(name, '')}",
        reason=f"To move it: {KNOBS[name]}.",
    )
