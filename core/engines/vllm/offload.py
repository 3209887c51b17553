"""What vLLM's own offload to the host keeps of a request: whole blocks of the pool, by group.

States distributed/kv_transfer/kv_connector/v1/offloading/config.py and v1/kv_offload/cpu/spec.py of vLLM 0.33.0
(--kv-offloading-size, the native backend). A chunk holds one block of one group and is as large as a block of the pool,
all ranks side by side, rounded up to memory pages; where all ranks keep the same latents, one copy for all. Of layers
that keep every token all whole blocks are kept, of a window those that reach back so far, of states the last one.
"""

from core.engines.arrays import ceiling
from core.engines.plan import OffloadedRequest
from core.engines.vllm.caches import WINDOW_KINDS, Kind, LayerCache
from core.engines.vllm.layout import Layout

MEMORY_PAGE_BYTES = 4096  # mmap.PAGESIZE on x86; SharedOffloadRegion.BLOCK_SIZE_ALIGNMENT
LATENTS = (Kind.LATENT, Kind.LATENT_WINDOW)


def offloaded(layout: Layout, context: int) -> OffloadedRequest | None:
    """None where vLLM keeps nothing outside: states without prefix caching."""
    kinds = {group.layers[0][0].kind for group in layout.groups}
    if Kind.STATE in kinds and not layout.caches_prefixes:
        return None
    settings = layout.settings
    kept = [(group, number, _chunks(group.layers[0][0], context, layout.lookahead)) for group, number in layout.runs]
    alone = settings.pipeline_parallel == settings.decode_context_parallel == 1
    return OffloadedRequest(
        chunks=sum(number * chunks for _, number, chunks in kept),
        chunk_bytes=layout.pool_block_bytes,
        moved_bytes=sum(number * chunks * group.page_bytes for group, number, chunks in kept),
        same_on_every_rank=settings.tensor_parallel > 1 and alone and all(kind in LATENTS for kind in kinds),
    )


def _chunks(cache: LayerCache, context: int, lookahead: int) -> int:
    """Whole blocks of the context, or as many as attention reaches back."""
    if not cache.block_size or cache.kind is Kind.RING:  # a ring is no part of any prefix
        return 0
    tokens = cache.block_size * cache.context_ranks
    whole = context // tokens
    if cache.kind is Kind.STATE:
        return min(whole, 1)
    if cache.kind is Kind.CHUNK:
        return min(whole, int(ceiling(cache.window, tokens)))
    if cache.kind in WINDOW_KINDS:
        reach = max(cache.window, cache.window - 1 + max(lookahead - 1, 0))
        return min(whole, int(ceiling(reach, tokens)))
    return whole


def chunk_bytes(request: OffloadedRequest, ranks: int) -> int:
    """Bytes of one chunk over all ranks of a copy."""
    copies = 1 if request.same_on_every_rank else ranks
    return int(ceiling(request.chunk_bytes * copies, MEMORY_PAGE_BYTES)) * MEMORY_PAGE_BYTES
