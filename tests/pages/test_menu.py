"""The navigation's pages: looked up on the disk once a process, and never one object for two runs; their links."""

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


LINKS = (("", (("", "Overview", "home"),)), ("Tools & more", (("size", "Size", "memory"), ("x<y", "X < Y", "map"))))


def test_each_page_has_its_link_under_the_name_of_its_part():
    assert menu.links_html(LINKS, "") == (
        '<nav class="headroom-menu" aria-label="App pages" data-testid="stSidebarNav">'
        '<ul data-testid="stSidebarNavItems"><li><a data-testid="stSidebarNavLink" href="/">'
        '<span aria-hidden="true" translate="no">home</span>Overview</a></li></ul>'
        '<details open><summary data-testid="stNavSectionHeader">Tools &amp; more</summary>'
        '<ul data-testid="stSidebarNavItems"><li><a data-testid="stSidebarNavLink" href="/size">'
        '<span aria-hidden="true" translate="no">memory</span>Size</a></li>'
        '<li><a data-testid="stSidebarNavLink" href="/x&lt;y">'
        '<span aria-hidden="true" translate="no">map</span>X &lt; Y</a></li></ul></details></nav>'
    )


def test_links_stand_below_the_path_that_the_server_is_served_under():
    html = menu.links_html(LINKS, "team/headroom")
    assert 'href="/team/headroom/"' in html
    assert 'href="/team/headroom/size"' in html
