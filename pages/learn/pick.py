"""Pick a G for a 13B: from the job to a decision, a control on each step, a record and the sizing page at the end."""

from typing import Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from core.errors import SizingError
from core.evidence.studies import evidence_for
from core.figures.lesson_pick import price_of_heads
from core.learning.record import PATTERNS, Conditions, decision_record, sizing_query, verdict_sentence
from pages.learn.screens.lesson import Stage, run, thousands
from pages.learn.screens.quality import quality_dots

KV_HEADS = (1, 2, 4, 5, 8, 10, 20, 40)
BATCHES, CONTEXTS = (1, 4, 8, 16, 32), (4_096, 8_192, 16_384, 32_768, 65_536)
DEVICES = {"h100-sxm": "H100", "h200-sxm": "H200", "a100-80-sxm": "A100 80 GB"}


def weights(stage: Stage, bits: DeltaGenerator, freed: DeltaGenerator) -> dict[str, Any]:
    """Bits of the weights and what happens to freed parameters: of steps 2 and 3, and of the decision."""
    return {
        "weight_bits": bits.select_slider(
            "Weights, bits", (4, 8, 16), 16, key=stage.key("weights"), bind="query-params"
        ),
        "freed": freed.segmented_control(
            "Freed parameters", ("dropped", "spent"), default="dropped", required=True, key=stage.key("freed"),
            bind="query-params",
        ) or "dropped",
    }  # fmt: skip


def tokens_held(stage: Stage, live: DeltaGenerator, gpus: DeltaGenerator, windows: DeltaGenerator) -> dict[str, Any]:
    """Mean length, GPUs and windows: of step 5 and of the decision."""
    return {
        "live_percent": live.select_slider(
            "Mean length, %", (10, 25, 50, 75, 100), 100, key=stage.key("live"), bind="query-params"
        ),
        "gpus": gpus.select_slider("GPUs (TP)", (1, 2, 4, 8), 1, key=stage.key("gpus"), bind="query-params"),
        "pattern": windows.segmented_control(
            "Windows", list(PATTERNS), default="none", required=True, key=stage.key("windows"), bind="query-params"
        ) or "none",
    }  # fmt: skip


def job(stage: Stage) -> None:
    """Where two million tokens in flight stand, what another batch or context would be, and what a G keeps."""
    batches, contexts, heads = stage.controls(1, 1, 1)
    tried = {
        "batch_size": batches.select_slider(
            "Batch", BATCHES, 32, key=stage.key("try_batch"), bind="query-params"
        ),
        "context_length": contexts.select_slider(
            "Context, tokens", CONTEXTS, 65_536, format_func=thousands, key=stage.key("try_context"),
            bind="query-params",
        ),
    }  # fmt: skip
    kv_heads = heads.select_slider("G", KV_HEADS, 8, key=stage.key("try_g"), bind="query-params")
    stage.picture("crossing", **tried)
    stage.right.markdown(price_of_heads(num_kv_heads=kv_heads, **tried))


def budget(stage: Stage) -> None:
    """What the weights leave; G frees some of them."""
    bits, freed, heads = stage.controls(2, 3, 2)
    chosen = weights(stage, bits, freed)
    kv_heads = heads.select_slider("G", KV_HEADS, 8, key=stage.key("g"), bind="query-params")
    stage.picture("pick_budget", num_kv_heads=kv_heads, **chosen)


def quality(stage: Stage) -> None:
    """What is published nearest to each candidate: any divisor of 40."""
    first, second = stage.controls(1, 1)
    kv_heads = first.select_slider("G", KV_HEADS, 2, key=stage.key("candidate"), bind="query-params")
    scale = second.segmented_control(
        "Scale",
        ("points", "perplexity"),
        default="points",
        required=True,
        key=stage.key("scale"),
        bind="query-params",
    )
    found = evidence_for(40, kv_heads)
    stage.right.markdown(found.sentence)
    quality_dots(stage, found.dots, "points" if scale == "points" else "perplexity")


def question(stage: Stage) -> None:
    """G = 8 with the job itself changed, one turn at a time."""
    bits, live, gpus = stage.controls(1, 1, 1)
    kv_bits = bits.select_slider("KV bits", (4, 8, 16), 8, key=stage.key("kv_bits"), bind="query-params")
    stage.picture("pick_question", kv_bits=kv_bits, **tokens_held(stage, live, gpus, stage.right))


def speed(stage: Stage) -> None:
    """The bound on a step for each choice."""
    (first,) = stage.controls(1)
    device = first.segmented_control(
        "Accelerator",
        list(DEVICES),
        default="h100-sxm",
        required=True,
        format_func=DEVICES.__getitem__,
        key=stage.key("device"),
        bind="query-params",
    )
    stage.picture("pick_speed", accelerator=device or "h100-sxm")


def decide(stage: Stage) -> None:
    """The choice, its conditions and reason, the record, and the sizing page with the same job."""
    with stage.left:
        kv_heads = st.segmented_control(
            "G", KV_HEADS, default=2, required=True, key=stage.key("choice"), bind="query-params", wrap=True
        )
        bits = st.segmented_control(
            "KV bits", (16, 8, 4), default=8, required=True, key=stage.key("choice_bits"), bind="query-params"
        )
        reason = st.text_area(
            "Your reason", max_chars=2_000, key=stage.key("reason"), persist_state="session",
            placeholder="What decided it, and what would change your mind?",
        )  # fmt: skip
    weight_bits, freed, live, gpus = stage.controls(2, 3, 2, 2)
    choice: dict[str, Any] = {"num_kv_heads": kv_heads or 2, "kv_bits": bits or 8}
    try:
        held = tokens_held(stage, live, gpus, stage.right)
        choice["conditions"] = Conditions(**weights(stage, weight_bits, freed), **held)
        record = decision_record(**choice, reason=reason or "")
    except SizingError as refused:
        stage.right.error(str(refused))
        return
    with stage.right:
        st.markdown(verdict_sentence(**choice))
        link, save = st.columns(2)
        link.page_link(
            "tools/size/size.py",
            label="Open this job on the sizing page",
            icon=":material/memory:",
            query_params=sizing_query(**choice),
        )
        # made when it is asked for: the address of a file made with the page is gone when the next step comes quickly
        save.download_button(
            "Save the record",
            data=record.encode,
            file_name="decision-record.md",
            mime="text/markdown",
            key=stage.key("save"),
            on_click="ignore",
        )
        with st.container(border=True, height=300):
            st.markdown(record.replace("## ", "##### ").replace("# KV", "#### KV"))


run(
    "pick",
    {
        "job": job,
        "budget": budget,
        "cost": lambda stage: stage.picture("pick_cost", **weights(stage, *stage.controls(1, 1))),
        "quality": quality,
        "question": question,
        "speed": speed,
        "decide": decide,
    },
)
