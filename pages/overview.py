"""The first screen: what Headroom answers, and one click to each job."""

from typing import TYPE_CHECKING

import streamlit as st

from core.version import VERSION
from pages.shell import cached, share, style

if TYPE_CHECKING:
    from core.reports.closing import Rests

JOBS = (
    ("learn/bottleneck.py", "Learn", "why decoding waits for memory, and what G changes."),
    ("tools/models/models.py", "Read", "which G a model chose, from its config.json on the Hub."),
    ("tools/size/size.py", "Size", "a job: which G fits, and what would make a larger one fit."),
    ("tools/decode/benchmark.py", "Measure", "decoding on this machine at each G, beside its limit."),
)


def job_card(script: str, verb: str, text: str) -> None:
    """One job: the way there, and what it answers."""
    with st.container(border=True, height="stretch", gap="small"):
        st.page_link(script, label=f"**{verb}**", icon=":material/arrow_forward:")
        st.markdown(text)


def rests(_colours: object) -> "Rests":
    """What the verdict rests on, for a file."""
    from core.reports.rests.headline import headline_rests  # noqa: PLC0415  with the first file

    return headline_rests()


st.title("How many KV heads do you need, and how many fit?")
st.markdown(
    "A model keeps keys and values for **G** heads, a whole number from 1 (MQA) to its H query heads (MHA). "
    "G sets what the cache costs and how fast decoding can be."
)
for column, job in zip(st.columns(len(JOBS)), JOBS, strict=True):
    with column:
        job_card(*job)
spec, verdict = cached.headline(st.context.theme.type or "light")
style.draw_spec(
    spec,
    sentence="**13B model, 64k context, batch 32, one H100 80 GB: which G fits?** "
    f"{verdict} A disc is one choice; its number is the bits per cached element. The budget is the 90 % of the card's "
    "memory that a server may fill.",
    alt_text="Dots for each G from 1 to 40 at 16, 8 and 4 bits, in GB on a log scale, against the budget of one "
    f"H100. {verdict} G = 8 fits at none of the three.",
    key="overview_headline",
)
share.remember_answer(verdict, rests)
st.caption(f"Headroom {VERSION}")
