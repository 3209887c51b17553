"""Every model of the registry by the month it came out and what a token of a long sequence costs it."""

import csv
import io

import streamlit as st

from core.models.registry import RegisteredModel
from pages.shell import cached, style

MODELS = "tools/models/models.py"


def dates(models: tuple[RegisteredModel, ...]) -> str:
    """Name, month and what says so, as CSV."""
    text = io.StringIO()
    write = csv.writer(text)
    write.writerow(("Model", "Released", "Date from"))
    write.writerows((model.name, model.released, model.release_source) for model in models)
    return text.getvalue()


def open_on_models(name: str) -> None:
    """The model alone on Models."""
    st.switch_page(MODELS, query_params={"models_pick": name})


st.title("Timeline")
st.markdown(
    "What one token of a 32,768-token sequence costs in cache, for every model of the registry, by the month that it "
    "came out in. Windows, latents and recurrent states are in the figure, so a hybrid stands on the same scale."
)
models = cached.registered_models()
drawn = cached.timeline(st.context.theme.type or "light")
state = style.draw_spec(drawn.spec, sentence=drawn.sentence, alt_text=drawn.alt_text, key="timeline_dots", clicked=True)
picked = (state or {}).get("selection", {}).get("dot") or []
if picked and picked[0].get("model"):
    open_on_models(picked[0]["model"])
with st.container(horizontal=True, vertical_alignment="bottom"):
    name = st.selectbox(
        "Open a model on Models",
        [model.name for model in models],
        index=None,
        placeholder="Search by name",
        key="timeline_open",
        width=320,
    )
    st.download_button(
        "Save the dates with their sources",
        data=lambda: dates(models),
        file_name="headroom-release-dates.csv",
        mime="text/csv",
        icon=":material/download:",
        key="timeline_csv",
        on_click="ignore",
    )
st.caption(
    "A dot stands at the first of its month: the month is what most sources give. Dots that would hide each other are "
    "moved apart to the right. Hover over a dot for G, the layers "
    "that cache, their widths and what says the date."
)
if name is not None:
    open_on_models(name)
