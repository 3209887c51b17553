"""FAQ: what people ask, in short answers with links; which models use GQA is read from the registry as it stands."""

from functools import partial
from typing import TYPE_CHECKING

import pandas as pd
import streamlit as st

from core.learning import faq, glossary
from core.learning.places import place
from core.learning.registry_answer import by_kv_heads, sentence
from core.models.registry import RegistryError
from pages.shell import cached, present, share

if TYPE_CHECKING:
    from core.reports.closing import Rests


def answer(found: faq.Entry) -> None:
    """The answer to one question, and where to read on."""
    st.markdown(glossary.linked(found.answer))
    if found.shows_registry:
        registry()
    with st.container(horizontal=True):
        for key in found.see:
            where = place(key)
            st.page_link(where.script, label=where.title, icon=":material/arrow_forward:")


def registry() -> None:
    """Every model of the registry with its kind and G; in a room, how many have which G."""
    try:
        models = cached.registered_models()
    except RegistryError as refused:
        st.error(str(refused))
        return
    rows = cached.kinds_by_model(tuple(model.name for model in models), models)
    st.markdown(sentence(rows))
    kind = st.segmented_control("Show", ["GQA", "MQA", "MHA", "MLA", "other"], default="GQA", required=True,
                                key="faq_kind", bind="query-params")  # fmt: skip
    if present.in_a_room():
        st.table(pd.DataFrame(by_kv_heads(rows, kind or "GQA")).set_index("G"), border="horizontal")
        return
    shown = [row for row in rows if row.shown_kind == (kind or "GQA")]
    table = [{"model": r.name, "kind": r.kind, "G": r.kv_heads, "H": r.query_heads, "source": r.source} for r in shown]
    links = {"source": st.column_config.TextColumn("read in")}
    st.dataframe(pd.DataFrame(table), hide_index=True, width="stretch", height=320, column_config=links)
    share.save_csv(table, key="faq_models_csv", file_name="headroom-models-by-g.csv")


def for_a_room() -> None:
    """The questions on the first screen, then one a screen with its answer."""
    present.contents({entry.id: entry.question for entry in faq.entries()})
    for entry in faq.entries():
        st.header(entry.question, anchor=entry.id, divider="gray")
        with st.container(key=f"room_words_{entry.id}"):
            answer(entry)


def for_a_desk() -> None:
    """A list of questions; the one that the link names stands open."""
    opened = st.query_params.get("faq_open", "difference")
    for entry in faq.entries():
        with st.expander(entry.question, expanded=entry.id == opened):
            answer(entry)


def rests(kind: str, _colours: object) -> "Rests":
    """Every question with its answer, for a file."""
    from core.learning.registry_answer import kinds_by_model  # noqa: PLC0415  with the first file
    from core.models.registry import load_registry  # noqa: PLC0415  as above
    from core.reports.rests.reading import faq_rests  # noqa: PLC0415  as above

    return faq_rests(kinds_by_model(load_registry()), kind)


st.title("FAQ")
st.markdown("Short answers. Every figure is computed or cited, and each answer links to where it is worked out.")
if present.in_a_room():
    for_a_room()
else:
    for_a_desk()
share.remember_answer(
    f"{len(faq.entries())} questions about G and the KV cache, each with its answer.",
    partial(rests, st.session_state.get("faq_kind") or "GQA"),
)
