"""Glossary: the words of the field as this dashboard uses them, searchable, each with the page that explains it."""

import streamlit as st

from core.learning import glossary
from core.learning.places import place

st.title("Glossary")
wanted = st.text_input("Find a word", key="glossary_find", bind="query-params", placeholder="KV head, sharding, H2O…")
found = glossary.find(wanted)
if not found:
    st.info(f"No term has “{wanted}” in it. Clear the field to see all {len(glossary.terms())}.")
columns = st.columns(2, gap="large")
for number, term in enumerate(found):
    with columns[number % 2]:
        others = f"  \n:small[also: {', '.join(term.aliases)}]" if term.aliases else ""
        st.markdown(f"**{term.term}**  \n{term.text}{others}")
        where = place(term.see)
        st.page_link(where.script, label=where.title, icon=":material/arrow_forward:")
