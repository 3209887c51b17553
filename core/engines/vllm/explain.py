"""The groups and the lines that explain a vLLM plan."""

from functools import lru_cache

from core.engines.plan import CacheGroup, PlanNote
from core.engines.vllm.blocks import FLASH_MLA_BLOCK, KERNEL_BLOCK
from core.engines.vllm.caches import WINDOW_KINDS, Kind, LayerCache
from core.engines.vllm.classes import CACHE_TYPE_IGNORED
from core.engines.vllm.groups import Group
from core.engines.vllm.layout import Layout
from core.engines.vllm.own import SIXTEEN_BITS
from core.engines.vllm.rows import SCALED, TURBOQUANT

COUNTED_IN = "The figure counts the null block in, which no request gets."
HELD_BACK = "One block is held back for padding (the null block)."


def groups_of(layout: Layout, context: int) -> tuple[CacheGroup, ...]:
    """Each group with the pages that one request pins in it and what its tokens and states fill of them."""
    made: list[CacheGroup] = []
    for group, number in layout.runs:
        made += [_group(group, layout.longest, context)] * number
    return tuple(made)


def _group(group: Group, longest: int, context: int) -> CacheGroup:
    cache = group.layers[0][0]
    return CacheGroup(
        kind=f"{cache.kind.value} {cache.window:,}" if cache.window else cache.kind.value,
        num_layers=group.num_layers,
        padded_layers=longest - group.num_layers,
        block_size=cache.block_size or None,
        page_bytes=group.page_bytes,
        pages_per_request=group.blocks(context),
        filled_bytes=sum(each.filled(context) * number for each, number in group.layers),
    )


def notes_of(
    layout: Layout, context: int, blocks: int, memory: int | None, concurrency: float | None, prefix: int = 0
) -> tuple[PlanNote, ...]:
    """The lines of a plan: block, pool, request, a draft, a shared prefix, and where memory is given how many requests
    it holds."""
    lines = (
        *_fixed(layout),
        _request(layout, context, blocks),
        *_draft(layout, context),
        *_shared(layout, context, prefix),
    )
    return lines if memory is None else (*lines, _capacity(layout, context, blocks, memory, concurrency))


@lru_cache(maxsize=4096)
def _fixed(layout: Layout) -> tuple[PlanNote, ...]:
    """What does not depend on the job."""
    return _block(layout), _pool(layout), *_cache_type(layout)


def _cache_type(layout: Layout) -> tuple[PlanNote, ...]:
    """Why fewer bits save nothing, or little: a class that takes no cache type, or pages as large as a state."""
    asked = layout.settings.cache_type
    if asked in SIXTEEN_BITS or not layout.attends:
        return ()
    if layout.model.text_class in CACHE_TYPE_IGNORED:
        why = f"The class {layout.model.text_class} passes no cache type on: its cache keeps the model's own 16 bits."
        result = "ignored"
    elif layout.state_bytes is not None:
        why = "Fewer bits put more tokens into a page; the page stays as large as a state, and a request takes as many "
        why += "of them for its states as before."
        result = f"{layout.block_size:,} tokens in a page"
    else:
        return ()
    name = f"--kv-cache-dtype {asked}"
    return (PlanNote(name="cache type", formula=name, numbers="", result=result, reason=why),)


def _block(layout: Layout) -> PlanNote:
    if layout.state_bytes is None or not layout.attends:
        return PlanNote(
            name="block size",
            formula="what the attention backend takes",
            numbers="",
            result=f"{layout.block_size:,} tokens",
            reason=f"A request takes whole blocks.{_beside_elements(layout)}{_wider_on_a_server(layout)}",
        )
    return PlanNote(
        name="block size",
        formula="least multiple whose page holds one layer's state",
        numbers=f"state of {layout.state_bytes:,} bytes",
        result=f"{layout.block_size:,} tokens",
        reason="Attention and recurrent layers share one pool, so a page of keys and values is as large as a state.",
    )


def _beside_elements(layout: Layout) -> str:
    """What the cache's type keeps beside its elements, or in place of them (rows.py, Frame.skipped)."""
    cache_type = layout.settings.cache_type
    if cache_type in TURBOQUANT:
        return " The first and last layers stay in 16 bits; the others keep scales for each head of a token."
    if cache_type in SCALED:
        return " Each head of a token keeps two scales of 4 bytes."
    return ""


def _wider_on_a_server(layout: Layout) -> str:
    """An 8-bit latent without an index: the plan is that of a machine without FlashMLA's extension (blocks.py)."""
    latents = [cache for group in layout.groups for cache, _ in group.layers if cache.kind is Kind.LATENT]
    eight_bits = layout.settings.cache_type in ("fp8", "fp8_e4m3")
    if not (eight_bits and len(latents) == 1 and layout.block_size == KERNEL_BLOCK):
        return ""
    return f" A GPU server that loads FlashMLA takes {FLASH_MLA_BLOCK} here: name block_size {FLASH_MLA_BLOCK} for it."


def _pool(layout: Layout) -> PlanNote:
    longest = layout.longest
    padded = sum(longest - group.num_layers for group in layout.groups)
    layers = sum(group.num_layers for group in layout.groups)
    groups = "1 group" if len(layout.groups) == 1 else f"{len(layout.groups):,} groups"
    return PlanNote(
        name="groups",
        formula="groups of equal size, each with its own pages of one size",
        numbers=f"{layers:,} layers in {groups} of {longest:,}",
        result=f"{layout.pool_block_bytes:,} bytes a block",
        reason=f"{padded:,} places of {layers + padded:,} are padding." if padded else "",
    )


def _request(layout: Layout, context: int, blocks: int) -> PlanNote:
    parts: dict[tuple[str, str], int] = {}
    for group, number in layout.runs:
        rule = _rule(group.layers[0][0], context)
        parts[rule] = parts.get(rule, 0) + number
    return PlanNote(
        name="request",
        formula=" + ".join([f"{number} x {formula}" for (formula, _), number in parts.items()]),
        numbers=" + ".join([f"{number} x {numbers}" for (_, numbers), number in parts.items()]),
        result=f"{blocks:,} blocks, {blocks * layout.pool_block_bytes:,} bytes",
        reason=_why(layout),
    )


def _rule(cache: LayerCache, context: int) -> tuple[str, str]:
    """How many pages a group of such layers pins: in words and in numbers."""
    if cache.kind is Kind.STATE:
        return "states", f"{cache.state_pages:,}"
    if cache.kind in WINDOW_KINDS:
        held = cache.window - 1 + cache.in_flight_tokens
        words = "(ceil(min(window - 1 + tokens in flight, context) / block) + 1)"
        return words, f"(ceil(min({held:,}, {context:,}) / {cache.block_size:,}) + 1)"
    if cache.kind is Kind.CHUNK:
        held = cache.window + cache.in_flight_tokens
        words = "ceil(min(chunk + tokens in flight, context) / block)"
        return words, f"ceil(min({held:,}, {context:,}) / {cache.block_size:,})"
    if cache.context_ranks > 1:
        words = "ceil(context / ranks / block)"
        return words, f"ceil({context:,} / {cache.context_ranks:,} / {cache.block_size:,})"
    return "ceil(context / block)", f"ceil({context:,} / {cache.block_size:,})"


@lru_cache(maxsize=4096)
def _why(layout: Layout) -> str:
    kinds = {group.layers[0][0].kind for group in layout.groups}
    reasons = []
    if kinds & {*WINDOW_KINDS, Kind.CHUNK}:
        reasons.append("a window keeps two batches beside it, since its blocks are freed only once a step has settled")
    if Kind.STATE in kinds:
        pages = max(group.layers[0][0].state_pages for group in layout.groups)
        reasons.append(f"each group of recurrent layers takes {pages:,} whole pages, however short the request")
    return f"{'; '.join(reasons)}.".capitalize() if reasons else ""


def _capacity(layout: Layout, context: int, blocks: int, memory: int, concurrency: float | None) -> PlanNote:
    fits = concurrency is not None
    printed = f"Maximum concurrency for {context:,} tokens per request: {concurrency:.2f}x" if fits else "does not fit"
    return PlanNote(
        name="capacity",
        formula="floor(memory / block bytes) / blocks of a request",
        numbers=f"{layout.pool_blocks(memory):,} / {blocks:,}",
        result=printed,
        reason=COUNTED_IN if fits else HELD_BACK,
    )


def _draft(layout: Layout, context: int) -> tuple[PlanNote, ...]:
    """What a draft adds to the plan; nothing without one."""
    settings = layout.settings
    if settings.draft_method is None:
        return ()
    states = any(cache.kind is Kind.STATE for group in layout.groups for cache, _ in group.layers)
    more = ", and each recurrent layer keeps a state more for every speculated token" if states else ""
    return (
        PlanNote(
            name="draft",
            formula="its layers stand behind the model's, in the same groups and blocks",
            numbers=f"{settings.draft_method}, {settings.speculative_tokens:,} tokens a step",
            result=f"{layout.draft_layers:,} layer{'' if layout.draft_layers == 1 else 's'} more",
            reason=f"The draft's layers draw on the same pool{more}.{_draft_is_shorter(layout, context)}",
        ),
    )


def _draft_is_shorter(layout: Layout, context: int) -> str:
    """A plain draft that declares fewer positions than the request has (VllmConfig._limit_max_model_len_to_draft)."""
    draft = layout.settings.draft
    declared = draft.model.dimensions.max_context_length if draft is not None else None
    if layout.settings.draft_method != "draft_model" or declared is None or declared >= context:
        return ""
    return (
        f" It declares {declared:,} positions: unless they are scaled, vLLM lowers max_model_len to them and refuses "
        "longer requests."
    )


def _shared(layout: Layout, context: int, prefix: int) -> tuple[PlanNote, ...]:
    """What requests with one prefix hold once; nothing without a prefix."""
    if not prefix:
        return ()
    tokens, blocks = layout.shared_tokens(context, prefix), layout.shared_blocks(context, prefix)
    further = f" - {layout.lookahead} that the draft reads further" if layout.lookahead else ""
    rule = f"whole blocks of min(prefix{further}, context - 1); windows and states share nothing"
    return (
        PlanNote(
            name="shared prefix",
            formula=rule if layout.caches_prefixes else "prefix caching is off",
            numbers=f"min({max(prefix - layout.lookahead, 0):,}, {context - 1:,}) in blocks of {layout.hit_unit:,}",
            result=f"{tokens:,} tokens, {blocks:,} blocks held once",
        ),
    )
