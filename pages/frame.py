"""The frame around every page: page config, navigation and the words in the sidebar."""

import streamlit as st

st.set_page_config(
    page_title="Headroom",
    page_icon=":material/data_thresholding:",
    layout="wide",
    initial_sidebar_state="expanded",
)

PAGES = {
    "": [
        st.Page("overview.py", title="Overview", icon=":material/home:", default=True),
    ],
    "Learn": [
        st.Page("learn/layouts.py", title="The three layouts", icon=":material/hub:", url_path="layouts"),
    ],
    "Reference": [
        st.Page("reference/evidence.py", title="Evidence", icon=":material/menu_book:", url_path="evidence"),
    ],
}

page = st.navigation(PAGES)
page.run()
