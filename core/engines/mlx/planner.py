"""The plan of mlx-lm: a job in, the bytes of every cache out, at the fullest moment or at the end.

generate_step (generate.py of mlx-lm 0.32.2) reads the prompt in chunks of prefill_step_size and its last token on its
own, then one token a step. After each of these it converts a KVCache once quantized_kv_start tokens stand in it.
BatchGenerator reads prefill_batch_size prompts at once; those that were read before go on by a token with each chunk,
in caches as long as the longest of them.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from core.engines.arrays import smaller
from core.engines.mlx.caches import (
    KEPT_AT_FRONT,
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
COMPLETION_BATCH = 32  # BatchGenerator's completion_batch_size, --decode-concurrency of mlx_lm.server
MOST_REQUESTS = 2**40  # where a search for the most at once ends


@dataclass(frozen=True, kw_only=True)
class MlxJob:
    """What mlx_lm.generate and mlx_lm.server take, under their names."""

    context_length: int = 4096  # prompt and generated tokens of each sequence
    generated_tokens: int = 0  # of these, read one at a time after the prompt
    batch_size: int = 1  # requests of that length held at once; completion_batch_size has to be as large
    kv_bits: int | None = None
    kv_group_size: int = 64
    quantized_kv_start: int = 5000
    max_kv_size: int | None = None
    prefill_step_size: int = 2048
    prefill_batch_size: int = 8  # prompts read together; --prompt-concurrency of mlx_lm.server
    available_bytes: int | None = None
    moment: str = "peak"  # 'peak': the fullest moment on the way; 'end': after the last token


@dataclass(frozen=True)
class Stand:
    """A whole batch at one time: so many sequences at a moment, those read before at another, the rest not begun."""

    sequences: int
    moment: Moment
    before: int = 0
    held: Moment | None = None

    def cache_bytes(self, cache: MlxCache, quantised: Quantised | None) -> int:
        """Bytes of one layer's cache for the batch; quantised is of a sequence alone."""
        held = 0 if self.held is None else self.before * cache.sequence_bytes(self.held)
        return self.sequences * cache.sequence_bytes(self.moment, quantised) + held


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
        check_kept_tokens(layout, asked)
    quantised = quantised_of(layout, asked)
    stand, bytes_of = _fullest(layout, asked, quantised)
    layer_bytes = tuple(bytes_of[cache] for cache in layout.caches)
    total = sum(layer_bytes)
    memory = asked.available_bytes
    return EnginePlan(
        engine="mlx",
        version=VERSION,
        fits=None if memory is None else total <= memory,
        max_concurrency=None if memory is None else _most_at_once(layout, asked, quantised, memory),
        request_bytes=total,
        layer_bytes=layer_bytes,
        groups=_groups(layout, bytes_of),
        notes=_notes(spec, layout, asked, stand, quantised, total),
    )


def _fullest(layout: Layout, job: MlxJob, quantised: Quantised | None) -> tuple[Stand, dict[MlxCache, int]]:
    """The time that the job asks for, with the batch's bytes of each kind of cache then."""
    best: tuple[int, Stand, dict[MlxCache, int]] | None = None
    for stand in _stands(job, quantised is not None):
        converted = quantised if stand.moment.tokens >= job.quantized_kv_start else None
        bytes_of = {cache: stand.cache_bytes(cache, converted) for cache, _ in layout.distinct}
        total = sum(bytes_of[cache] * count for cache, count in layout.distinct)
        if best is None or total > best[0]:
            best = (total, stand, bytes_of)
    assert best is not None
    return best[1], best[2]


def _most_at_once(layout: Layout, job: MlxJob, quantised: Quantised | None, memory: int) -> float | None:
    """Requests whose caches the memory holds: each takes the same until prompts are read in groups. None for caches
    without a byte."""

    def held(requests: int) -> int:
        _, bytes_of = _fullest(layout, replace(job, batch_size=requests), quantised)
        return sum(bytes_of[cache] * count for cache, count in layout.distinct)

    one = held(1)
    if not one or memory < one * job.prefill_batch_size or quantised is not None or not layout.served_by.batches:
        return memory / one if one else None
    fewest, most = job.prefill_batch_size, 2 * job.prefill_batch_size
    while most < MOST_REQUESTS and held(most) <= memory:
        fewest, most = most, 2 * most
    while most - fewest > 1:
        middle = (fewest + most) // 2
        fewest, most = (middle, most) if held(middle) <= memory else (fewest, middle)
    return float(fewest)


def _stands(job: MlxJob, quantises: bool) -> Iterator[Stand]:
    """Times of which one is the fullest: caches only grow while full chunks are read, and while single tokens are.

    The largest groups are the last whole one and what is left of it; no request ends before all have been read.
    """
    chunks, rest = divmod(job.context_length - job.generated_tokens - 1, job.prefill_step_size)
    end = Moment(chunks, job.prefill_step_size, rest, job.generated_tokens + 1)
    if job.moment == "end":
        yield Stand(job.batch_size, end)
        return
    for before, sequences in _last_groups(job.batch_size, job.prefill_batch_size):
        for chunk, moment in _reading(end):
            singles = singles_before(before // job.prefill_batch_size, end, chunk)
            yield Stand(sequences, moment, before, replace(end, singles=singles) if before else None)
    yield Stand(job.batch_size, replace(end, singles=1))
    yield Stand(job.batch_size, end)
    if quantises and job.quantized_kv_start > 0:
        # The last moment before the conversion, which may hold more in 16 bits than all that follows in fewer.
        before = min(chunks, (job.quantized_kv_start - 1) // job.prefill_step_size)
        if before:
            yield Stand(1, Moment(before, job.prefill_step_size))
        prompt = chunks * job.prefill_step_size + rest
        if job.quantized_kv_start > prompt:
            singles = min(end.singles, job.quantized_kv_start - 1 - prompt)
            yield Stand(1, replace(end, singles=singles))


def _last_groups(batch: int, group: int) -> Iterator[tuple[int, int]]:
    """(sequences read before, sequences) of the last whole group and of a smaller one behind it."""
    whole, left = divmod(batch, group)
    if whole:
        yield (whole - 1) * group, group
    if left:
        yield whole * group, left


def _reading(end: Moment) -> Iterator[tuple[int, Moment]]:
    """A prompt after its full chunks and after the rest, each with how many chunks went before it."""
    if end.full_chunks:
        yield end.full_chunks - 1, Moment(end.full_chunks, end.chunk)
    if end.rest:
        yield end.full_chunks, Moment(end.full_chunks, end.chunk, end.rest)


def singles_before(groups: Any, end: Any, chunk: Any) -> Any:
    """Single tokens that the first of so many groups has read while the next one reads a chunk, counted from 0.

    A group takes a round for each chunk and one for the last token of its prompts; with each round the earlier ones go
    on by a token, up to the last. Numbers or numpy columns, for a Moment or a column of them.
    """
    rounds = end.full_chunks + (end.rest > 0) + 1
    return smaller((groups - 1) * rounds + chunk + 2, end.singles)


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


def check_kept_tokens(layout: Layout, job: MlxJob) -> None:
    """Raises EngineError where a chunk of several tokens comes to a full cache of no more tokens than are always kept.

    Its mask is max_kv_size - 1 and the chunk wide; the kept tokens alone are more (RotatingKVCache._trim).
    """
    narrow = [c for c in layout.caches if isinstance(c, RotatingCache) and 0 < c.window <= c.kept_at_front]
    chunks, rest = divmod(job.context_length - job.generated_tokens - 1, job.prefill_step_size)
    last = chunks if rest > 1 else chunks - 1 if job.prefill_step_size > 1 else 0
    if narrow and last * job.prefill_step_size >= narrow[0].window:
        raise EngineError(
            f"mlx: max_kv_size is {job.max_kv_size}: mlx-lm 0.32.2 keeps {KEPT_AT_FRONT} tokens at the front whatever "
            "it says, and stops at a second chunk of the prompt. Set max_kv_size to "
            f"{KEPT_AT_FRONT + 1} or more, or prefill_step_size to {job.context_length - job.generated_tokens - 1:,}."
        )


def checked(job: Mapping[str, Any]) -> MlxJob:
    """The job with mlx-lm's defaults. Raises EngineError for an unknown key or a value that cannot be."""
    names = [field.name for field in fields(MlxJob)]
    for key in job:
        if key not in names:
            raise EngineError(f"mlx has no setting {key!r}: it takes {', '.join(names)}. Leave {key} out.")
    asked = MlxJob(**job)
    at_least = {
        "context_length": 1, "generated_tokens": 0, "batch_size": 1, "quantized_kv_start": 0, "prefill_step_size": 1,
        "prefill_batch_size": 1, "max_kv_size": 1, "available_bytes": 0,
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


def _groups(layout: Layout, bytes_of: Mapping[MlxCache, int]) -> tuple[CacheGroup, ...]:
    return tuple(
        CacheGroup(
            kind=_name(cache),
            num_layers=count,
            block_size=None if isinstance(cache, StateCache) else 256,
            filled_bytes=bytes_of[cache] * count,
        )
        for cache, count in layout.distinct
    )


def _name(cache: MlxCache) -> str:
    if isinstance(cache, ListedCaches):
        return f"{cache.kind} of {' and '.join(_name(part) for part in cache.parts)}"
    window = getattr(cache, "window", None) or getattr(cache, "chunk_size", None)
    return f"{cache.kind} {window:,}" if window else cache.kind


def _notes(
    spec: ModelSpec, layout: Layout, job: MlxJob, stand: Stand, quantised: Quantised | None, total: int
) -> tuple[PlanNote, ...]:
    moment = stand.moment
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
    each = tuple(_cache_note(cache, count, stand, converted) for cache, count in layout.distinct)
    return (first, *_group_note(job, stand), *each, *_cap_note(layout, job), last)


def _group_note(job: MlxJob, stand: Stand) -> tuple[PlanNote, ...]:
    """How a batch larger than prefill_batch_size stands then."""
    if job.batch_size <= job.prefill_batch_size:
        return ()
    held = "" if stand.held is None else f" while {stand.before:,} hold up to {stand.held.tokens:,}"
    note = PlanNote(
        name="prompts",
        formula="prefill_batch_size prompts are read at once",
        numbers=f"{job.batch_size:,} requests, {job.prefill_batch_size:,} at once",
        result=f"{stand.sequences:,} hold {stand.moment.tokens:,} tokens each{held}",
        reason=""
        if job.batch_size <= COMPLETION_BATCH
        else f"completion_batch_size is {COMPLETION_BATCH} unless it is "
        f"named: give {job.batch_size:,}, or fewer are held at once.",
    )
    return (note,)


def _cache_note(cache: MlxCache, count: int, stand: Stand, quantised: Quantised | None) -> PlanNote:
    each, room = cache.sequence_bytes(stand.moment, quantised), cache.tokens(stand.moment)
    numbers = f"{count} x {stand.sequences} x {each:,}"
    if stand.held is not None:
        numbers += f" + {count} x {stand.before} x {cache.sequence_bytes(stand.held):,}"
    return PlanNote(
        name=_name(cache),
        formula="caches x batch x bytes of one" + (", with room in steps of 256 tokens" if room else ""),
        numbers=numbers + (f", room for {room:,} tokens" if room else ""),
        result=f"{count * stand.cache_bytes(cache, quantised):,} bytes",
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
