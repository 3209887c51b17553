"""One cache, three honest numbers: what attention needs, what a server reserves, what transformers stores.

Payload is the least that the attention pattern needs. A serving engine reserves more, and transformers' own cache
classes store something else again; each definition says by how much and why. All counts are for whole batches, over
all layers; recurrent state is counted apart (`ModelSpec.state_bytes`).
"""

from collections.abc import Callable
from dataclasses import dataclass

from core.models.attention import GroupedAttention, LatentAttention, Layer, ParallelLayer
from core.models.spec import ModelSpec

BLOCK_SIZE = 16  # tokens; vLLM's default on CUDA devices


@dataclass(frozen=True, kw_only=True)
class CacheDefinition:
    """One way of counting the same cache."""

    name: str
    total_bytes: int  # all layers, the whole batch, all tensor-parallel ranks together
    reason: str  # why it is not the payload, or that it is


def payload(spec: ModelSpec, *, context_length: int, batch_size: int = 1, bytes_per_element: float = 2) -> int:
    """Bytes of min(context, window) tokens of distinct heads, or of the latent: `ModelSpec.kv_cache_bytes`."""
    return spec.kv_cache_bytes(
        context_length=context_length, batch_size=batch_size, bytes_per_element=bytes_per_element
    )


def definitions(
    spec: ModelSpec,
    *,
    context_length: int,
    batch_size: int = 1,
    bytes_per_element: float = 2,
    block_size: int = BLOCK_SIZE,
    tensor_parallel: int = 1,
) -> tuple[CacheDefinition, ...]:
    """Payload, engine-reserved and transformers-stored, each with its reason. Raises ValueError for a split of the
    heads that no engine makes."""
    needed = payload(spec, context_length=context_length, batch_size=batch_size, bytes_per_element=bytes_per_element)
    return (
        CacheDefinition(
            name="payload",
            total_bytes=needed,
            reason="What the attention pattern needs: distinct KV heads, the latent for MLA, no token beyond a window.",
        ),
        engine_reserved(
            spec,
            context_length=context_length,
            batch_size=batch_size,
            bytes_per_element=bytes_per_element,
            block_size=block_size,
            tensor_parallel=tensor_parallel,
        ),
        transformers_stored(
            spec, context_length=context_length, batch_size=batch_size, bytes_per_element=bytes_per_element
        ),
    )


def engine_reserved(
    spec: ModelSpec,
    *,
    context_length: int,
    batch_size: int = 1,
    bytes_per_element: float = 2,
    block_size: int = BLOCK_SIZE,
    tensor_parallel: int = 1,
) -> CacheDefinition:
    """Bytes of the blocks that a paged engine such as vLLM holds, summed over the tensor-parallel ranks.

    Whole blocks of block_size tokens per sequence and layer; a window that starts inside a block touches one block
    more. Each rank holds at least one KV head, and MLA's latent, which has no heads to split, is whole on every rank.
    """
    _check_split(spec, tensor_parallel)

    def elements(layer: Layer) -> int:
        tokens = _reserved_tokens(layer, context_length, block_size)
        return tokens * _width(layer) * _copies(layer, tensor_parallel)

    return CacheDefinition(
        name="engine-reserved",
        total_bytes=int(_total(spec, elements) * batch_size * bytes_per_element),
        reason=_reserved_reason(spec, block_size, tensor_parallel),
    )


def transformers_stored(
    spec: ModelSpec,
    *,
    context_length: int,
    batch_size: int = 1,
    bytes_per_element: float = 2,
    expanded_latent: bool = False,
) -> CacheDefinition:
    """Bytes that transformers' DynamicCache holds after a prompt of context_length tokens.

    Sliding layers keep window - 1 tokens (cache_utils.py, DynamicSlidingWindowLayer); Falcon's new architecture
    stores a copy per query head (modeling_falcon.py); MLA is stored as its latent in 5.23, and multiplied out to K
    and V of every query head in 4.57 (expanded_latent=True). Indexer keys of sparse attention are not counted.
    """

    def elements(layer: Layer) -> int:
        return stored_elements(layer, context_length, expanded_latent=expanded_latent)

    return CacheDefinition(
        name="transformers 4.57" if expanded_latent else "transformers 5.23",
        total_bytes=int(_total(spec, elements) * batch_size * bytes_per_element),
        reason=" ".join(_stored_reasons(spec, context_length, expanded_latent)),
    )


def stored_elements(layer: Layer, context_length: int, *, expanded_latent: bool = False) -> int:
    """Elements that DynamicCache holds in one layer for one sequence."""
    inner = _attention(layer)
    if inner is None:
        return 0
    tokens = context_length if inner.window is None else _kept_when_sliding(context_length, inner.window)
    if isinstance(inner, GroupedAttention):
        heads = inner.num_query_heads if inner.broadcast_when_stored else inner.num_kv_heads
        return tokens * heads * (inner.head_dim + inner.value_dim)
    if expanded_latent and inner.expanded_key_dim is not None and inner.expanded_value_dim is not None:
        return tokens * inner.num_query_heads * (inner.expanded_key_dim + inner.expanded_value_dim)
    return tokens * (inner.latent_dim + inner.rope_dim)


def _kept_when_sliding(context_length: int, window: int) -> int:
    """DynamicSlidingWindowLayer slices the last window - 1 tokens; with a window of 1 that slice is everything."""
    return context_length if window == 1 else min(context_length, window - 1)


def _attention(layer: Layer) -> GroupedAttention | LatentAttention | None:
    inner = layer.attention if isinstance(layer, ParallelLayer) else layer
    return inner if isinstance(inner, GroupedAttention | LatentAttention) else None


def _total(spec: ModelSpec, elements: Callable[[Layer], int]) -> int:
    return sum(elements(layer) for layer in spec.layers)


def _width(layer: Layer) -> int:
    """Elements of one token in one layer."""
    return layer.cached_elements(1)


def _reserved_tokens(layer: Layer, context_length: int, block_size: int) -> int:
    inner = _attention(layer)
    blocks = -(-context_length // block_size)
    if inner is not None and inner.window is not None:
        blocks = min(blocks, -(-inner.window // block_size) + 1)
    return blocks * block_size


def _copies(layer: Layer, tensor_parallel: int) -> int:
    """How often the ranks together hold the layer's cache: TP / G where there are fewer KV heads than ranks."""
    inner = _attention(layer)
    if isinstance(inner, LatentAttention):
        return tensor_parallel
    if isinstance(inner, GroupedAttention):
        return max(1, tensor_parallel // inner.num_kv_heads)
    return 1


def _check_split(spec: ModelSpec, tensor_parallel: int) -> None:
    for layer in spec.layers:
        inner = _attention(layer)
        if isinstance(inner, GroupedAttention):
            heads = inner.num_kv_heads
            if max(heads, tensor_parallel) % min(heads, tensor_parallel):
                raise ValueError(
                    f"tensor_parallel is {tensor_parallel} and a layer has {heads} KV heads: one has to divide the "
                    "other. Choose another tensor_parallel."
                )


def _reserved_reason(spec: ModelSpec, block_size: int, tensor_parallel: int) -> str:
    reasons = [f"Each sequence takes whole blocks of {block_size} tokens in every layer."]
    attention = [inner for layer in spec.layers if (inner := _attention(layer)) is not None]
    if any(inner.window is not None for inner in attention):
        reasons.append("A window that starts inside a block touches one block more.")
    fewest = min((inner.num_kv_heads for inner in attention if isinstance(inner, GroupedAttention)), default=None)
    if fewest is not None and tensor_parallel > fewest:
        reasons.append(f"{tensor_parallel} ranks share {fewest} KV heads: each rank keeps a whole one, so they repeat.")
    if tensor_parallel > 1 and any(isinstance(inner, LatentAttention) for inner in attention):
        reasons.append(f"The latent has no heads to split: all {tensor_parallel} ranks keep it whole.")
    return " ".join(reasons)


def _stored_reasons(spec: ModelSpec, context_length: int, expanded_latent: bool) -> list[str]:
    attention = [inner for layer in spec.layers if (inner := _attention(layer)) is not None]
    reasons = []
    if any(inner.window is not None and context_length >= inner.window for inner in attention):
        reasons.append("DynamicCache keeps window - 1 tokens on sliding layers: the next token completes the window.")
    if any(isinstance(inner, GroupedAttention) and inner.broadcast_when_stored for inner in attention):
        reasons.append("Falcon's new architecture copies keys and values to every query head before caching them.")
    if any(isinstance(inner, LatentAttention) for inner in attention):
        stored = "multiplied out to K and V of every query head" if expanded_latent else "as the compressed latent"
        reasons.append(f"MLA is stored {stored}.")
    return reasons or ["Stored as the attention pattern needs it."]
