"""Pick a G for a 13B: from the job to a decision, a control on each step, a record and the sizing page at the end."""

import streamlit as st

from core.evidence import evidence_for
from core.learning.record import decision_record
from core.sizing import SizingError
from pages.parts.lesson import Stage, run
from pages.parts.quality import quality_dots

KV_HEADS = (1, 2, 4, 5, 8, 10, 20, 40)
DEVICES = {"h100-sxm": "H100", "h200-sxm": "H200", "a100-80-sxm": "A100 80 GB"}


def weights(stage: Stage, *, kv_heads: bool) -> dict[str, int | str]:
    """Bits of the weights and what happens to freed parameters; on the first step G too, which frees them."""
    columns = stage.controls(*((2, 3, 2) if kv_heads else (1, 1)))
    chosen: dict[str, int | str] = {
        "weight_bits": columns[0].select_slider(
            "Weights, bits", (4, 8, 16), 16, key=stage.key("weights"), bind="query-params"
        )
    }
    freed = columns[1].segmented_control(
        "Freed parameters",
        ("dropped", "spent"),
        default="dropped",
        required=True,
        key=stage.key("freed"),
        bind="query-params",
    )
    chosen["freed"] = freed or "dropped"
    for column in columns[2:]:
        chosen["num_kv_heads"] = column.select_slider("G", KV_HEADS, 8, key=stage.key("g"), bind="query-params")
    return chosen


def job(stage: Stage) -> None:
    """Where two million tokens in flight stand."""
    stage.picture("crossing", batch_size=32, context_length=65_536)


def quality(stage: Stage) -> None:
    """What is published nearest to each of the three candidates."""
    first, second = stage.controls(1, 1)
    kv_heads = first.segmented_control(
        "G", (1, 2, 4), default=2, required=True, key=stage.key("candidate"), bind="query-params"
    )
    scale = second.segmented_control(
        "Scale",
        ("points", "perplexity"),
        default="points",
        required=True,
        key=stage.key("scale"),
        bind="query-params",
    )
    found = evidence_for(40, kv_heads or 2)
    stage.right.markdown(found.sentence)
    quality_dots(stage, found.dots, "points" if scale == "points" else "perplexity")


def question(stage: Stage) -> None:
    """G = 8 with the job itself changed, one turn at a time."""
    bits, live, gpus = stage.controls(1, 1, 1)
    chosen = {
        "kv_bits": bits.select_slider("KV bits", (4, 8, 16), 8, key=stage.key("kv_bits"), bind="query-params"),
        "live_percent": live.select_slider(
            "Mean length, %", (10, 25, 50, 75, 100), 100, key=stage.key("live"), bind="query-params"
        ),
        "gpus": gpus.select_slider("GPUs", (1, 2, 4, 8), 1, key=stage.key("gpus"), bind="query-params"),
    }
    patterns = ("none", "10 full + 30 of 4,096", "7 full + 33 of 1,024")
    pattern = stage.right.segmented_control(
        "Windows", patterns, default="none", required=True, key=stage.key("windows"), bind="query-params"
    )
    stage.picture("pick_question", pattern=pattern or "none", **chosen)


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
    """The choice, its reason, the record, and the sizing page with the same job."""
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
    try:
        record = decision_record(num_kv_heads=kv_heads or 2, kv_bits=bits or 8, reason=reason or "")
    except SizingError as refused:
        stage.right.error(str(refused))
        return
    with stage.right:
        link, save = st.columns(2)
        link.page_link(
            "tools/size.py",
            label="Open this job on the sizing page",
            icon=":material/memory:",
            query_params={"size_g": str(kv_heads), "size_kv_bits": str(bits)},
        )
        save.download_button("Save the record", record, "decision-record.md", "text/markdown", key=stage.key("save"))
        with st.container(border=True, height=430):
            st.markdown(record.replace("## ", "##### ").replace("# KV", "#### KV"))


run(
    "pick",
    {
        "job": job,
        "budget": lambda stage: stage.picture("pick_budget", **weights(stage, kv_heads=True)),
        "cost": lambda stage: stage.picture("pick_cost", **weights(stage, kv_heads=False)),
        "quality": quality,
        "question": question,
        "speed": speed,
        "decide": decide,
    },
)
