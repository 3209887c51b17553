"""The bare Streamlit page that Headroom is compared with: one segmented control, one small chart, one line of text."""

import altair as alt
import pandas as pd
import streamlit as st

count = st.segmented_control("Rows", [1, 2, 4, 8, 16], default=8, required=True) or 8
rows = pd.DataFrame({"row": range(count), "height": [(7 * i) % 10 + count for i in range(count)]})
st.altair_chart(alt.Chart(rows).mark_bar().encode(x="row:O", y="height:Q"))
st.markdown(f"There are {count} rows.")
