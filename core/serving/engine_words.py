"""Why an engine takes what it takes, in a sentence, and engines side by side for one model, memory and job."""

from collections import Counter
from dataclasses import dataclass
from math import floor

from core.engines.job_memory import pool_share_bytes
from core.engines.plan import CacheGroup, EnginePlan
from core.errors import SizingError
from core.serving.footprint import footprint, footprints
from core.serving.inverse import largest_batch
from core.serving.job import PAYLOAD, ServingJob
from core.serving.memory_plan import MemoryPlan
from core.units import format_bytes

NAMES = {
    "vllm": "vLLM",
    "sglang": "SGLang",
    "llama.cpp": "llama.cpp",
    "mlx": "MLX",
    "transformers": "transformers",
    PAYLOAD: "Payload alone",
}
WORTH_SAYING = 0.1  # of the payload: an engine that takes so much more or less is worth a sentence
NO_CAUSE = (
    "capacity",
    "requests",
    "concurrency",
    "prompts",
    "static cache",
    "static window",
)  # notes of something else
_DIGITS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


@dataclass(frozen=True, kw_only=True)
class EngineRow:
    """One engine's answer. A refusal says why there are no figures."""

    engine: str
    version: str = ""
    request_bytes: int | None = None  # of one request of the job's context, on one rank
    times_payload: float | None = None
    requests: int | None = None  # at once, over all copies
    reason: str = ""
    refusal: str = ""


def payload_of_a_request(plan: MemoryPlan) -> int:
    """Keys, values and side caches of one request on one rank, copies of KV heads included."""
    needs = footprint(plan.job.where(engine=PAYLOAD, engine_settings=(), block_size=1), plan.stage)
    return needs.reserved_bytes(1, plan.job.context_length)


def engine_sentence(plan: MemoryPlan) -> str:
    """'A request of 512 tokens takes 38.6 times its keys and values on vLLM 0.33.0: …'; empty within a tenth."""
    asked = plan.engine_plan
    if asked is None:
        return ""
    batch = plan.job.batch_per_replica
    payload = payload_of_a_request(plan)
    taken, states = plan.kv_reserved_bytes / batch, states_of_a_request(plan)
    return taken_sentence(asked, plan.job.context_length, taken, payload, states)


def states_of_a_request(plan: MemoryPlan) -> int:
    """The constant states of one request on one rank, as the attention pattern needs them."""
    job = plan.job.where(engine=PAYLOAD, engine_settings=(), block_size=1)
    return footprint(job, plan.stage).state_bytes(1)


def taken_sentence(
    asked: EnginePlan, context_length: int, taken_bytes: float, payload_bytes: float, state_bytes: int = 0
) -> str:
    """The same for any model: what a request takes on one rank beside its payload; empty within a tenth."""
    if not payload_bytes or abs(taken_bytes / payload_bytes - 1) <= WORTH_SAYING:
        return ""
    beside = _states_alone(taken_bytes, payload_bytes, state_bytes)
    return (
        f"A request of {context_length:,} tokens takes {taken_bytes / payload_bytes:,.3g} times its keys and values on "
        f"{asked.version}: {beside or cause(asked)}."
    )


def _states_alone(taken_bytes: float, payload_bytes: float, state_bytes: int) -> str:
    """That states of constant size are what is beside the payload; empty where something else is too."""
    if not state_bytes or abs(taken_bytes - payload_bytes - state_bytes) > WORTH_SAYING * (payload_bytes + state_bytes):
        return ""
    return f"states of constant size, {format_bytes(state_bytes)}, stand beside them"


def cause(asked: EnginePlan) -> str:
    """What the groups take, else the first reason that the plan's notes give."""
    states = [group for group in asked.groups if group.kind == "state"]
    pages = {group.page_bytes for group in asked.groups}
    if asked.engine == "vllm" and states and len(pages) == 1:
        others = [group for group in asked.groups if group.kind != "state"]
        pinned = sum(group.pages_per_request or 0 for group in asked.groups)
        said = [f"{_count(len(states), 'group')} of states {_pin(states)}"]
        said += [f"{_count(number, 'group')} of {kind} {_pin([one])}" for (kind, one), number in _by_kind(others)]
        wider = next((note for note in asked.notes if note.name == "cache type"), None)
        fewer = "" if wider is None else "; fewer bits put more tokens into a page, which stays as large as a state"
        return f"{' and '.join(said)}, {pinned} pages of {format_bytes(pages.pop() or 0)}{fewer}"
    if asked.engine == "sglang" and states:
        slots, each = states[0].pages_per_request or 1, format_bytes(states[0].page_bytes or 0)
        return (
            f"{_count(slots, 'slot')} of {each} {'are' if slots > 1 else 'is'} set aside for the states of each request"
        )
    ignored = next((note for note in asked.notes if note.name == "cache type" and note.result == "ignored"), None)
    if ignored is not None:
        return _as_clause(ignored.reason.rstrip("."))
    told = [note for note in asked.notes if note.reason and note.name not in NO_CAUSE]
    reasons = [note.reason.rstrip(".") for note in told]
    return _as_clause(reasons[-1]) if reasons else "its pages are not full"


def _as_clause(sentence: str) -> str:
    """Without its capital, unless that is a name's: SGLang, MLX."""
    named = sentence[1:2].isupper()
    return sentence if named else sentence[:1].lower() + sentence[1:]


def _by_kind(groups: list[CacheGroup]) -> list[tuple[tuple[str, CacheGroup], int]]:
    counted = Counter(group.kind for group in groups)
    first = {group.kind: group for group in reversed(groups)}
    return [((kind, first[kind]), number) for kind, number in counted.items()]


def _pin(groups: list[CacheGroup]) -> str:
    pages = groups[0].pages_per_request or 0
    verb = "take" if len(groups) > 1 else "takes"
    return f"{verb} {_number(pages)} page{'s' if pages != 1 else ''}{' each' if len(groups) > 1 else ''}"


def _count(number: int, noun: str) -> str:
    return f"{_number(number)} {noun}{'s' if number != 1 else ''}"


def _number(number: int) -> str:
    return _DIGITS[number] if number < len(_DIGITS) else f"{number:,}"


def requests_sentence(plan: MemoryPlan) -> str:
    """How many requests the engine serves at once from what is left, and which knob moves it; empty for the payload."""
    asked = plan.engine_plan
    if asked is None:
        return ""
    if asked.max_concurrency is None:
        if asked.fits is not False:  # llama.cpp allocates for its slots and counts no requests
            return ""
        return f"{asked.version} does not hold one such request in what is left."
    knob = next((note for note in asked.notes if note.name == "requests"), None)
    served = floor(asked.max_concurrency)
    decides = knob is not None and asked.max_running_requests in (None, served)  # else tokens or windows end first
    why = f" ({knob.result}). {knob.reason}" if knob is not None and decides else "."
    return f"{asked.version} serves {served:,} such request{'s' if served != 1 else ''} at once on one copy{why}"


def side_by_side(job: ServingJob) -> tuple[EngineRow, ...]:
    """Each engine's answer for the job; settings of the job's own engine count for that engine alone."""
    return tuple(_row(job, engine) for engine in NAMES)


def _row(job: ServingJob, engine: str) -> EngineRow:
    settings = job.engine_settings if engine == job.engine else ()
    try:  # a job of one engine may be none of another's: what it splits, drafts or shares
        at = job.where(engine=engine, engine_settings=settings, num_kv_heads=job.num_kv_heads)
        needs = max(footprints(at), key=lambda stage: stage.reserved_bytes(1, at.context_length))
        each = needs.reserved_bytes(1, at.context_length) + needs.state_bytes(1)
        requests = int(largest_batch(at))
    except (SizingError, ImportError) as refused:
        return EngineRow(engine=engine, refusal=str(refused))
    asked = None if needs.engine is None else needs.engine.plan(1, at.context_length)
    own = footprint(job.where(engine=PAYLOAD, engine_settings=(), block_size=1, draft=None), needs.stage)
    base, states = own.reserved_bytes(1, at.context_length), own.state_bytes(1)
    return EngineRow(
        engine=engine,
        version=asked.version if asked is not None else "",
        request_bytes=each,
        times_payload=each / base if base else None,
        requests=requests,
        reason=_row_reason(asked, each, base, states, at.context_length),
    )


def _row_reason(asked: EnginePlan | None, taken: int, base: int, states: int, context: int) -> str:
    if asked is None:
        return "what the attention pattern needs" + (", states included" if states else "")
    if base and abs(taken / base - 1) <= WORTH_SAYING:
        share = pool_share_bytes(asked, context_length=context)
        if share is not None and share / base - 1 > WORTH_SAYING:
            return f"window tokens are set aside for each token of the pool: that is {share / base:.3g} times"
        return "its payload, within a tenth"
    return _states_alone(taken, base, states) or cause(asked)
