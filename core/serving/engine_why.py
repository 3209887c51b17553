"""Why this many requests, in one sentence for any job; and where a server's log misleads, with the knob that moves it.

A log's figure is right by its own reckoning. What people can count on may be another: prefixes are kept out of the same
pool as requests, slots are reserved for copies of a state, a context is shared by all slots.
"""

from dataclasses import dataclass
from math import floor

from core.engines.plan import EngineError, EnginePlan
from core.serving.footprint import Footprint, footprint
from core.serving.inverse import largest_batch
from core.serving.memory_plan import MemoryPlan
from core.units import format_bytes


@dataclass(frozen=True, kw_only=True)
class Misleading:
    """A figure of the server's log, what people can count on, and what moves it."""

    logged: str
    count_on: str
    knob: str
    why: str


def why_sentence(plan: MemoryPlan) -> str:
    """'Why 45 requests at once: 40.0 GB are left …': how many one copy serves, and what sets it."""
    said, job = _why(plan), plan.job
    if job.replicas == 1:
        return said
    each = "ranks of requests" if job.data_parallel > 1 else "copies"
    return said.replace(" at once:", f" at once on each of {job.replicas:,} {each}:", 1)


def _at_once(number: int) -> str:
    """'Why 45 requests at once'."""
    return f"Why {number:,} request{'' if number == 1 else 's'} at once"


def _why(plan: MemoryPlan) -> str:
    asked = plan.engine_plan
    left = max(plan.budget_bytes - plan.loaded_bytes - plan.runtime_bytes, 0)
    tokens = f"{plan.job.context_length:,}"
    if asked is None:
        each = plan.cached_bytes / plan.job.batch_per_replica
        if not each:
            return ""
        return _unlike(plan, floor(left / each)) or (
            f"{_at_once(floor(left / each))}: {format_bytes(left)} are left for the cache and a request of "
            f"{tokens} tokens takes {format_bytes(each)}."
        )
    if asked.fits is False and not asked.max_concurrency and asked.engine in ("vllm", "sglang"):
        return f"Why none: {format_bytes(left)} are left for the cache, and a request of {tokens} tokens does not fit."
    if asked.engine == "vllm":
        return _why_vllm(asked, left, tokens)
    if asked.engine == "sglang":
        return _why_sglang(asked, plan.job.context_length)
    if asked.engine == "llama.cpp":
        return _why_llama_cpp(plan, left)
    each = plan.kv_reserved_bytes / plan.job.batch_per_replica
    if not each:
        return ""
    return _unlike(plan, floor(left / each)) or (
        f"{_at_once(floor(left / each))}: {format_bytes(left)} are left for the cache and {asked.version} takes "
        f"{format_bytes(each)} for a request of {tokens} tokens."
    )


def _unlike(plan: MemoryPlan, divided: int) -> str:
    """How many one copy holds, where that is not what is left divided by what one of this batch takes: requests share a
    prefix, a prefill or a draft, have logits beside them, or the engine takes no more. Empty where it is."""
    job = plan.job
    answer = largest_batch(job)
    held = answer // job.replicas
    if held == divided or answer.at_limit:
        return ""
    needs, context = footprint(job, plan.stage), job.context_length
    some = max(held, 1)
    left = format_bytes(max(plan.budget_bytes - plan.loaded_bytes - needs.runtime_bytes(some, context), 0))
    taken = needs.total_bytes(some, context) - plan.loaded_bytes - needs.runtime_bytes(some, context)
    if not held:
        return (
            f"Why none: {left} are left for the cache and a request of {context:,} tokens takes {format_bytes(taken)}."
        )
    who = f"a request of {context:,} tokens takes" if held == 1 else f"so many of {context:,} tokens take"
    asked = "" if plan.engine_plan is None else plan.engine_plan.version
    more = "one more does not fit" if _lacks_bytes(needs, held + 1, plan) else f"{asked} takes no more at once"
    return f"{_at_once(held)}: {left} are left for the cache and {who} {format_bytes(taken)}; {more}."


def _lacks_bytes(needs: Footprint, batch: int, plan: MemoryPlan) -> bool:
    """Whether so many need more than the budget; not where the engine refuses them."""
    try:
        return needs.total_bytes(batch, plan.job.context_length) > plan.budget_bytes
    except EngineError:
        return False


def _why_vllm(asked: EnginePlan, left: int, tokens: str) -> str:
    page = max((group.page_bytes or 0 for group in asked.groups), default=0)
    if not page or asked.max_concurrency is None or not asked.request_bytes:
        return ""
    each = asked.request_bytes // page
    if shared := (asked.shared_bytes or 0) // page:
        held = (left // page - shared) // max(each - shared, 1)
        return (
            f"{_at_once(held)}: {format_bytes(left)} are {left // page:,} blocks of {format_bytes(page)}, of which "
            f"{shared:,} hold the shared prefix once, and a request of {tokens} tokens takes {each - shared:,} more."
        )
    return (
        f"{_at_once(floor(asked.max_concurrency))}: {format_bytes(left)} are {left // page:,} blocks of "
        f"{format_bytes(page)}, and a request of {tokens} tokens takes {each:,} of them, so "
        f"{asked.max_concurrency:,.2f} fit."
    )


def _takes_no_more(asked: EnginePlan, held: int) -> str:
    """Whose limit it is: the server's, or a rank's share of it."""
    if any("over" in note.result for note in asked.notes if note.name == "requests"):
        return f"a rank takes no more than its share of max_running_requests, {held:,}"
    return f"the server takes no more than max_running_requests = {held:,}"


def _why_sglang(asked: EnginePlan, context: int) -> str:
    if asked.max_concurrency is None:
        return ""
    held = floor(asked.max_concurrency)
    if asked.state_slots and asked.slots_per_request and held == asked.state_slots // asked.slots_per_request:
        each = f"{asked.slots_per_request} slots are set aside for each request" if asked.slots_per_request > 1 else ""
        return (
            f"{_at_once(held)}: the states' share of the memory has {asked.state_slots:,} slots"
            f"{f', and {each}' if each else ', one a request'}, however short it is."
        )
    if held == asked.max_running_requests:
        return f"{_at_once(held)}: {_takes_no_more(asked, held)}."
    full, window = asked.capacity_tokens or 0, asked.window_capacity_tokens
    if window is not None and full // max(context, 1) > held:
        return f"{_at_once(held)}: the window pool has {window:,} tokens, full before the {full:,} others."
    share = ""
    if window is not None and asked.bytes_per_token is not None:
        share = f" of {format_bytes(asked.bytes_per_token)}, with the window tokens that are set aside for each"
    return f"{_at_once(held)}: the pool has {full:,} tokens{share}, and each request takes {context:,} of them."


def _why_llama_cpp(plan: MemoryPlan, left: int) -> str:
    slots = plan.job.batch_per_replica
    return (
        f"{_at_once(slots)}: llama.cpp allocates the context of all {slots:,} slots at its start, "
        f"{format_bytes(plan.kv_reserved_bytes)} of the {format_bytes(left)} left; more slots share it or take more."
    )


def misleading(plan: MemoryPlan) -> tuple[Misleading, ...]:
    """Where this server's own log says more than people can count on; empty where it does not."""
    asked = plan.engine_plan
    if asked is None:
        return ()
    if asked.engine == "llama.cpp":
        return _llama_cpp(plan, asked)
    prefixes = dict(plan.job.engine_settings).get("prefix_caching", True)
    return misleading_pool(asked, plan.job.context_length, prefixes=prefixes)


def misleading_pool(asked: EnginePlan, context_length: int, *, prefixes: object = True) -> tuple[Misleading, ...]:
    """The same of a pool alone, vLLM's or SGLang's, for requests of that many tokens; prefixes says whether prompts are
    cached."""
    if asked.engine == "vllm":
        return _vllm(asked, context_length, prefixes)
    return _sglang(asked, context_length) if asked.engine == "sglang" else ()


def prompts_kept(asked: EnginePlan, context: int) -> int | None:
    """Prompts of this length whose checkpoints all stay in the pool where a state is kept at every block (vLLM's align
    mode before 0.33, and where a retention interval asks for it); None without states or memory."""
    states = [group for group in asked.groups if group.kind == "state"]
    if not states or asked.max_concurrency is None or not asked.block_size or not asked.request_bytes:
        return None
    page = max(group.page_bytes or 0 for group in asked.groups)
    others = sum(group.pages_per_request or 0 for group in asked.groups if group.kind != "state")
    blocks = round(asked.max_concurrency * (asked.request_bytes // page))
    return blocks // (len(states) * -(-context // asked.block_size) + others)


def _vllm(asked: EnginePlan, context: int, prefixes: object) -> tuple[Misleading, ...]:
    kept = prompts_kept(asked, context)
    if kept is None or prefixes is False or asked.max_concurrency is None or kept >= floor(asked.max_concurrency):
        return ()
    states = sum(group.kind == "state" for group in asked.groups)
    each = states * -(-context // (asked.block_size or 1))
    return (
        Misleading(
            logged=f"Maximum concurrency for {context:,} tokens per request: {asked.max_concurrency:,.2f}x",
            count_on=f"{kept:,} prompts of {context:,} tokens that stay cached with a state at every block",
            knob="--mamba-block-size (before 0.33), --prefix-cache-retention-interval (0.33), or prefix caching off",
            why=f"With prefix caching (align mode) states are also kept at checkpoints, out of the same pool: at every "
            f"block of {asked.block_size or 0:,} tokens they would be {each:,} pages a prompt. vLLM 0.33 keeps one at "
            "the prompt's end unless told otherwise, versions before it one at every block. They give way to running "
            "requests, and the prompts whose states went are computed again.",
        ),
    )


def _sglang(asked: EnginePlan, context: int) -> tuple[Misleading, ...]:
    found = []
    held = None if asked.max_concurrency is None else floor(asked.max_concurrency)
    tokens = asked.capacity_tokens or 0
    by_tokens = tokens // max(context, 1)
    slots, each = asked.state_slots, asked.slots_per_request or 1
    if held is not None and slots and held <= slots // each and by_tokens > held:
        found.append(
            Misleading(
                logged=f"max_total_num_tokens={tokens:,}, max_mamba_cache_size: {slots:,}",
                count_on=f"{held:,} requests, not the {by_tokens:,} that the tokens would hold",
                knob="--mamba-full-memory-ratio, or --disable-radix-cache for one slot a request",
                why=f"{each} slot{'s' if each != 1 else ''} a request {'are' if each != 1 else 'is'} reserved and one "
                "is held: the others are copies for the prefix cache and the step in flight.",
            )
        )
    window = asked.window_capacity_tokens
    if held is not None and window is not None and by_tokens > held and not slots:
        found.append(
            Misleading(
                logged=f"full_layer_tokens={tokens:,}, swa_layer_tokens={window:,}",
                count_on=f"{held:,} requests of {context:,} tokens, not the {by_tokens:,} that the tokens would hold",
                knob="--swa-full-tokens-ratio",
                why="The window pool is a fixed share of the tokens whatever the window, and the one that is full "
                "first decides.",
            )
        )
    return tuple(found)


def _llama_cpp(plan: MemoryPlan, asked: EnginePlan) -> tuple[Misleading, ...]:
    slots, cells = plan.job.batch_per_replica, asked.capacity_tokens or 0
    if slots < 2:
        return ()
    shared = bool(dict(plan.job.engine_settings).get("kv_unified", False))
    count_on = (
        f"{cells:,} tokens for all {slots:,} together: one long request leaves the others none"
        if shared
        else f"{cells // slots:,} tokens a slot, whatever the others leave empty"
    )
    return (
        Misleading(
            logged=f"n_ctx = {cells:,}",
            count_on=count_on,
            knob="-np (slots), -c (the total), --kv-unified (one pool for all)",
            why="llama.cpp's context is the total of all slots: more slots at the same -c are shorter ones.",
        ),
    )
