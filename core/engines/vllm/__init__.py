"""vLLM 0.33.0: what its planner reserves for one request on one rank of H100s, and how many requests a memory holds.

Held against the planner itself, run without a GPU for one H100 (tests/data/engines/vllm_cases.json.gz). A server takes
GPU_MEMORY_UTILIZATION of the card and leaves the cache what weights, activations and graphs do not need; of the pool's
blocks NULL_BLOCKS is held back for padding, so the longest request has to fit beside it, though the printed concurrency
counts it in.

`plan` answers one job, `layout` compiles a model and its settings once for any number of them.
"""

from typing import Any

from core.engines.plan import EngineError, EnginePlan
from core.engines.vllm.explain import groups_of, notes_of
from core.engines.vllm.layout import Layout, layout_of
from core.engines.vllm.offload import offloaded
from core.engines.vllm.settings import MOST_BYTES, MOST_TOKENS, Settings, whole
from core.models.spec import ModelSpec

VERSION = "vLLM 0.33.0"
GPU_MEMORY_UTILIZATION = 0.92  # CacheConfig.gpu_memory_utilization
NULL_BLOCKS = 1  # BlockPool.null_block
SETTINGS = tuple(Settings.__dataclass_fields__)
KEYS = ("context_length", "available_bytes", "batch_size", "shared_prefix", *SETTINGS)
TYPE_OF_BITS = {16: "auto", 8: "fp8"}

__all__ = [
    "GPU_MEMORY_UTILIZATION",
    "KEYS",
    "NULL_BLOCKS",
    "VERSION",
    "Layout",
    "columns",
    "layout",
    "plan",
    "translated",
]


def translated(common: dict[str, Any]) -> dict[str, Any]:
    """The common job in vLLM's keys: 16 cache bits are its auto, 8 its fp8. Raises EngineError for others."""
    job = {key: value for key, value in common.items() if key != "cache_bits"}
    if "cache_bits" in common:
        bits = common["cache_bits"]
        if bits not in TYPE_OF_BITS:
            raise EngineError(
                f"cache_bits is {bits!r}: vLLM 0.33 has a cache of 16 bits (auto) or 8 (fp8). For others name its "
                "cache_type, such as nvfp4 or turboquant_4bit_nc."
            )
        job["cache_type"] = TYPE_OF_BITS[bits]
    return job


def layout(spec: ModelSpec, **settings: Any) -> Layout:
    """A model under settings (Settings), compiled once: request_bytes and sweep take ints and numpy arrays.

    Raises EngineError for an unknown setting and for what vLLM 0.33 refuses.
    """
    for key in settings:
        if key not in SETTINGS:
            raise EngineError(f"vllm has no setting {key!r}: it takes {', '.join(SETTINGS)}. Leave {key} out.")
    return layout_of(spec, Settings(**settings))


def columns(spec: ModelSpec, contexts: Any, batches: Any, available: Any, settings: dict[str, Any]) -> tuple[Any, Any]:
    """(bytes of each batch, whether it is served at once), for numpy columns of jobs under one setting."""
    prefix = settings.get("shared_prefix", 0)
    made = layout(spec, **{key: value for key, value in settings.items() if key != "shared_prefix"})
    served = made.fits(contexts, available) & made.holds(contexts, batches, available, prefix)
    shared = made.shared_blocks(contexts, prefix) * made.pool_block_bytes if prefix else 0
    return made.request_bytes(contexts) * batches - shared * (batches - 1), served


def plan(spec: ModelSpec, **job: Any) -> EnginePlan:
    """The plan of one job (KEYS): one request of context_length tokens on one rank, and what available_bytes holds.

    Where one request does not fit the memory, fits is False and there is no capacity. batch_size asks whether so many
    requests of full length fit at once; of shared_prefix tokens that all of them begin with, whole blocks are held once
    (max_concurrency stays the line that vLLM prints, which knows of no prefix). Raises EngineError.
    """
    for key in job:
        if key not in KEYS:
            raise EngineError(f"vllm has no setting {key!r}: it takes {', '.join(KEYS)}. Leave {key} out.")
    context = whole("context_length", job.get("context_length"), MOST_TOKENS)
    requests = whole("batch_size", job.get("batch_size", 1), MOST_TOKENS)
    prefix = whole("shared_prefix", job.get("shared_prefix", 0), MOST_TOKENS, least=0)
    memory = job.get("available_bytes")
    if memory is not None:
        whole("available_bytes", memory, MOST_BYTES, least=0)
    made = layout_of(spec, Settings(**{key: job[key] for key in SETTINGS if key in job}))
    blocks = made.request_blocks(context)
    request = blocks * made.pool_block_bytes
    fits = None if memory is None else request <= memory - NULL_BLOCKS * made.pool_block_bytes
    concurrency = made.pool_blocks(memory) / blocks if fits else None
    return EnginePlan(
        engine="vllm",
        version=VERSION,
        fits=fits if concurrency is None else bool(made.holds(context, requests, memory, prefix)),
        request_bytes=request,
        block_size=made.block_size,
        max_concurrency=concurrency,
        capacity_tokens=None if concurrency is None else int(concurrency * context),
        shared_bytes=made.shared_blocks(context, prefix) * made.pool_block_bytes if prefix else None,
        offloaded=offloaded(made, context),
        groups=groups_of(made, context),
        notes=notes_of(made, context, blocks, memory, concurrency, prefix),
    )
