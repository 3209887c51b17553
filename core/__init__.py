"""Headroom's arithmetic and readers. Pure Python: imports no Streamlit, so it runs on a bare GPU box."""
