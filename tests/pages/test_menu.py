"""The navigation's pages: looked up on the disk once a process, and never one object for two runs."""

import streamlit as st

from pages.shell import menu


def test_pages_are_made_once_and_each_run_has_its_own():
    asked = []

    def listed() -> dict[str, list[st.Page]]:
        asked.append("")
        return {"Tools": [st.Page("tools/size/size.py", title="Size", url_path="size", default=True)]}

    first, second = menu.once("a script", listed), menu.once("a script", listed)
    menu.once("another script", listed)
    assert len(asked) == 2
    assert first["Tools"][0] is not second["Tools"][0]
    assert vars(first["Tools"][0]) == vars(second["Tools"][0])
    assert vars(first["Tools"][0])["_default"] is True
