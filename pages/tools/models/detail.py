"""One model: its config.json with the deciding lines marked, why each figure is what it is, three ways to count."""

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from core.engines.definitions import CacheDefinition, definitions
from core.figures.comparison import ComparedModel, kib, layers_text, plain
from core.figures.config_lines import config_html, config_lines, figures_html
from core.models.spec import ModelSpec
from core.serving.engine_words import NAMES
from pages.shell import share, style
from pages.tools.models import engine

CONTEXTS = [1_024, 4_096, 8_192, 32_768, 65_536, 131_072]
RANKS = [1, 2, 4, 8, 16]
MAX_SHOWN_CHARACTERS = 20_000


def choose(models: Sequence[ComparedModel], pending: Sequence[str]) -> ComparedModel:
    """A model of the comparison, by name; opens on Falcon-7B where it is one, since its file hides G best.

    pending names are on their way from the Hub: a link may point at one of them.
    """
    by_name = {model.name: model for model in models}
    first = next((index for index, name in enumerate(by_name) if name == "Falcon-7B"), 0)
    names = [*by_name, *pending]
    name = st.selectbox("Model", names, index=first, key="models_detail", bind="query-params")
    return by_name.get(name) or models[0]


def show(model: ComparedModel) -> None:
    """The file and what was read from it."""
    st.markdown(f"{plain(model.name)}: {plain(model.facts)}.")
    if model.spec is None:
        st.error(plain(model.problem or ""))
        st.code(model.config_text[:MAX_SHOWN_CHARACTERS], language=None, height=400)
        return
    if model.spec.caution is not None:
        st.warning(plain(model.spec.caution))
    if model.spec.cache_note is not None:
        st.caption(f"Cache width: {plain(model.spec.cache_note.sentence)} The counts below are of 16 bits.")
    colours = style.current_palette()
    left, right = st.columns([6, 5], gap="medium")
    with left:
        recorded = ", as far as it is recorded" if model.status in ("recorded", "pull failed") else ""
        st.markdown(f"**The file**{recorded}, with the lines that decided marked")
        lines = config_lines(model.config_text, model.spec.provenance)
        with st.container(border=True, height=460 if len(lines) > 18 else "content"):
            st.html(config_html(lines, colours))
    with right:
        st.markdown(f"**Read as** {plain(layers_text(model.spec))}")
        with st.container(border=True, height=460 if len(model.spec.provenance) > 7 else "content"):
            st.html(figures_html(model.spec.provenance, colours))
    three_counts(model.spec)


def _called(item: CacheDefinition) -> str:
    """The version that counted; of an engine that refuses the model its name as people write it."""
    return item.name if item.total_bytes is not None else NAMES.get(item.name, item.name)


def three_counts(spec: ModelSpec) -> None:
    """Payload beside what an engine reserves and what transformers stores, with the reason for each difference."""
    st.markdown("**One cache, counted by each server.** Everything above is the payload.")
    left, right = st.columns([3, 2])
    with left:
        context = st.segmented_control(
            "Tokens",
            CONTEXTS,
            default=8_192,
            required=True,
            format_func="{:,}".format,
            key="models_context",
            bind="query-params",
        )
    with right:
        ranks = st.segmented_control(
            "Tensor parallel", RANKS, default=1, required=True, key="models_tp", bind="query-params"
        )
    try:
        counted = definitions(spec, context_length=context or 8_192, tensor_parallel=ranks or 1)
    except ValueError as error:
        st.error(plain(str(error)))
        return
    needed = counted[0].total_bytes or 0
    rows = [
        {
            "Counted by": _called(item),
            "Bytes": "–" if item.total_bytes is None else kib(item.total_bytes),
            "Times the payload": f"{item.total_bytes / needed:,.3g} ×"
            if needed and item.total_bytes is not None
            else "–",
            "Why": item.reason,
        }
        for item in counted
    ]
    st.table(pd.DataFrame(rows).set_index("Counted by"))
    counts = [{"Counted by": _called(item), "Bytes": item.total_bytes, "Why": item.reason} for item in counted]
    label, remarks = "Save the counts as CSV", spec.remarks
    share.save_csv(counts, key="models_counts_csv", file_name="headroom-counts.csv", label=label, remarks=remarks)
    engine.show_engine(spec, context or 8_192, ranks or 1)
