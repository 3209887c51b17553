"""How a config.json declares G: files that count, files that switch, files that say nothing, and MLA."""

import streamlit as st

from core.learning.drills import CONFIG_EXAMPLES, config_questions
from pages.learn.screens.lesson import Stage, run


def files(stage: Stage, slug: str) -> None:
    """One real file at a time, its deciding lines marked, and what they declare."""
    by_name = {question.model: question for question in config_questions()}
    models = CONFIG_EXAMPLES[slug]
    with stage.right:
        chosen = st.segmented_control(
            "File", models, default=models[0], required=True, key=stage.key(slug), bind="query-params"
        )
        shown = by_name.get(chosen or "", by_name[models[0]])
        g = "no KV heads to count" if shown.num_kv_heads is None else f"G = {shown.num_kv_heads}"
        st.markdown(f"**{shown.kind}, {g}.** {shown.why}")
        st.code(shown.marked_text, language="json")
    stage.left.caption(f"`{shown.repository}`; keys that say nothing about attention are left out.")


run(
    "declares",
    {
        "counts": lambda stage: files(stage, "counts"),
        "switches": lambda stage: files(stage, "switches"),
        "silence": lambda stage: files(stage, "silence"),
        "latent": lambda stage: files(stage, "latent"),
    },
)
