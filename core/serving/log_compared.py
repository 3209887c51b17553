"""A server's own start-up figures beside ours: equal or not, and why.

Ours are asked for the job that the log says: its length, ranks, cache type and memory, and what it does not say as the
page has it. A memory is printed to two decimals, so blocks and tokens follow from it as a range; requests follow from
blocks to the digit.
"""

from dataclasses import dataclass
from typing import Any

from core.engines.face import plan_cache
from core.engines.llama_cpp import compute_buffer
from core.engines.logs import LogFigure, ServerLog
from core.engines.plan import CacheGroup, EngineError, EnginePlan
from core.engines.stored_type import stored_type
from core.models.spec import ModelSpec
from core.serving.engine_cache import engine_spec, shared_requests
from core.serving.engine_why import Misleading, misleading, misleading_pool
from core.serving.job import ServingJob
from core.serving.memory_plan import MemoryPlan
from core.units import GIB, MIB, format_binary

TOO_FAR = 0.01  # of a compute buffer: the graph's layout is not ours to know to the byte
MANY_TOKENS = 0.005  # of a pool: memory printed to a hundredth of a GiB, pads of a page
KEYS = {  # settings that a log says over the page's own
    "vllm": ("tensor_parallel", "cache_type", "max_batched_tokens", "prefix_caching"),
    "sglang": ("tensor_parallel", "cache_type", "prefix_caching", "swa_full_tokens_ratio", "mamba_full_memory_ratio",
               "max_running_requests"),
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class LogRow:
    """One figure: as logged, as ours, and whether they agree; None where ours is no claim about that server."""

    name: str
    logged: str
    ours: str
    equal: bool | None
    why: str = ""


def rows_of(log: ServerLog, plan: MemoryPlan) -> tuple[LogRow, ...]:
    """Each figure of the log that we have a figure for. Raises EngineError where the engine refuses the model."""
    job = plan.job
    spec = engine_spec(job.model, job.num_kv_heads)
    memory = _memory_row(log, plan)
    if log.engine == "vllm":
        rows = _vllm(log, spec, job)
    elif log.engine == "sglang":
        rows = _sglang(log, spec, job)
    else:
        rows = _llama_cpp(log, spec, job)
    return (*([memory] if memory else []), *rows)


def misled(log: ServerLog, plan: MemoryPlan) -> tuple[Misleading, ...]:
    """Where this log says more than people can count on, from its own memory and settings. Raises EngineError.

    vLLM's is of the length that it logs, SGLang's of requests of the job's: it logs the model's longest.
    """
    memory, job = available_bytes(log), plan.job
    if memory is None or log.engine not in KEYS:
        return misleading(plan) if job.engine == log.engine else ()
    context = _context(log, job) if log.engine == "vllm" else job.context_length
    asked = _settings(log, job, KEYS[log.engine])
    spec = engine_spec(job.model, job.num_kv_heads)
    pool = plan_cache(spec, engine=log.engine, context_length=context, available_bytes=memory, **asked)
    return misleading_pool(pool, context, prefixes=asked.get("prefix_caching", True))


def _context(log: ServerLog, job: ServingJob) -> int:
    """The length that a log of vLLM is about, or the job's."""
    length, said = log.figure("context_length"), log.settings.get("context_length")
    return int(length.value) if length else said if isinstance(said, int) else job.context_length


def available_bytes(log: ServerLog) -> int | None:
    """What the log says is left for the cache on one rank, to its last digit; None where it does not say."""
    figure = log.figure("available_bytes")
    return None if figure is None else max(round(figure.value), 0)


def left_by_plan(plan: MemoryPlan) -> int:
    """What the inputs leave for the cache on one accelerator."""
    return max(plan.budget_bytes - plan.loaded_bytes - plan.runtime_bytes, 0)


def _memory_row(log: ServerLog, plan: MemoryPlan) -> LogRow | None:
    figure = log.figure("available_bytes")
    if figure is None:
        return None
    ours = left_by_plan(plan)
    equal = figure.low <= ours <= figure.high
    return LogRow(
        name="Memory for the cache",
        logged=format_binary(figure.value, 2),
        ours=format_binary(ours, 2),
        equal=equal,
        why=""
        if equal
        else "Ours is utilisation × memory − weights − reserve, from the inputs above. The server measures its "
        "activations, its graphs and what lies outside torch: take its figure as the budget.",
    )


def _settings(log: ServerLog, job: ServingJob, keys: tuple[str, ...]) -> dict[str, Any]:
    """The job's settings for this engine, and what the log says over them."""
    own = dict((*job.engine_settings, *shared_requests(job))) if job.engine == log.engine else {}
    said = {key: log.settings[key] for key in keys if key in log.settings}
    if stored_type(log.engine, own | said) is None and "cache_type" not in own | said:
        own["cache_bits"] = job.kv_bits
    return {"tensor_parallel": job.tensor_parallel, **own, **said}


def _vllm(log: ServerLog, spec: ModelSpec, job: ServingJob) -> list[LogRow]:
    asked = _settings(log, job, KEYS["vllm"])
    context = _context(log, job)
    one = plan_cache(spec, engine="vllm", context_length=context, **asked)
    pool_block = max((group.page_bytes or 0 for group in one.groups), default=0)
    each = (one.request_bytes or 0) // pool_block if pool_block else 0
    rows = [_counted("Block, tokens", log.figure("block_size"), one.block_size, one)]
    if not each:
        return [row for row in rows if row]
    low, high = _blocks(log, pool_block, each)
    rows.append(_ranged("Blocks", log.figure("blocks"), low, high, _other_version(log, one)))
    figure = log.figure("blocks") or LogFigure(value=(low + high) / 2)
    exact = (int(figure.value), int(figure.value)) if log.figure("blocks") else (low, high)
    requests = log.figure("max_concurrency")
    if requests is not None:
        at_least, at_most = exact[0] / each, exact[1] / each
        rows.append(
            LogRow(
                name=f"Requests of {context:,} tokens",
                logged=f"{requests.value:,.2f}",
                ours=f"{at_least:,.2f}" if exact[0] == exact[1] else f"{at_least:,.2f} to {at_most:,.2f}",
                equal=at_least - 0.005 <= requests.value <= at_most + 0.005,
                why=f"{exact[0]:,} to {exact[1]:,} blocks of {format_binary(pool_block, 2)}, {each:,} a request."
                + _other_version(log, one),
            )
        )
    rows.append(_token_row(log, one, exact, each, context))
    return [row for row in rows if row]


def _blocks(log: ServerLog, pool_block: int, each: int) -> tuple[int, int]:
    """Fewest and most blocks that the log's memory allows; from its blocks or requests where it has no memory."""
    memory, blocks, requests = log.figure("available_bytes"), log.figure("blocks"), log.figure("max_concurrency")
    if memory is not None:
        return int(memory.low // pool_block), int(memory.high // pool_block)
    if blocks is not None:
        return int(blocks.value), int(blocks.value)
    if requests is not None:
        return round(requests.low * each), round(requests.high * each)
    return 0, 0


def _token_row(log: ServerLog, one: EnginePlan, blocks: tuple[int, int], each: int, context: int) -> LogRow | None:
    """vLLM's tokens: requests x length since they stand in one line; blocks / groups x block before."""
    tokens = log.figure("capacity_tokens")
    if tokens is None:
        return None
    low, high = (int(number / each * context) for number in blocks)
    size = min((group.block_size for group in one.groups if group.block_size), default=one.block_size or 1)
    groups = max(len(one.groups), 1)
    old_low, old_high = (number // groups * size for number in blocks)
    if low <= tokens.value <= high:
        return _range("Tokens", tokens.value, low, high, True, "requests × length")
    if old_low <= tokens.value <= old_high:
        why = (
            f"This version counts blocks / groups × block ({groups:,} groups, {size:,} tokens), so tokens and requests "
            f"disagree; later ones say requests × length: {low:,} to {high:,}."
        )
        return _range("Tokens", tokens.value, old_low, old_high, True, why)
    return _range("Tokens", tokens.value, low, high, False, f"requests × length.{_other_version(log, one)}")


def _sglang(log: ServerLog, spec: ModelSpec, job: ServingJob) -> list[LogRow]:
    asked = _settings(log, job, KEYS["sglang"])
    memory = log.figure("available_bytes")
    if memory is None:
        low = high = plan_cache(spec, engine="sglang", **asked)
    else:
        low, high = (
            plan_cache(spec, engine="sglang", available_bytes=max(int(edge), 0), **asked)
            for edge in (memory.low, memory.high)
        )
    other = _other_version(log, high)
    rows = [_token_bytes(log, high)]
    tokens = log.figure("capacity_tokens") or log.figure("pool_tokens")
    for name, figure, attribute, slack in (
        ("Tokens", tokens, "capacity_tokens", MANY_TOKENS),
        ("Window tokens", log.figure("window_capacity_tokens"), "window_capacity_tokens", MANY_TOKENS),
        ("State slots", log.figure("state_slots"), "state_slots", MANY_TOKENS),
        ("Requests at most", log.figure("max_running_requests"), "max_running_requests", 0.0),
    ):
        edges = getattr(low, attribute), getattr(high, attribute)
        if figure is not None and None not in edges:
            rows.append(_ranged(name, figure, int(edges[0] * (1 - slack)), int(edges[1] * (1 + slack)) + 1, other))
    return [row for row in rows if row]


def _token_bytes(log: ServerLog, plan: EnginePlan) -> LogRow | None:
    """Bytes of one token in the pool of all tokens: the pool's size over its tokens."""
    size, tokens = log.figure("pool_bytes"), log.figure("pool_tokens")
    pool = next((group for group in plan.groups if group.kind != "state" and group.block_size), None)
    if size is None or tokens is None or not tokens.value or pool is None:
        return None
    ours = (pool.page_bytes or 0) / (pool.block_size or 1)
    half = size.half_step / tokens.value
    logged = size.value / tokens.value
    return LogRow(
        name="Bytes of a token",
        logged=f"{logged:,.0f} ± {half:,.0f}",
        ours=f"{ours:,.0f}",
        equal=abs(logged - ours) <= half + ours * 1e-3,
        why="The pool's size over its tokens; the log prints GB and means GiB.",
    )


def _llama_cpp(log: ServerLog, spec: ModelSpec, job: ServingJob) -> list[LogRow]:
    keys = ("n_ctx", "n_seq_max", "n_ubatch", "n_batch", "kv_unified", "type_k", "type_v", "flash_attn")
    own = {"n_ctx": job.context_length * job.batch_per_replica, "n_seq_max": job.batch_per_replica}
    own |= dict(job.engine_settings) if job.engine == log.engine else {}
    asked: dict[str, Any] = own | {key: log.settings[key] for key in keys if key in log.settings}
    if log.caches and any(cache.streams == 1 for cache in log.caches) and asked["n_seq_max"] > 1:
        asked["kv_unified"] = True
    plan = plan_cache(spec, engine="llama.cpp", **asked)
    groups = [group for group in plan.groups if group.kind != "state"]
    rows = [_cache_row(place, log, groups) for place in range(max(len(log.caches), len(groups)))] if log.caches else []
    if (whole := log.figure("cache_bytes")) is not None:
        rows.append(_bytes_row("Keys and values", whole, plan.request_bytes or 0))
    state = sum(group.filled_bytes or 0 for group in plan.groups if group.kind == "state")
    if (logged := log.figure("state_bytes")) is not None:
        rows.append(_bytes_row("States", logged, state))
    if (buffer := log.figure("compute_bytes")) is not None:
        rows.append(_compute_row(buffer, spec, asked))
    return rows


def _cache_row(place: int, log: ServerLog, groups: list[CacheGroup]) -> LogRow:
    """One cache: cells over all streams, layers and MiB."""
    cache = log.caches[place] if place < len(log.caches) else None
    group = groups[place] if place < len(groups) else None
    ours = 0 if group is None else (group.page_bytes or 0) * (group.pages_per_request or 0)
    logged = cache.mib.value * MIB if cache else 0.0
    cells = 0 if group is None else (group.pages_per_request or 0) * (group.block_size or 0)
    same = cache is not None and group is not None and cache.layers == group.num_layers
    said = f"{cache.cells * cache.streams:,} cells, {cache.layers} layers, {cache.mib.value:,.2f} MiB" if cache else "–"
    half = 0.0 if cache is None else (cache.mib.half_step + 0.0005) * MIB
    return LogRow(
        name=f"Cache of {group.kind}" if group else "Another cache",
        logged=said,
        ours=f"{cells:,} cells, {group.num_layers} layers, {ours / MIB:,.2f} MiB" if group else "–",
        equal=same and abs(logged - ours) <= half,
        why="" if same else "Not the same layers: is this the log of the model above?",
    )


def _bytes_row(name: str, figure: LogFigure, ours: int) -> LogRow:
    return LogRow(
        name=name,
        logged=f"{figure.value / MIB:,.2f} MiB",
        ours=f"{ours / MIB:,.2f} MiB",
        equal=abs(figure.value - ours) <= figure.half_step + 1,
    )


def _compute_row(buffer: LogFigure, spec: ModelSpec, asked: dict[str, Any]) -> LogRow:
    logged = f"{buffer.value / MIB:,.2f} MiB"
    try:
        ours = compute_buffer(spec, **asked)
    except EngineError as refused:
        return LogRow(name="Compute buffer", logged=logged, ours="–", equal=None, why=str(refused))
    near = abs(ours - buffer.value) <= buffer.half_step + TOO_FAR * buffer.value
    return LogRow(
        name="Compute buffer",
        logged=logged,
        ours=f"{ours / MIB:,.2f} MiB",
        equal=near,
        why=""
        if near
        else "Ours is fitted to dense models of one build on the CPU; the graph's layout differs by "
        "build, backend and shape. Take the log's.",
    )


def _counted(name: str, figure: LogFigure | None, ours: int | None, plan: EnginePlan) -> LogRow | None:
    if figure is None or ours is None:
        return None
    equal = int(figure.value) == ours
    why = "" if equal else f"Ours is {plan.version}'s for this model and these settings."
    return LogRow(name=name, logged=f"{figure.value:,.0f}", ours=f"{ours:,}", equal=equal, why=why)


def _ranged(name: str, figure: LogFigure | None, low: int, high: int, why: str) -> LogRow | None:
    if figure is None:
        return None
    return _range(name, figure.value, low, high, low <= figure.value <= high, why)


def _range(name: str, logged: float, low: int, high: int, equal: bool, why: str) -> LogRow:
    ours = f"{low:,}" if low == high else f"{low:,} to {high:,}"
    return LogRow(name=name, logged=f"{logged:,.0f}", ours=ours, equal=equal, why=why)


def _other_version(log: ServerLog, plan: EnginePlan) -> str:
    """' The log is of 0.19.0, our rules of vLLM 0.33.0.' where they differ."""
    if not log.version or log.version in plan.version:
        return ""
    return f" The log is of {log.version}, our rules of {plan.version}."


def take_gib(log: ServerLog) -> float | None:
    """The log's memory for the cache in GiB, as it is taken for the budget."""
    taken = available_bytes(log)
    return None if taken is None else round(taken / GIB, 4)
