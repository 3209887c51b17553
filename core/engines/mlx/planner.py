"""The plan of mlx-lm: a job in, the bytes of every cache out, at the fullest moment or at the end.

generate_step (generate.py of mlx-lm 0.32.2) reads the prompt in chunks of prefill_step_size and its last token on its
own, then one token a step. After each of these it converts a KVCache once quantized_kv_start tokens stand in it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any

from core.engines.mlx.caches import (
    ChunkedCache,
    GrowingCache,
    ListedCaches,
    MlxCache,
    Moment,
    Quantised,
    RotatingCache,
    StateCache,
)
from core.engines.mlx.layouts import EXPANDED, INDEXED, Layout, layout_of, window_of
from core.engines.plan import CacheGroup, EngineError, EnginePlan, PlanNote
from core.models.spec import ModelSpec

VERSION = "mlx-lm 0.32.2"
BITS = (2, 3, 4, 5, 6, 8)
GROUP_SIZES = (32, 64, 128)
MOMENTS = ("peak", "end")


@dataclass(frozen=True, kw_only=True)
class MlxJob:
    """What mlx_lm.generate and mlx_lm.server take, under their names."""

    context_length: int = 4096  # prompt and generated tokens of each sequence
    generated_tokens: int = 0  # of these, read one at a time after the prompt
    batch_size: int = 1  # requests of that length read together
    kv_bits: int | None = None
    kv_group_size: int = 64
    quantized_kv_start: int = 5000
    max_kv_size: int | None = None
    prefill_step_size: int = 2048
    available_bytes: int | None = None
    moment: str = "peak"  # 'peak': the fullest moment on the way; 'end': after the last token


def translated(common: dict[str, Any]) -> dict[str, Any]:
    """The common job in mlx-lm's own words: a cache of 2 to 8 bits is kv_bits. Raises EngineError for a split."""
    job = dict(common)
    ranks, bits = job.pop("tensor_parallel", 1), job.pop("cache_bits", None)
    if ranks != 1:
        raise EngineError(f"mlx: tensor_parallel is {ranks}: one Mac holds the model here. Set it to 1.")
    if bits is not None and bits != 16:
        job["kv_bits"] = bits
    return job


def plan(spec: ModelSpec, **job: Any) -> EnginePlan:
    """request_bytes of the whole batch; layer_bytes has one number for each cache that the class makes.

    Raises EngineError for an unknown key, a model that mlx-lm has no class for, or a job that it fails at.
    """
    asked = checked(job)
    layout = layout_of(spec)
    if asked.batch_size > 1 and not layout.served_by.batches:
        raise EngineError(
            f"mlx: the class {layout.served_by.module} of mlx-lm 0.32.2 reads one request at a time. "
            "Set batch_size to 1."
        )
    if asked.max_kv_size is not None:
        layout = layout.capped(asked.max_kv_size, asked.batch_size)
    quantised = quantised_of(layout, asked)
    moment, bytes_of = _fullest(layout, asked, quantised)
    layer_bytes = tuple(bytes_of[cache] * asked.batch_size for cache in layout.caches)
    total = sum(layer_bytes)
    return EnginePlan(
        engine="mlx",
        version=VERSION,
        fits=None if asked.available_bytes is None else total <= asked.available_bytes,
        max_concurrency=None
        if asked.available_bytes is None or not total
        else asked.available_bytes * asked.batch_size / total,
        request_bytes=total,
        layer_bytes=layer_bytes,
        groups=_groups(layout, bytes_of, asked),
        notes=_notes(spec, layout, asked, moment, quantised, total),
    )


def _fullest(layout: Layout, job: MlxJob, quantised: Quantised | None) -> tuple[Moment, dict[MlxCache, int]]:
    """The moment that the job asks for, with each kind of cache's bytes of one sequence there."""
    best: tuple[int, Moment, dict[MlxCache, int]] | None = None
    for moment in _moments(job, quantised is not None):
        converted = quantised if moment.tokens >= job.quantized_kv_start else None
        bytes_of = {cache: cache.sequence_bytes(moment, converted) for cache, _ in layout.distinct}
        total = sum(bytes_of[cache] * count for cache, count in layout.distinct)
        if best is None or total > best[0]:
            best = (total, moment, bytes_of)
    assert best is not None
    return best[1], best[2]


def _moments(job: MlxJob, quantises: bool) -> Iterator[Moment]:
    """Moments of which one is the fullest: caches only grow while full chunks are read, and while single tokens are."""
    chunks, rest = divmod(job.context_length - job.generated_tokens - 1, job.prefill_step_size)
    end = Moment(chunks, job.prefill_step_size, rest, job.generated_tokens + 1)
    if job.moment == "end":
        yield end
        return
    if chunks:
        yield Moment(chunks, job.prefill_step_size)
    if rest:
        yield Moment(chunks, job.prefill_step_size, rest)
    yield Moment(chunks, job.prefill_step_size, rest, 1)
    yield end
    if quantises and job.quantized_kv_start > 0:
        # The last moment before the conversion, which may hold more in 16 bits than all that follows in fewer.
        before = min(chunks, (job.quantized_kv_start - 1) // job.prefill_step_size)
        if before:
            yield Moment(before, job.prefill_step_size)
        prompt = chunks * job.prefill_step_size + rest
        if job.quantized_kv_start > prompt:
            yield Moment(chunks, job.prefill_step_size, rest, min(end.singles, job.quantized_kv_start - 1 - prompt))


def quantised_of(layout: Layout, job: MlxJob) -> Quantised | None:
    """The width of converted caches, None where no conversion happens. Raises EngineError where mlx-lm fails at it."""
    if job.kv_bits is None:
        return None
    module = layout.served_by.module
    if job.batch_size > 1:
        raise EngineError(
            "mlx: mlx-lm 0.32.2 reads one request at a time under kv_bits. Set batch_size to 1, or leave kv_bits out."
        )
    if job.context_length < job.quantized_kv_start:
        return None
    if any(isinstance(cache, RotatingCache) for cache in layout.caches):
        raise EngineError(
            f"mlx: kv_bits is {job.kv_bits}, and mlx-lm 0.32.2 cannot convert the rotating caches of {module}. "
            "Leave kv_bits out."
        )
    grown = [cache for cache in layout.caches if isinstance(cache, GrowingCache)]
    if grown and not layout.served_by.quantises:
        raise EngineError(
            f"mlx: the class {module} of mlx-lm 0.32.2 cannot read a cache in kv_bits. Leave kv_bits out."
        )
    for cache in grown:
        for width in (cache.key_dim, cache.value_dim):
            if width % job.kv_group_size:
                raise EngineError(
                    f"mlx: kv_group_size is {job.kv_group_size} and a head is {width} wide: the one has to divide the "
                    f"other. Choose one of {', '.join(map(str, GROUP_SIZES))}, or leave kv_bits out."
                )
    return Quantised(job.kv_bits, job.kv_group_size)


def checked(job: Mapping[str, Any]) -> MlxJob:
    """The job with mlx-lm's defaults. Raises EngineError for an unknown key or a value that cannot be."""
    names = [field.name for field in fields(MlxJob)]
    for key in job:
        if key not in names:
            raise EngineError(f"mlx has no setting {key!r}: it takes {', '.join(names)}. Leave {key} out.")
    asked = MlxJob(**job)
    at_least = {
        "context_length": 1, "generated_tokens": 0, "batch_size": 1, "quantized_kv_start": 0, "prefill_step_size": 1,
        "max_kv_size": 1, "available_bytes": 0,
    }  # fmt: skip
    for name, least in at_least.items():
        value = getattr(asked, name)
        optional = name in ("max_kv_size", "available_bytes")
        if value is None and optional:
            continue
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= 2**62:
            raise EngineError(f"mlx: {name} is {value!r}: it has to be a whole number from {least}. Mend {name}.")
    if asked.generated_tokens >= asked.context_length:
        raise EngineError(
            f"mlx: generated_tokens is {asked.generated_tokens} of a context_length of {asked.context_length}: a "
            "prompt has at least one token. Give a longer context."
        )
    if asked.kv_bits is not None and asked.kv_bits not in BITS:
        raise EngineError(
            f"mlx: kv_bits is {asked.kv_bits!r}: MLX packs {', '.join(map(str, BITS))}. Choose one of these."
        )
    if asked.kv_group_size not in GROUP_SIZES:
        raise EngineError(
            f"mlx: kv_group_size is {asked.kv_group_size!r}: MLX takes {', '.join(map(str, GROUP_SIZES))}. "
            "Choose one of these."
        )
    if asked.moment not in MOMENTS:
        raise EngineError(f"mlx: moment is {asked.moment!r}: it is one of {', '.join(MOMENTS)}. Choose one of these.")
    return asked


def _groups(layout: Layout, bytes_of: Mapping[MlxCache, int], job: MlxJob) -> tuple[CacheGroup, ...]:
    return tuple(
        CacheGroup(
            kind=_name(cache),
            num_layers=count,
            block_size=None if isinstance(cache, StateCache) else 256,
            filled_bytes=bytes_of[cache] * count * job.batch_size,
        )
        for cache, count in layout.distinct
    )


def _name(cache: MlxCache) -> str:
    if isinstance(cache, ListedCaches):
        return f"{cache.kind} of {' and '.join(_name(part) for part in cache.parts)}"
    window = getattr(cache, "window", None) or getattr(cache, "chunk_size", None)
    return f"{cache.kind} {window:,}" if window else cache.kind


def _notes(
    spec: ModelSpec, layout: Layout, job: MlxJob, moment: Moment, quantised: Quantised | None, total: int
) -> tuple[PlanNote, ...]:
    converted = quantised if moment.tokens >= job.quantized_kv_start else None
    payload = spec.cache_bytes(context_length=job.context_length, batch_size=job.batch_size)
    first = PlanNote(
        name="moment",
        formula="chunks x prefill_step_size + the rest of the prompt + single tokens",
        numbers=f"{moment.full_chunks:,} x {moment.chunk:,} + {moment.rest:,} + {moment.singles:,}",
        result=f"{moment.tokens:,} tokens read, where the caches are fullest" if job.moment == "peak" else "the end",
    )
    last = PlanNote(
        name="request",
        formula="sum over the caches, the whole batch at its longest sequence",
        numbers=f"{len(layout.caches)} caches, payload {payload:,} bytes",
        result=f"{total:,} bytes",
        reason=_reason(spec, layout),
    )
    each = tuple(_cache_note(cache, count, job, moment, converted) for cache, count in layout.distinct)
    return (first, *each, *_cap_note(layout, job), last)


def _cache_note(cache: MlxCache, count: int, job: MlxJob, moment: Moment, quantised: Quantised | None) -> PlanNote:
    each, room = cache.sequence_bytes(moment, quantised), cache.tokens(moment)
    return PlanNote(
        name=_name(cache),
        formula="caches x batch x bytes of one" + (", with room in steps of 256 tokens" if room else ""),
        numbers=f"{count} x {job.batch_size} x {each:,}" + (f", room for {room:,} tokens" if room else ""),
        result=f"{count * job.batch_size * each:,} bytes",
    )


def _cap_note(layout: Layout, job: MlxJob) -> tuple[PlanNote, ...]:
    if job.max_kv_size is None or not layout.served_by.makes_own_cache:
        return ()
    reason = f"The class {layout.served_by.module} makes its own caches."
    return (PlanNote(name="max_kv_size", formula="ignored", numbers=f"{job.max_kv_size:,}", result="-", reason=reason),)


def _reason(spec: ModelSpec, layout: Layout) -> str:
    """Why the caches are more than the payload, the strongest cause alone."""
    module = layout.served_by.module
    if module in EXPANDED:
        return f"MLX's class {module} multiplies the latent out to keys and values of every query head."
    if module in INDEXED:
        return f"MLX's class {module} keeps every index key twice, as keys and as values."
    slides = any(isinstance(cache, RotatingCache | ChunkedCache) for cache in layout.caches)
    if slides:
        return "A window layer holds a whole chunk of the prompt beside its window while the prompt is read."
    if any(window_of(layer) is not None for layer in spec.layers):
        return f"MLX's class {module} keeps every token, whatever the window."
    return "Room grows in steps of 256 tokens."
