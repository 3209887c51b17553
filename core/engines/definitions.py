"""One cache, several honest numbers: what attention needs, what each server takes, what transformers stores.

Payload is the least that the attention pattern needs. A serving engine reserves more, and transformers' own cache
classes store something else again; each definition says by how much and why. All counts are for whole batches, over
all layers; recurrent state is counted apart (`ModelSpec.state_bytes`).
"""

from dataclasses import dataclass, replace

from core.engines.class_names import named_class
from core.engines.face import plan_cache
from core.engines.job_memory import held_bytes
from core.engines.plan import EngineError
from core.engines.transformers import stored_elements
from core.models.attention import KEYS_AND_VALUES, LATENTS, GroupedAttention, LatentAttention, Layer, ParallelLayer
from core.models.spec import ModelSpec

TELLING = ("block size", "groups", "request", "states", "tokens", "window")
SERVERS = ("vllm", "sglang", "llama.cpp", "mlx")


@dataclass(frozen=True, kw_only=True)
class CacheDefinition:
    """One way of counting the same cache."""

    name: str
    total_bytes: int | None  # all layers, the whole batch, all ranks together; None where the engine refuses it
    reason: str  # why it is not the payload, or that it is


def definitions(
    spec: ModelSpec, *, context_length: int, batch_size: int = 1, cache_bits: int = 16, tensor_parallel: int = 1
) -> tuple[CacheDefinition, ...]:
    """The payload, what each engine takes for it over all ranks, and what transformers stores, each with its reason.

    An engine that refuses the model has None for its bytes and says why.
    """
    wide = cache_bits / 8
    counts = {"context_length": context_length, "batch_size": batch_size}
    needed = spec.cache_bytes(**counts, bytes_per_element=wide)
    stored = transformers_stored(spec, context_length=context_length, batch_size=batch_size, bytes_per_element=wide)
    return (
        CacheDefinition(
            name="payload",
            total_bytes=needed,
            reason="What the attention pattern needs: distinct KV heads, the latent for MLA, no token beyond a window, "
            "every index key and compressed entry.",
        ),
        *(_taken(spec, engine, counts, cache_bits, tensor_parallel) for engine in SERVERS),
        _with_what_is_beside(spec, stored, counts, wide),
    )


def _with_what_is_beside(
    spec: ModelSpec, stored: CacheDefinition, counts: dict[str, int], wide: float
) -> CacheDefinition:
    """Index keys and compressed entries added, which transformers keeps as the payload counts them."""
    parts = spec.cache_parts(**counts, bytes_per_element=wide)
    beside = {name: count for name, count in parts.items() if name not in (KEYS_AND_VALUES, LATENTS)}
    if not beside or stored.total_bytes is None:
        return stored
    reason = f"{stored.reason} {' and '.join(beside).capitalize()} are kept beside."
    return replace(stored, total_bytes=stored.total_bytes + sum(beside.values()), reason=reason)


def _taken(
    spec: ModelSpec, engine: str, counts: dict[str, int], cache_bits: int, tensor_parallel: int
) -> CacheDefinition:
    """What one engine takes, states included, over all tensor-parallel ranks."""
    try:
        plan = plan_cache(
            named_class(spec), engine=engine, **counts, cache_bits=cache_bits, tensor_parallel=tensor_parallel
        )
    except EngineError as refused:
        return CacheDefinition(name=engine, total_bytes=None, reason=str(refused))
    held = held_bytes(plan, batch_size=counts["batch_size"]) * tensor_parallel
    reasons = [
        note.reason for note in plan.notes if note.reason and note.name in ("groups", "request", "states", "tokens")
    ]
    return CacheDefinition(name=plan.version, total_bytes=held, reason=" ".join(reasons) or "Its whole blocks.")


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
    stores a copy per query head (modeling_falcon.py); MLA is stored as its latent in 5.24, and multiplied out to K
    and V of every query head in 4.57 (expanded_latent=True). What is kept beside them is left to definitions().
    """

    elements = sum(stored_elements(layer, context_length, expanded_latent=expanded_latent) for layer in spec.layers)
    return CacheDefinition(
        name="transformers 4.57" if expanded_latent else "transformers 5.24",
        total_bytes=int(elements * batch_size * bytes_per_element),
        reason=" ".join(_stored_reasons(spec, context_length, expanded_latent)),
    )


def _attention(layer: Layer) -> GroupedAttention | LatentAttention | None:
    inner = layer.attention if isinstance(layer, ParallelLayer) else layer
    return inner if isinstance(inner, GroupedAttention | LatentAttention) else None


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
