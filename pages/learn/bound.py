"""When memory stops binding: batch, drafted tokens, MLA's absorbed form and prefill chunks against the ridge."""

from functools import partial
from typing import TYPE_CHECKING

import streamlit as st

from core.hardware.accelerators import catalogue
from core.learning.bound import measured
from pages.shell import cached, share, style

if TYPE_CHECKING:
    from core.reports.closing import Rests

ACCELERATORS = ("h100-sxm", "a100-80-sxm", "b200-sxm", "l4")
BATCHES, CHUNKS = (1, 8, 32, 128, 512), (0, 256, 1_024, 4_096)


def controls() -> tuple[str, int, int]:
    """Accelerator, batch and the prefill chunk that rides along."""
    first, second, third = st.columns(3, vertical_alignment="bottom")
    known = catalogue()
    accelerator = first.selectbox(
        "Accelerator", ACCELERATORS, format_func=lambda key: known[key].name,
        key="bound_accelerator", bind="query-params",
    )  # fmt: skip
    batch = second.select_slider("Batch", BATCHES, 32, key="bound_batch", bind="query-params")
    chunk = third.select_slider("Prefill tokens in the same step", CHUNKS, 0, key="bound_chunk", bind="query-params")
    return accelerator, batch, chunk


def rests(accelerator: str, batch: int, chunk: int, _colours: object) -> "Rests":
    """What the answer rests on, for a file."""
    from core.reports.rests.bound import bound_rests  # noqa: PLC0415  with the first file

    return bound_rests(catalogue()[accelerator], batch, chunk)


st.title("When memory stops binding")
st.markdown(
    "The ridge of an accelerator is the arithmetic that it can do while one byte arrives: left of it memory decides, "
    "right of it arithmetic. A read of the cache can serve several tokens: those that a draft model or a multi-token "
    "head proposed, checked in one step. Then the same bytes carry k times the arithmetic. **Batch and prefill chunks "
    "help the weights' reading alone; k helps the cache's too.** MLA in its absorbed form, where all query heads read "
    "the latent as it is, starts where k would have to take others."
)
accelerator, batch, chunk = controls()
theme = st.context.theme.type or "light"
drawn = cached.bound_picture("ridge", theme, accelerator=accelerator, batch_size=batch, chunk=chunk)
style.draw_spec(drawn.spec, sentence=drawn.sentence, alt_text=drawn.alt_text, key="bound_ridge")
share.remember_answer(drawn.sentence, partial(rests, accelerator, batch, chunk))
st.markdown(
    "**For which jobs does a smaller G buy no more time?** For those whose dot lies right of the ridge, and for those "
    "with so few tokens in a step that reading the weights decides. It still buys room: more sequences, longer ones."
)
st.header("Measured on a CPU", anchor="measured", divider="gray")
drawn = cached.bound_picture("measured", theme)
style.draw_spec(drawn.spec, sentence=drawn.sentence, alt_text=drawn.alt_text, key="bound_measured")
st.caption(f"Recorded by `{measured().command}` on {measured().machine}.")
