"""How a config.json declares G: files that count, files that switch, files that say nothing, and MLA."""

import streamlit as st

from core.learning.drills import config_questions
from pages.parts.lesson import Stage, run

EXAMPLES = {
    "counts": ("Llama-2 70B", "Llama-2 7B", "Gemma 2B", "Llama-4 Scout", "DBRX", "Qwen3 32B"),
    "switches": ("Falcon-7B", "Falcon-40B", "StarCoder", "ChatGLM3-6B", "MPT-7B"),
    "silence": ("GPT-2", "OPT-13B", "GPT-NeoX-20B"),
    "latent": ("DeepSeek-V3", "DeepSeek-V2-Lite", "Kimi-K2"),
}


def files(stage: Stage, slug: str) -> None:
    """One real file at a time, its deciding lines marked, and what they declare."""
    by_name = {question.model: question for question in config_questions()}
    with stage.right:
        chosen = st.segmented_control(
            "File", EXAMPLES[slug], default=EXAMPLES[slug][0], required=True, key=stage.key(slug), bind="query-params"
        )
        shown = by_name.get(chosen or "", by_name[EXAMPLES[slug][0]])
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
