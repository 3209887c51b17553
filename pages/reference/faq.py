"""FAQ: what people ask, in short answers with links; which models use GQA is read from the registry as it stands."""

import pandas as pd
import streamlit as st

from core.learning import faq, glossary
from core.learning.places import place
from core.learning.registry_answer import kinds_by_model, sentence
from core.model_registry import RegistryError
from pages import cached


def entry(found: faq.Entry, opened: bool) -> None:
    """One question: its answer, and where to read on."""
    with st.expander(found.question, expanded=opened):
        st.markdown(glossary.linked(found.answer))
        if found.shows_registry:
            registry()
        with st.container(horizontal=True):
            for key in found.see:
                where = place(key)
                st.page_link(where.script, label=where.title, icon=":material/arrow_forward:")


def registry() -> None:
    """Every model of the registry with its kind and G."""
    try:
        rows = kinds_by_model(cached.registered_models())
    except RegistryError as refused:
        st.error(str(refused))
        return
    st.markdown(sentence(rows))
    kind = st.segmented_control("Show", ["GQA", "MQA", "MHA", "MLA", "other"], default="GQA", required=True,
                                key="faq_kind", bind="query-params")  # fmt: skip
    shown = [row for row in rows if row.shown_kind == (kind or "GQA")]
    table = [{"model": r.name, "kind": r.kind, "G": r.kv_heads, "H": r.query_heads, "source": r.source} for r in shown]
    links = {"source": st.column_config.TextColumn("read in")}
    st.dataframe(pd.DataFrame(table), hide_index=True, width="stretch", height=320, column_config=links)


st.title("FAQ")
st.markdown("Short answers. Every figure is computed or cited, and each answer links to where it is worked out.")
opened = st.query_params.get("faq_open", "difference")
for question in faq.entries():
    entry(question, question.id == opened)
