"""A published model on given accelerators: how many requests, how long a context, how few accelerators, what fills
the memory. G is the model's own here; another G is another model, asked for apart.
"""

import re
from dataclasses import dataclass

from core.engines.plan import EngineError
from core.serving.budget import budget_memory_bytes, is_another_server_s
from core.serving.inverse import Answer, fewest_accelerators, largest_batch, longest_context
from core.serving.job import PAYLOAD, ServingJob
from core.serving.memory_plan import MemoryPlan, plan
from core.serving.what_if import allowed_kv_heads, own_kv_heads
from core.units import format_binary, format_both

ONE_REQUEST = {"batch_size": 1}


@dataclass(frozen=True, kw_only=True)
class Served:
    """The answers for one job; plan holds as many requests as fit, or one where none does.

    engine_refusal says why the job's engine cannot be asked: the answers are the payload's then.
    """

    job: ServingJob
    requests: Answer
    longest: Answer
    fewest: Answer
    plan: MemoryPlan
    engine_refusal: str = ""


@dataclass(frozen=True, kw_only=True)
class OtherHeads:
    """The same shapes with another G: another model, which somebody would have to train."""

    num_kv_heads: int
    requests: int | None  # None where the engine cannot be asked for it
    refusal: str = ""


@dataclass(frozen=True, kw_only=True)
class MemoryPart:
    """One stretch of an accelerator's memory."""

    name: str
    num_bytes: int
    says: str


def serve(job: ServingJob) -> Served:
    """Answers at the job's context; its batch_size is not looked at. Raises SizingError as plan(job) does."""
    try:
        return _served(job.where(num_kv_heads=None, window_pattern=None, **ONE_REQUEST), "")
    except EngineError as refused:
        payload = job.where(num_kv_heads=None, window_pattern=None, engine=PAYLOAD, engine_settings=(), **ONE_REQUEST)
        return _served(payload, str(refused))


def _served(one: ServingJob, refusal: str) -> Served:
    requests = largest_batch(one)
    return Served(
        job=one,
        requests=requests,
        longest=longest_context(one),
        fewest=fewest_accelerators(one),
        plan=plan(one.where(batch_size=max(int(requests), 1))),
        engine_refusal=refusal,
    )


def first_line(name: str, served: Served) -> str:
    """'Qwen3-32B on one H100 SXM5 80 GB: 3 requests at 32,768 tokens'."""
    return f"{model_words(name)} on {device_words(served.job)}: {request_words(served)}"


def request_words(served: Served) -> str:
    """'3 requests at 32,768 tokens'."""
    count = int(served.requests)
    least = "at least " if served.requests.at_limit else ""
    return f"{least}{count:,} request{'' if count == 1 else 's'} at {served.job.context_length:,} tokens"


def model_words(name: str) -> str:
    """A registry's name with its size joined as repositories write it: 'Qwen3 32B' -> 'Qwen3-32B'."""
    return re.sub(r" (?=\d[\d.]*[BM](?:\b|-))", "-", name)


def device_words(job: ServingJob) -> str:
    """'one H100 SXM5 80 GB', '4 × H100 SXM5 80 GB', or what a log said of a server that has more."""
    name = job.device.name
    if job.measured is not None and is_another_server_s(job):
        each = " on each rank" if job.tensor_parallel > 1 else ""
        return f"a server with {format_binary(job.measured.cache_bytes, 2)} for the cache{each}"
    return f"one {name}" if job.num_accelerators == 1 else f"{job.num_accelerators:,} × {name}"


def longest_sentence(served: Served) -> str:
    """What holds the length of one request, and what the config declares where that is less."""
    longest, declared = int(served.longest), served.job.model.dimensions.max_context_length
    if not served.longest.fits:
        return served.longest.sentence
    beyond = f" The config declares {declared:,} at most." if declared is not None and longest > declared else ""
    if served.longest.at_limit:
        return f"Memory sets no limit up to {longest:,} tokens.{beyond}"
    return f"One token more does not fit.{beyond}"


def fewest_sentence(served: Served) -> str:
    """How many hold one request of the job's context as one copy of the model, split by tensor parallel."""
    if not served.fewest.fits:
        return served.fewest.sentence
    count = int(served.fewest)
    split = "It is not split." if count == 1 else f"One copy is split over {count:,} (tensor parallel {count:,})."
    return f"{split} Weights and {served.job.context_length:,} tokens of cache fit."


def other_heads(served: Served) -> tuple[OtherHeads, ...]:
    """Every G that the shapes allow beside the model's own, ascending; empty where G is no dial."""
    job = served.job
    own = own_kv_heads(job.model)
    return tuple(_with_heads(job, g) for g in allowed_kv_heads(job.model, job.tensor_parallel) if g != own)


def _with_heads(job: ServingJob, num_kv_heads: int) -> OtherHeads:
    try:
        return OtherHeads(num_kv_heads=num_kv_heads, requests=int(largest_batch(job.where(num_kv_heads=num_kv_heads))))
    except EngineError as refused:
        return OtherHeads(num_kv_heads=num_kv_heads, requests=None, refusal=str(refused))


def other_heads_sentence(served: Served, others: tuple[OtherHeads, ...]) -> str:
    """'Had it 4 KV heads and not 8, …: 6 requests in place of 3.'; empty without a dial, or where no G helps."""
    own = own_kv_heads(served.job.model)
    known = [other for other in others if other.requests is not None]
    if own is None or not any(other.requests for other in known):
        return ""
    fewer = [other for other in known if other.num_kv_heads < own]
    near = fewer[-1] if fewer else known[0]
    heads = f"{near.num_kv_heads} KV head{'' if near.num_kv_heads == 1 else 's'}"
    requests = f"{near.requests:,} request{'' if near.requests == 1 else 's'}"
    return f"Had it {heads} and not {own}, it would be another model, still to be trained: {requests} in place of " + (
        f"{int(served.requests):,}."
    )


def memory_parts(served: Served) -> tuple[MemoryPart, ...]:
    """What fills one accelerator, from the first byte to the last that its maker counts; they add up to its memory.

    Where the job does not fit, what is missing stands beyond the memory, as the last part.
    """
    made = served.plan
    count = made.job.batch_per_replica
    requests = f"{count:,} request{'' if count == 1 else 's'} of {made.job.context_length:,} tokens"
    weights = "weights" if made.job.draft is None else "weights and draft"
    parts = [
        MemoryPart(name="weights", num_bytes=made.loaded_bytes, says=weights),
        MemoryPart(name="cache", num_bytes=made.cached_bytes, says=f"cache of {requests}"),
        MemoryPart(name="reserve", num_bytes=made.runtime_bytes, says="activations and runtime"),
    ]
    if made.headroom_bytes < 0:
        missing = MemoryPart(name="missing", num_bytes=-made.headroom_bytes, says="more than the budget")
        return (*parts, missing)
    return (*parts, *(part for part in _not_filled(made) if part.num_bytes > 0))


def _not_filled(made: MemoryPlan) -> list[MemoryPart]:
    memory, counted = made.job.device.memory_bytes or 0, budget_memory_bytes(made.job)
    outside = counted - made.budget_bytes
    free = MemoryPart(name="free", num_bytes=made.headroom_bytes, says=f"free: {_why_no_more(made)}")
    if is_another_server_s(made.job):
        return [free]
    left = made.job.device.memory_free_bytes
    shared = f", or the system's: it leaves {format_both(left, 2)}" if left is not None else ""
    return [
        free,
        MemoryPart(name="outside", num_bytes=outside, says=f"outside the engine's share{shared}"),
        MemoryPart(name="unseen", num_bytes=memory - counted, says="reported by the card, not seen by torch"),
    ]


def _why_no_more(made: MemoryPlan) -> str:
    """What keeps the next request out of the bytes that are free: they are too few, or the engine takes no more."""
    asked, batch = made.engine_plan, made.job.batch_per_replica
    if asked is None or made.headroom_bytes < made.cached_bytes // batch:
        return "not enough for one more"
    if asked.max_running_requests is not None and batch >= asked.max_running_requests:
        return f"{asked.version} takes {batch:,} requests at once at most"
    return f"{asked.version} has no room for one more in its pools"
