"""Drawing the three layouts: MHA, MQA and GQA stroke by stroke, then a question without the picture."""

import streamlit as st

from core.learning.drills import LARGEST_SEED, reader_question
from core.learning.strokes import count_strokes
from core.models.head_sharing import divisors
from pages.learn.screens.lesson import Stage, run

HEADS = (4, 6, 8, 12)


def one_more(key: str, last: int) -> None:
    """The next stroke; after the last one, the paper is blank again but for the first."""
    st.session_state[key] = st.session_state[key] % last + 1


def stroke_by_stroke(stage: Stage, kind: str) -> None:
    """Heads, for GQA also G, the strokes as a slider, and a button for the next one."""
    first, second, third = stage.controls(2, 3, 2)
    heads = first.select_slider("Query heads H", HEADS, 8, key=stage.key("h"), bind="query-params")
    between = divisors(heads)[1:-1]
    kv_heads = {"mha": heads, "mqa": 1}.get(kind) or between[0]
    if kind == "gqa":
        stage.left.segmented_control(
            "G", between, default=between[0], required=True, key=stage.key(f"g{heads}"), bind="query-params"
        )
        kv_heads = st.session_state[stage.key(f"g{heads}")]
    last = count_strokes(heads, kv_heads)
    key = stage.key(f"{kind}{heads}_{kv_heads}")
    made = second.slider("Strokes", 1, last, key=key, bind="query-params")
    third.button(
        "Draw" if made < last else "Start over", shortcut="D", key=f"{key}_more", on_click=one_more, args=(key, last)
    )
    stage.picture("drawn", num_query_heads=heads, num_kv_heads=kv_heads, strokes_made=made)


def yours(stage: Stage) -> None:
    """Which KV head does this query head read? One question a number, so that a question is a link."""
    seed = int(stage.left.number_input("Question", 1, LARGEST_SEED, key=stage.key("question"), bind="query-params"))
    asked = reader_question(min(max(seed, 1), LARGEST_SEED))
    with stage.right:
        st.markdown(
            f"#### {asked.num_query_heads} query heads, {asked.num_kv_heads} KV heads: "
            f"which one does query head {asked.query_head} read?"
        )
        chosen = st.segmented_control(
            "KV head", range(1, asked.num_kv_heads + 1), key=stage.key(f"answer{seed}"), persist_state="session"
        )
        if chosen is None:
            return
        size = asked.num_query_heads // asked.num_kv_heads
        says = f"{asked.query_head} / {size} = {asked.query_head / size:.3g}, rounded up: KV head {asked.kv_head}."
        (st.success if chosen == asked.kv_head else st.info)(says)
        last = count_strokes(asked.num_query_heads, asked.num_kv_heads)
    stage.picture(
        "drawn", num_query_heads=asked.num_query_heads, num_kv_heads=asked.num_kv_heads, strokes_made=last - 1
    )


run(
    "draw",
    {
        "mha": lambda stage: stroke_by_stroke(stage, "mha"),
        "mqa": lambda stage: stroke_by_stroke(stage, "mqa"),
        "gqa": lambda stage: stroke_by_stroke(stage, "gqa"),
        "yours": yours,
    },
)
