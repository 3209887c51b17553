"""KV-cache eviction: what a window, sinks and heavy hitters keep, and whether a marked token is among it."""

import streamlit as st

from core.learning.techniques.figures import EVICT_TOKENS
from core.learning.techniques.published import published
from pages.learn.screens import technique

TOKENS = 160
BUDGETS = (512, 1_024, 2_048, 4_096, 6_144, 8_192)


def policies() -> None:
    """Budget, sinks and the marked token; the four policies side by side."""
    first, second, third = st.columns(3)
    budget = first.slider("Budget, tokens", 8, TOKENS, 40, key="eviction_budget", bind="query-params")
    sinks = second.slider("Sinks", 0, 16, 4, key="eviction_sinks", bind="query-params")
    marked = third.slider("Marked token", 1, TOKENS, 60, key="eviction_marked", bind="query-params")
    technique.picture("evicted", num_tokens=TOKENS, budget=budget, num_sinks=sinks, marked=marked)


def forgets() -> None:
    """One token followed through the policies, or the bytes that a budget and fewer KV heads save alike."""
    show = st.segmented_control("Show", ("what is lost", "what is saved"), default="what is lost", required=True,
                                key="eviction_show", bind="query-params")  # fmt: skip
    if show == "what is saved":
        kept = st.select_slider("Tokens kept of 8,192", BUDGETS, 2_048, format_func=lambda count: f"{count:,}",
                                key="eviction_kept", bind="query-params")  # fmt: skip
        technique.picture("forgotten", num_tokens=EVICT_TOKENS, budget=kept)
        return
    first, second = st.columns(2)
    marked = first.slider("Token to ask for", 1, TOKENS, 60, key="eviction_follow", bind="query-params")
    budget = second.slider("Room for tokens", 8, TOKENS, 40, key="eviction_room", bind="query-params")
    technique.picture("evicted", name="followed", num_tokens=TOKENS, budget=budget, num_sinks=4, marked=marked)


def evidence() -> None:
    """The published effect of sinks, and where the other figures stand."""
    technique.picture("sinks")
    for name in ("sinks", "heavy_hitters", "snapkv"):
        technique.cite(published()[name].source)


technique.page("eviction", {"policies": policies, "forgets": forgets, "published": evidence})
