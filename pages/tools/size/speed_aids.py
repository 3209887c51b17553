"""What speeds a server up: a draft, a prefix that requests share, a cache outside; inputs and bounds."""

from typing import Any

import streamlit as st

from core.errors import SizingError, require_number
from core.figures.comparison import plain
from core.models.hub.pulls import HubError
from core.serving.draft import Draft
from core.serving.memory_plan import MemoryPlan
from core.serving.offload import TIERS, Offload
from core.serving.speed_words import aids_lines
from core.units import GB
from pages.tools.size.model import HEADLINE, OWN_FILE, OWN_SHAPE, chosen_spec, model_names

NOBODY, OWN_LAYERS = "None", "The model's MTP layers"
METHODS = {"A plain draft": "draft_model", "EAGLE": "eagle", "EAGLE-3": "eagle3"}
LINKS = {words[:1].upper() + words[1:]: rate for words, rate in TIERS.values()}


def aids_inputs() -> None:
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


def aids_fields(state: Any) -> dict[str, Any]:
    """The job's fields that they ask for. Raises as chosen_spec does, of the Hub a SizingError that names the draft."""
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
    try:
        model = chosen_spec(name, state)
    except HubError as error:  # the page's own says what stands in the place of the model that is sized
        raise SizingError(_without_draft(name, error)) from error
    return Draft(method=METHODS[state["size_draft_method"]], tokens=tokens, model=model)


def _without_draft(name: str, error: HubError) -> str:
    from core.serving.near_names import instead_of_hub  # noqa: PLC0415  the Hub's client loads with a failure alone

    said = f"Draft model {plain(name)}: {plain(str(error), links=True)} {plain(instead_of_hub(name))}"
    return f"{said} Name another among More inputs, or none."


def show_aids(plan: MemoryPlan) -> None:
    """The bounds of what was asked, each with its formula and numbers; nothing where nothing was."""
    for words, formula in aids_lines(plan):
        st.markdown(f"{words}  \n`{formula}`")
