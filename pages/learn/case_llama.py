"""Case: Llama-2 70B, why 8, not 4 or 16? Copies over a node, the ablations that disagree, and what would change it."""

from typing import Literal

import streamlit as st

from core.evidence.studies import all_dots
from pages.learn.screens.lesson import Stage, run
from pages.learn.screens.quality import quality_dots

RANKS = (1, 2, 4, 8, 16)
STUDIES = {
    "points": ("llama2-30b", "t5-xxl", "deepseek-v2-7b", "gemma2-9b"),
    "perplexity": ("gla-1.47b", "gla-876m", "gla-433m", "gla-183m", "cla-1b"),
}


def situation(stage: Stage) -> None:
    """The 70B's heads under each candidate."""
    (first,) = stage.controls(1)
    kv_heads = first.segmented_control(
        "KV heads G of 64", (4, 8, 16), default=8, required=True, key=stage.key("g"), bind="query-params"
    )
    stage.layout(64, kv_heads or 8)


def node(stage: Stage, usual: int = 8) -> None:
    """Every G over the chosen number of GPUs, copies counted."""
    (first,) = stage.controls(1)
    key = stage.key(f"ranks_{stage.step.slug}")
    ranks = first.select_slider("GPUs, split by heads", RANKS, usual, key=key, bind="query-params")
    stage.picture("copies", shape="70B", ranks=ranks, chosen=8)


def ablations(stage: Stage) -> None:
    """The studies on benchmark points, or those on perplexity; one or all of them."""
    with stage.right:
        shown = st.segmented_control(
            "Scale", tuple(STUDIES), default="points", required=True, key=stage.key("scale"), bind="query-params"
        )
        scale: Literal["points", "perplexity"] = "perplexity" if shown == "perplexity" else "points"
        names = {dot.study.id: dot.study.label for dot in all_dots() if dot.study.id in STUDIES[scale]}
        chosen = st.segmented_control(
            "Studies",
            list(names),
            selection_mode="multi",
            default=list(names),
            format_func=lambda id: names[id],
            key=stage.key(f"studies_{scale}"),
            persist_state="session",
            wrap=True,
            label_visibility="collapsed",
        )
    quality_dots(stage, tuple(dot for dot in all_dots() if dot.study.id in chosen), scale)


def answer(stage: Stage) -> None:
    """The node again, to try the conditions of the answer."""
    stage.said_before()
    node(stage)


run(
    "case-llama",
    {
        "situation": situation,
        "node": node,
        "evidence": ablations,
        "family": lambda stage: node(stage, 16),
        "answer": answer,
    },
)
