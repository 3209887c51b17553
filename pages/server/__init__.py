"""What stands around Streamlit in the server: the page that it serves, response headers, who gets in, health."""
