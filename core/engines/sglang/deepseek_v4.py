"""DeepSeek-V4 in SGLang: a window of latents in every layer, compressed latents beside it, and rings of half-made ones.

DSV4PoolConfigurator (pool_configurator.py) and the FlashMLA layout (kernels/ops/attention/dsv4/kv_layout.py) of 0.5.23
on an H100. A token costs a 1/4 or 1/128 row in the layers that compress by so much; 0.1 window tokens stand beside each
token, since the class sets that ratio where the job names none. The cache has 8 bits whatever its type is called.
"""

from core.engines.plan import EngineError
from core.engines.sglang.shapes import Compressed, Layout
from core.engines.sglang.sizes import Job, Rates, Sizes, aligned, draft_layers, element_bytes, page_of

ROW_BYTES = 584  # 448 values of 8 bits, 64 rotary values of 16 bits, 7 scales and one byte of padding
PAGE_UNIT = 576  # a page is padded to whole multiples of this
DEFAULT_REQUESTS = 256
RING = {4: 8, 128: 128}  # rows of a ring that waits for its 4 or 128 tokens
STATE_BYTES = 4  # float32


def row_bytes(tokens_a_page: int) -> float:
    """Bytes of one row, the padding of its page shared out."""
    return aligned(ROW_BYTES * tokens_a_page, PAGE_UNIT) / tokens_a_page


def window_bytes(shape: Compressed, page: int) -> float:
    """One window token in all layers, and the rings of the layers that compress by four, which follow its pages."""
    ring = RING[4] / page * (4 * (shape.nope_dim + shape.rope_dim) * STATE_BYTES + 4 * shape.index_dim * STATE_BYTES)
    return row_bytes(page) * shape.layers + (ring * shape.by_four if shape.by_four else 0)


def compressed_bytes(shape: Compressed, page: int) -> float:
    """One token in the layers that compress: a fourth of a row and of an index key, or a 128th of a row."""
    key = shape.index_dim + shape.index_dim // 128 * 4
    four = 1 / 4 * row_bytes(page // 4) + 1 / 4 * key
    return four * shape.by_four + 1 / 128 * row_bytes(page // 128) * shape.by_128


def ring_bytes(shape: Compressed, requests: int) -> int:
    """Rings of the layers that compress by 128: one a request, one spare, in whole 128 rows."""
    rows = aligned((requests + 1) * RING[128] + RING[128] + 1, 128)
    return rows * 2 * (shape.nope_dim + shape.rope_dim) * STATE_BYTES * shape.by_128


def compressed_rates(layout: Layout, job: Job) -> Rates:
    """What one token costs, before it is compressed. Raises EngineError for a job that SGLang refuses."""
    shape, page = _shape(layout), page_of(layout, job)
    draft_layers(layout, job)
    element_bytes(layout, job)
    ratio = layout.window_ratio if job.swa_full_tokens_ratio is None else job.swa_full_tokens_ratio
    return Rates(
        block_size=page,
        bytes_per_token=ratio * window_bytes(shape, page) + compressed_bytes(shape, page),
        full_bytes=int(compressed_bytes(shape, page)),
        window_bytes=int(window_bytes(shape, page)),
        window_ratio=ratio,
    )


def compressed_sizes(layout: Layout, job: Job, rates: Rates) -> Sizes:
    """Sizes of DeepSeek-V4's pools; tokens are those of the request."""
    if job.available_bytes is None:
        return Sizes(rates=rates)
    page = rates.block_size
    server = DEFAULT_REQUESTS if job.max_running_requests is None else job.max_running_requests
    requests = max(1, server // job.data_parallel)
    left = max(job.available_bytes - ring_bytes(_shape(layout), requests), 0)
    tokens = int(left / rates.bytes_per_token) // page * page
    window = int(tokens * rates.window_ratio) // page * page
    if tokens <= 0 or (layout.window or 0) + page >= window:
        return Sizes(rates=rates, stopped="the rings and windows leave no room for one request")
    named = "default" if job.max_running_requests is None else "max_running_requests"
    return Sizes(
        rates=rates,
        capacity_tokens=tokens,
        window_capacity_tokens=window,
        max_running_requests=min(requests, tokens // 2),
        limits=((named, requests), ("tokens", tokens // 2)),
    )


def _shape(layout: Layout) -> Compressed:
    if layout.compressed is None:
        raise EngineError(f"sglang: {layout.architecture} has no compress_ratios. Give the model's own config.json.")
    return layout.compressed
