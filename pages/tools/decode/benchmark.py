"""Measure decoding: the fastest correct kernel of each G on this host, its roofline, and runs kept and recorded."""

import streamlit as st

from core.cluster import follow
from core.decode.plan import InvalidJob
from core.serving.traffic import TrafficError
from pages.tools.decode import history, inputs, panel

st.title("Measure decoding")
st.markdown(
    "A decode step reads every key and value once. How fast can this host do that, for each G, and does the prediction "
    "from bytes and bandwidth hold? Every way of computing it that this host has is tried, checked and timed."
)
measure_tab, kept_tab, recorded_tab = st.tabs(
    ["Measure", "Kept runs", "Recorded runs"], key="bench_tab", bind="query-params"
)
if measure_tab.open:
    with measure_tab:
        try:
            asked = inputs.asked()
            panel.measure(asked.job, num_layers=asked.num_layers, key_prefix="bench")
            if follow.offered():
                from pages.tools.decode import cluster

                cluster.sweep_panel(asked.job, asked.num_layers)
        except (InvalidJob, TrafficError) as error:
            st.error(str(error))
if kept_tab.open:
    with kept_tab:
        history.show_history()
if recorded_tab.open:
    with recorded_tab:
        history.show_recorded()
