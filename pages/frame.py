"""The frame around every page: page config, navigation, the look, and every page's way to share and to present."""

import sys
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import streamlit as st

from pages.server import entry
from pages.shell import (
    below,
    cached,
    kept_files,
    lean_navigation,
    lean_reads,
    lean_session,
    menu,
    present,
    share,
    style,
    theme,
)

ASSETS = Path(__file__).parent / "assets"
kept_files.install()
lean_reads.install()
lean_session.install()
lean_navigation.install()

st.set_page_config(
    page_icon=ASSETS / "icon.svg",  # before a page's own: a :material: icon would be fetched from outside
    layout="wide",
    initial_sidebar_state="auto",
)

st.logo(ASSETS / "logo.svg", size="large", icon_image=ASSETS / "icon.svg")


def listed() -> dict[str, list[st.Page]]:
    """Every page, by its part of the navigation."""
    return {
        "": [
            st.Page("overview.py", title="Overview", icon=":material/home:", default=True),
        ],
        "Tools": [
            st.Page("tools/models/models.py", title="Models", icon=":material/view_list:", url_path="models"),
            st.Page("tools/size/size.py", title="Size", icon=":material/memory:", url_path="size"),
            st.Page(
                "tools/decode/benchmark.py", title="Measure decoding", icon=":material/timer:", url_path="benchmark"
            ),
        ],
        "Learn": [
            st.Page("learn/map.py", title="Lesson map", icon=":material/map:", url_path="map"),
            st.Page("learn/layouts.py", title="The three layouts", icon=":material/hub:", url_path="layouts"),
            st.Page(
                "learn/bottleneck.py",
                title="FLOPs are not the bottleneck",
                icon=":material/speed:",
                url_path="bottleneck",
            ),
            st.Page("learn/watch.py", title="Watch it decode", icon=":material/play_circle:", url_path="watch"),
            st.Page(
                "learn/formula.py",
                title="The formula on a Post-it",
                icon=":material/sticky_note_2:",
                url_path="formula",
            ),
            st.Page("learn/levers.py", title="The cheapest fix", icon=":material/tune:", url_path="levers"),
            st.Page("learn/slider.py", title="G is a slider", icon=":material/linear_scale:", url_path="slider"),
            st.Page("learn/draw.py", title="Drawing the three layouts", icon=":material/draw:", url_path="draw"),
            st.Page(
                "learn/headmath.py", title="Cache size in your head", icon=":material/psychology:", url_path="headmath"
            ),
            st.Page(
                "learn/declares.py", title="How a config declares G", icon=":material/data_object:", url_path="declares"
            ),
            st.Page("learn/spot.py", title="Spot the GQA", icon=":material/search:", url_path="spot"),
            st.Page(
                "learn/case_mqa.py", title="Case: your team wants MQA", icon=":material/gavel:", url_path="case-mqa"
            ),
            st.Page("learn/case_llama.py", title="Case: Llama-2 70B", icon=":material/gavel:", url_path="case-llama"),
            st.Page(
                "learn/case_mistral.py", title="Case: Mistral 7B", icon=":material/gavel:", url_path="case-mistral"
            ),
            st.Page("learn/case_falcon.py", title="Case: Falcon-7B", icon=":material/gavel:", url_path="case-falcon"),
            st.Page("learn/pick.py", title="Pick a G", icon=":material/check_circle:", url_path="pick"),
            st.Page("learn/uptraining.py", title="How GQA is made", icon=":material/merge:", url_path="uptraining"),
            st.Page("learn/paging.py", title="PagedAttention", icon=":material/grid_view:", url_path="paging"),
            st.Page("learn/eviction.py", title="Eviction", icon=":material/filter_alt:", url_path="eviction"),
            st.Page("learn/quantisation.py", title="Fewer bits", icon=":material/compress:", url_path="quantisation"),
            st.Page("learn/latent.py", title="MLA", icon=":material/join_inner:", url_path="latent"),
            st.Page("learn/after.py", title="After G", icon=":material/account_tree:", url_path="after"),
            st.Page(
                "learn/bound.py", title="When memory stops binding", icon=":material/show_chart:", url_path="bound"
            ),
            st.Page("learn/quiz.py", title="Quiz", icon=":material/quiz:", url_path="quiz"),
        ],
        "Reference": [
            st.Page("reference/evidence.py", title="Evidence", icon=":material/menu_book:", url_path="evidence"),
            st.Page("reference/timeline.py", title="Timeline", icon=":material/timeline:", url_path="timeline"),
            st.Page("reference/engines.py", title="Engines", icon=":material/dns:", url_path="engines"),
            st.Page("reference/faq.py", title="FAQ", icon=":material/help:", url_path="faq"),
            st.Page("reference/glossary.py", title="Glossary", icon=":material/dictionary:", url_path="glossary"),
            st.Page("reference/ask.py", title="Ask", icon=":material/forum:", url_path="ask"),
        ],
    }


PAGES = menu.once(__file__, listed)

style.look()
theme.follow()
admitted = entry.admit(entry.entry_as_set_up())
page = st.navigation(PAGES, position="hidden")
st.set_page_config(page_title=f"{page.title} · Headroom" if page.url_path else "Headroom")
if not admitted:
    st.stop()
menu.draw(PAGES)
share.begin(page)
below.leave(page.url_path)
body: AbstractContextManager[object] = nullcontext()
if present.presenting(page):
    present.bar([other for pages in PAGES.values() for other in pages], page)
else:
    with st.container(horizontal=True, key="view_tools"):
        share.view_menu()
        present.enter_button()
    if page in PAGES["Learn"] and page.url_path != "layouts":
        body = st.container(key="walk")  # one step a screen: assets/headroom.css
reads = st.empty() if share.follows_a_link() else None
try:
    with body:
        page.run()
finally:  # a page may stop early
    if reads is not None:
        share.say_how_it_reads(reads)
cached.spared_by_the_collector(len(sys.modules))
