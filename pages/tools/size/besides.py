"""What a server does besides the model: a draft, a prefix that requests share, a cache outside; inputs and bounds."""

from typing import Any

import streamlit as st

from core.errors import require_number
from core.serving.beside_bounds import cached_prefix_bound, draft_bound, offload_of
from core.serving.draft import NAMED, Draft
from core.serving.memory_plan import MemoryPlan
from core.serving.offload import TIERS, Offload, OffloadBound
from core.units import GB, format_bytes
from pages.tools.size.model import HEADLINE, OWN_FILE, OWN_SHAPE, chosen_spec, model_names

NOBODY, OWN_LAYERS = "None", "The model's MTP layers"
METHODS = {"A plain draft": "draft_model", "EAGLE": "eagle", "EAGLE-3": "eagle3"}
LINKS = {words[:1].upper() + words[1:]: rate for words, rate in TIERS.values()}


def besides_inputs() -> None:
    """Six inputs that change nothing as they open."""
    one, two, three, four = st.columns(4)
    models = [name for name in model_names() if name not in (OWN_SHAPE, OWN_FILE, HEADLINE)]
    one.selectbox(
        "Draft model",
        [NOBODY, OWN_LAYERS, HEADLINE, *models],
        key="size_draft",
        bind="query-params",
        accept_new_options=True,
        help="A model of the registry, or owner/name on the Hub, that proposes tokens for this one to check: "
        "speculative decoding.",
    )
    two.selectbox("Draft method", list(METHODS), key="size_draft_method", bind="query-params")
    three.number_input("Draft tokens per step", value=3, step=1, key="size_draft_tokens", bind="query-params")
    four.number_input(
        "Shared prefix, tokens",
        value=0,
        step=1_024,
        key="size_prefix",
        bind="query-params",
        help="What all requests begin with: held once, in whole blocks on vLLM.",
    )
    one.number_input(
        "Cache offload, GB",
        value=0.0,
        step=16.0,
        key="size_offload",
        bind="query-params",
        help="Host memory or NVMe beside each accelerator, for the cache of requests that wait.",
    )
    two.selectbox("Offload over", list(LINKS), index=1, key="size_link", bind="query-params")


def besides_fields(state: Any) -> dict[str, Any]:
    """The job's fields that they ask for. Raises as chosen_spec does."""
    outside = state["size_offload"]
    require_number("offload, GB", outside, 0, 1e7)
    return {
        "draft": _draft(state),
        "shared_prefix": state["size_prefix"],
        "offload": Offload(num_bytes=round(outside * GB), bandwidth_bytes_per_s=LINKS[state["size_link"]])
        if outside else None,
    }  # fmt: skip


def _draft(state: Any) -> Draft | None:
    name, tokens = state["size_draft"], state["size_draft_tokens"]
    if name == NOBODY:
        return None
    if name == OWN_LAYERS:
        return Draft(method="mtp", tokens=tokens)
    return Draft(method=METHODS[state["size_draft_method"]], tokens=tokens, model=chosen_spec(name, state))


def show_besides(plan: MemoryPlan) -> None:
    """The bounds of what was asked, each with its formula and numbers; nothing where nothing was."""
    for words, formula in besides_lines(plan):
        st.markdown(f"{words}  \n`{formula}`")


def besides_lines(plan: MemoryPlan) -> list[tuple[str, str]]:
    """A sentence and its formula with the numbers put in, for draft, prefix and offload in turn."""
    job, found = plan.job, []
    drafted, cached, outside = draft_bound(job), cached_prefix_bound(job), offload_of(plan)
    if drafted is not None and drafted.seconds is not None and drafted.draft_seconds is not None and job.draft:
        step = (drafted.checked.step_seconds or 0.0) * 1e3
        found.append(
            (
                f"**With {NAMED[job.draft.method]}, at most {drafted.tokens_per_second:,.0f} tokens/s** over all users "
                f"where every drafted token is accepted, and {drafted.least_tokens_per_second:,.0f} where none is: "
                "bounds.",
                f"{drafted.plain.batch_size:,} × ({drafted.speculated} + 1) / ({step:,.2f} ms + {drafted.speculated} × "
                f"{format_bytes(drafted.draft_bytes)} / bandwidth = {drafted.seconds * 1e3:,.2f} ms)",
            )
        )
    if cached is not None and cached.seconds is not None:
        found.append(
            (
                f"**Time to first token ≥ {cached.seconds:,.2f} s with the shared prefix in the cache**: a bound. "
                f"{cached.caveat}".rstrip(),
                f"prefill of {cached.tokens:,} of {job.context_length:,} tokens, by the formula above",
            )
        )
    if outside is not None and job.offload is not None:
        again = outside.recompute_seconds
        beside = "" if again is None else f", to work it out again ≥ {again:,.3g} s"
        found.append(
            (
                f"**Outside wait {outside.requests_kept:,} more requests**; to bring one back takes ≥ "
                f"{outside.load_seconds:,.3g} s{beside}: bounds.",
                f"{_kept(job.offload, outside)}; {format_bytes(outside.moved_bytes)} / "
                f"{job.offload.bandwidth_bytes_per_s / GB:,.0f} GB/s",
            )
        )
    return found


def _kept(offload: Offload, outside: OffloadBound) -> str:
    """How many requests lie outside: by the chunks of vLLM's own offload, else by bytes."""
    if outside.chunks_kept is None or outside.chunks_of_a_request is None:
        return f"{format_bytes(offload.num_bytes)} / {format_bytes(outside.request_bytes)}"
    return f"{outside.chunks_kept:,} blocks outside / {outside.chunks_of_a_request:,} of a request"
