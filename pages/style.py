"""Small pieces that every page draws with: the viewer's palette, and charts with their sentence and alt text."""

import altair as alt
import streamlit as st

from core.palette import Palette, palette

AnyChart = alt.Chart | alt.LayerChart | alt.HConcatChart | alt.VConcatChart | alt.ConcatChart | alt.FacetChart


def current_palette() -> Palette:
    """The palette of the theme that the viewer looks at."""
    return palette(st.context.theme.type)


def draw(chart: AnyChart, *, sentence: str, alt_text: str, key: str | None = None) -> None:
    """A chart under the sentence that says what it shows; alt_text is what a screen reader says instead."""
    st.markdown(sentence)
    st.altair_chart(chart, width="stretch", theme=None, alt=alt_text, key=key)
