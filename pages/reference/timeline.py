"""Every model of the registry by the month it came out and what a token of a long sequence costs it."""

from functools import partial
from typing import TYPE_CHECKING

import streamlit as st

from core.models.registry import RegisteredModel
from pages.shell import cached, share, style

if TYPE_CHECKING:
    from core.reports.closing import Rests

MODELS = "tools/models/models.py"


def dates(models: tuple[RegisteredModel, ...]) -> list[dict[str, str | None]]:
    """Name, month and what says so."""
    return [
        {"Model": model.name, "Released (year-month)": model.released, "Date from": model.release_source}
        for model in models
    ]


def rests(models: tuple[RegisteredModel, ...], _colours: object) -> "Rests":
    """What the answer rests on, for a file."""
    from core.figures.timeline import dots  # noqa: PLC0415  altair loads with the picture
    from core.reports.rests.timeline import timeline_rests  # noqa: PLC0415  with the first file

    return timeline_rests(dots(models))


def chosen() -> str | None:
    """The model whose dot was clicked or whose name was chosen before this run."""
    state = st.session_state
    dots = (state.get("timeline_dots") or {}).get("selection", {}).get("dot") or [{}]
    return dots[0].get("model") or state.get("timeline_open")


if (name := chosen()) is not None:  # before anything is drawn that the next page would take away again
    st.switch_page(MODELS, query_params={"models_pick": name})
st.title("Timeline")
st.markdown(
    "What one token of a 32,768-token sequence costs in cache, for every model of the registry, by the month that it "
    "came out in. Windows, latents and recurrent states are in the figure, so a hybrid stands on the same scale."
)
models = cached.registered_models()
drawn = cached.timeline(st.context.theme.type or "light")
style.draw_spec(drawn.spec, sentence=drawn.sentence, alt_text=drawn.alt_text, key="timeline_dots", clicked=True)
share.remember_answer(drawn.sentence, partial(rests, models))
with st.container(horizontal=True, vertical_alignment="bottom"):
    st.selectbox(
        "Open a model on Models",
        [model.name for model in models],
        index=None,
        placeholder="Search by name",
        key="timeline_open",
        width=320,
    )
    label = "Save the dates with their sources"
    share.save_csv(dates(models), key="timeline_csv", file_name="headroom-release-dates.csv", label=label)
st.caption(
    "A dot stands at the first of its month: the month is what most sources give. Dots that would hide each other are "
    "moved apart to the right. Hover over a dot for G, the layers "
    "that cache, their widths and what says the date."
)
