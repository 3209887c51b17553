"""One job on a layout: tokens, window tokens, state slots and requests, by plain arithmetic.

In the order of KVCacheConfigurator (sglang/srt/mem_cache/kv_cache_configurator.py of 0.5.23): states first, then the
pools of tokens from what is left, then the most requests at once. Memory passes through floats of GiB there and here.
"""

from dataclasses import dataclass, replace

from core.engines.plan import EngineError
from core.engines.sglang.drafts import REQUESTS, layers_of
from core.engines.sglang.shapes import Layout, Row
from core.engines.stage_layers import stage_layers
from core.models.spec import ModelSpec

GIB = 2**30
CHUNKED_PREFILL = 8192  # tokens of a prefill chunk on an H100
EVICTION_INTERVAL = 128  # SGLANG_SWA_EVICTION_INTERVAL: tokens by which a window may run over before it is cut
CHUNKS_IN_FLIGHT = 2  # prefill chunks that the overlapped scheduler holds at once
SNAPSHOT_INTERVAL = 256  # mamba_track_interval
FEWEST, MOST = 2048, 4096  # between these the server's own estimate of the most requests stays


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """What decides a size; None leaves it to the class or to SGLang."""

    available_bytes: int | None = None
    tensor_parallel: int = 1
    pipeline_parallel: int = 1
    data_parallel: int = 1  # ranks of data-parallel attention (attn_dp_size), which share out the requests
    pipeline_stage: int | None = None  # counted from 0; None: the one with the most layers
    draft_method: str | None = None
    draft: ModelSpec | None = None
    speculative_tokens: int = 0
    cache_type: str = "auto"
    block_size: int | None = None
    prefix_caching: bool = True
    max_running_requests: int | None = None
    swa_full_tokens_ratio: float | None = None
    mamba_full_memory_ratio: float | None = None

    @property
    def requests(self) -> int | None:
        """max_running_requests of one rank, which a draft sets where the job names none."""
        drafted = REQUESTS if self.draft_method is not None else None
        return self.share_of(drafted if self.max_running_requests is None else self.max_running_requests)

    def share_of(self, requests: int | None) -> int | None:
        """Of the server's most requests, those of one rank of data-parallel attention; what the server estimates where
        nobody says a number is a rank's already."""
        return None if requests is None else max(1, requests // self.data_parallel)

    @property
    def draft_tokens(self) -> int:
        """--speculative-num-draft-tokens: those drafted and the one behind them; 0 without a draft."""
        return self.speculative_tokens + 1 if self.draft_method is not None else 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Rates:
    """What one token and one slot cost a rank: the same for every amount of memory."""

    block_size: int
    bytes_per_token: float
    full_bytes: int  # of one token in the pool of all tokens
    window_bytes: int = 0  # of one token in the window pool
    window_ratio: float = 0.8
    slot_bytes: int = 0
    slots_per_request: int | None = None
    draft_layers: int = 0
    draft_tokens: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Sizes:
    """What the server would allocate on one rank; `stopped` says why it would not start."""

    rates: Rates
    state_slots: int | None = None
    capacity_tokens: int | None = None
    window_capacity_tokens: int | None = None
    max_running_requests: int | None = None
    stopped: str = ""
    capped_window: bool = False  # the window pool is sized by requests, not by the ratio
    limits: tuple[tuple[str, int], ...] = ()  # what bounds the requests, by name


def pool_sizes(layout: Layout, job: Job, rates: Rates) -> Sizes:
    """Sizes of every model's pools but DeepSeek-V4's; too little memory is `stopped`."""
    if job.available_bytes is None:
        return Sizes(rates=rates)
    slots, left = _states(layout, job, rates, job.available_bytes)
    if slots is not None and slots <= 0:
        return Sizes(rates=rates, stopped="no state slot fits the states' share of the memory")
    tokens, window = _tokens(layout, job, rates, left)
    if tokens <= 0:
        return Sizes(rates=rates, state_slots=slots, stopped="not one page of tokens fits the memory")
    capped = rates.window_bytes > 0 and _capped(layout, job)
    by_ratio = window is not None and layout.layers > 0 and not capped
    if by_ratio and layout.window is not None and layout.window + rates.block_size >= (window or 0):
        return Sizes(rates=rates, stopped=f"{window:,} window tokens cannot hold one request's window and page")
    limits = _limits(layout, job, rates, tokens, slots)
    most = min(limit for _, limit in limits)
    return Sizes(
        rates=rates,
        state_slots=slots,
        capacity_tokens=tokens,
        window_capacity_tokens=window,
        max_running_requests=most,
        capped_window=capped,
        limits=limits,
        stopped="" if most > 0 else "it leaves no room for one request",
    )


def layout_at(layout: Layout, job: Job) -> Layout:
    """One stage of a pipeline, the last where none is named.

    Raises EngineError for layers that are not all alike, whose stages are not stated here.
    """
    stages = job.pipeline_parallel
    if stages == 1:
        return layout
    apart = layout.states or layout.window_layers or layout.index_bytes or layout.index_elements
    if apart or layout.compressed or stages > layout.layers:
        raise EngineError(
            f"sglang: pipeline_parallel is {stages}: the stages of {layout.architecture}, with {layout.layers} layers "
            "in its pool of all tokens, are stated here for layers that are all alike and one a stage. Leave it at 1."
        )
    stage = stages - 1 if job.pipeline_stage is None else min(job.pipeline_stage, stages - 1)
    first, after = stage_layers(layout.layers, stages, last_takes_more=True)[stage]
    return replace(layout, layers=after - first)


def page_of(layout: Layout, job: Job) -> int:
    """Tokens of a page. Raises EngineError for one that the states of a hybrid do not allow."""
    page = layout.page if layout.fixed_page or job.block_size is None else job.block_size
    if layout.pages and page not in layout.pages:
        page = 64
    if layout.states is None or not job.prefix_caching or not layout.prefix_caching or job.block_size is None:
        return page
    if layout.single_page and page > 1:
        raise EngineError(
            f"sglang: block_size is {page}: {layout.architecture} keeps its states in the prefix cache with pages of "
            "one token alone. Leave block_size out, or set prefix_caching False."
        )
    if layout.state_chunk is not None:
        larger, smaller = max(page, layout.state_chunk), min(page, layout.state_chunk)
        if SNAPSHOT_INTERVAL % page or larger % smaller:
            raise EngineError(
                f"sglang: block_size is {page}: with prefix caching it has to divide {SNAPSHOT_INTERVAL} and fit the "
                f"state's chunk of {layout.state_chunk}. Choose 1, 16, 32 or 64, or set prefix_caching False."
            )
    return page


def element_bytes(layout: Layout, job: Job) -> int:
    """Bytes of a key or value element: SGLang serves float32 files in 16 bits. Raises EngineError for another type."""
    if job.cache_type not in layout.cache_types:
        raise EngineError(
            f"sglang: cache_type is {job.cache_type!r}; for {layout.architecture} these rules know "
            f"{', '.join(layout.cache_types)}. Choose one of these."
        )
    return 1 if job.cache_type.startswith("fp8") else 2


def rates_of(layout: Layout, job: Job) -> Rates:
    """Bytes of a token in either pool and of a slot. Raises EngineError for a job that SGLang refuses."""
    width, ranks = element_bytes(layout, job), job.tensor_parallel
    one = layout.row.row_bytes(ranks, width, job.cache_type)
    full = layout.layers * one + layout.index_elements * (1 if job.cache_type == "fp8_e4m3" else 2)
    row: Row | None = layout.window_row
    window = layout.window_layers * row.row_bytes(ranks, width, job.cache_type) if row else 0
    drafted = draft_layers(layout, job)
    if drafted and window and layout.window_row is not None:
        slide = min(layout.window_layers, drafted) if job.draft_method == "mtp" else 0
        full += (drafted - slide) * one
        window += slide * layout.window_row.row_bytes(ranks, width, job.cache_type)
    elif drafted and layout.layers:
        full += int(full * drafted / layout.layers) + drafted * layout.index_bytes_of_a_layer
    full += layout.index_bytes
    ratio = layout.window_ratio if job.swa_full_tokens_ratio is None else job.swa_full_tokens_ratio
    slots = layout.slots_per_request if job.prefix_caching and layout.prefix_caching else 1
    return Rates(
        block_size=page_of(layout, job),
        bytes_per_token=full + ratio * window if window and layout.layers else window or full,
        full_bytes=full,
        window_bytes=window,
        window_ratio=ratio,
        slot_bytes=layout.states.slot_bytes(ranks) if layout.states else 0,
        slots_per_request=slots if layout.states else None,
        draft_layers=drafted,
        draft_tokens=job.draft_tokens,
    )


def draft_layers(layout: Layout, job: Job) -> int:
    """Layers of the draft that the pools are reckoned with. Raises EngineError for a draft not stated here."""
    if job.draft_method is None:
        return 0
    if layout.compressed is not None or (job.pipeline_parallel > 1):
        raise EngineError(f"sglang: a draft beside {layout.architecture} is not stated here, nor one in a pipeline.")
    if job.draft is not None:
        return layers_of(job.draft)
    if layout.mtp_layers is None:
        raise EngineError(
            f"sglang: draft_method is 'mtp': what SGLang 0.5.23 keeps for it beside {layout.architecture} is not "
            "stated here, or it has none. Name another draft."
        )
    return layout.mtp_layers


def _states(layout: Layout, job: Job, rates: Rates, available: int) -> tuple[int | None, int]:
    """State slots and the bytes that are left (_handle_max_mamba_cache).

    Memory x ratio / (1 + ratio), in whole slots, less one slot of padding; without prefix caching and with
    max_running_requests named, one slot a request whatever that takes. A draft keeps a state for each token that it
    drafts, for the requests that run at once and one of padding.
    """
    if layout.states is None:
        return None, available
    rest, slot, copies = available / GIB, rates.slot_bytes, job.draft_tokens
    each, requests = rates.slots_per_request or 1, job.requests
    if each == 1 and requests is not None:
        slots = requests
        rest -= slot * (slots + 1) * copies / GIB
    else:
        ratio = layout.state_ratio if job.mamba_full_memory_ratio is None else job.mamba_full_memory_ratio
        share = rest * ratio / (1 + ratio) * GIB
        slots = int((share - slot * (1 + copies)) // (slot * (1 + copies / each))) if slot else 0
        if copies and requests is not None:
            rest -= slot * (min(requests, slots // each) + 1) * copies / GIB
    return slots, int((rest - (slots + 1) * slot / GIB) * GIB)


def _tokens(layout: Layout, job: Job, rates: Rates, left: int) -> tuple[int, int | None]:
    """Tokens and window tokens: DefaultPoolConfigurator, HybridSWAPoolConfigurator, SWARequestCapPoolConfigurator."""
    page = rates.block_size
    if not rates.window_bytes:
        tokens = max(left, 0) // rates.full_bytes if rates.full_bytes else layout.context_length
        return tokens // page * page, None
    if _capped(layout, job) and layout.window is not None and job.requests is not None:
        window = aligned(request_cap(page, layout.window, job.requests, job), page)
        return (left - window * rates.window_bytes) // rates.full_bytes // page * page, window
    tokens = int(max(left, 0) // rates.bytes_per_token) // page * page
    return tokens, int(tokens * rates.window_ratio) // page * page if layout.layers else tokens


def _capped(layout: Layout, job: Job) -> bool:
    named = job.requests is not None and layout.window is not None and layout.layers > 0
    return named and layout.chunked_prefill and not (job.prefix_caching and layout.prefix_caching)


def window_tokens(page: int, window: int, draft_tokens: int = 0) -> int:
    """Window tokens that one decoding request may hold: window, what is not yet cut, and a page at either end; with a
    draft as much more as it drafts at once, twice."""
    if not draft_tokens:
        return window + EVICTION_INTERVAL + page + page
    return window + EVICTION_INTERVAL * draft_tokens + page + 2 * draft_tokens


def request_cap(page: int, window: int, requests: int, job: Job) -> int:
    """compute_swa_request_cap: every request's window tokens, the prefill chunks in flight and one page; ranks of
    data-parallel attention share a chunk out."""
    chunk = CHUNKED_PREFILL // job.data_parallel
    return window_tokens(page, window, job.draft_tokens) * requests + CHUNKS_IN_FLIGHT * chunk + page


def aligned(tokens: int, page: int) -> int:
    """tokens rounded up to whole pages."""
    return -(-tokens // page) * page


def _limits(layout: Layout, job: Job, rates: Rates, tokens: int, slots: int | None) -> tuple[tuple[str, int], ...]:
    """resolve_max_num_reqs: named or estimated, at most half the tokens, at most the slots that states have."""
    named = requests_named(layout.context_length, tokens, job.requests)
    if slots is None:
        return named, ("tokens", tokens // 2)
    return named, ("tokens", tokens // 2), ("state slots", slots // (rates.slots_per_request or 1))


def requests_named(context_length: int, tokens: int, named: int | None) -> tuple[str, int]:
    """The job's own number, or 512 requests for each full context in the pool, from 2,048 to 4,096."""
    if named is not None:
        return "max_running_requests", named
    return "estimate", max(min(int(tokens / context_length * 512), MOST), FEWEST)
