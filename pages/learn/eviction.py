"""KV-cache eviction: what a window, sinks and heavy hitters keep, and whether a marked token is among it."""

import streamlit as st

from core.neighbours.published import published
from pages.parts import beside


def policies() -> None:
    """Budget, sinks and the marked token; the four policies side by side."""
    first, second, third = st.columns(3)
    budget = first.slider("Budget, tokens", 8, 160, 40, key="eviction_budget", bind="query-params")
    sinks = second.slider("Sinks", 0, 16, 4, key="eviction_sinks", bind="query-params")
    marked = third.slider("Marked token", 1, 160, 60, key="eviction_marked", bind="query-params")
    beside.picture("evicted", num_tokens=160, budget=budget, num_sinks=sinks, marked=marked)


def evidence() -> None:
    """The published effect of sinks, and where the other figures stand."""
    beside.picture("sinks")
    for name in ("sinks", "heavy_hitters", "snapkv"):
        beside.cite(published()[name].source)


beside.page("eviction", {"policies": policies, "forgets": None, "published": evidence})
