"""The first screen: what Headroom answers, and one click to each job."""

import streamlit as st

st.title("Headroom")
st.markdown("How many KV heads can you afford, and how many do you need?")
st.page_link("learn/layouts.py", label="See the three layouts", icon=":material/hub:")
