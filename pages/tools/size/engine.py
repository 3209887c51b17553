"""The engine that serves the job: its control, its own few settings, why it takes what it takes, and the others."""

from typing import Any

import streamlit as st

from core.figures.engine_pages import pages_alt_text, pages_chart, pages_rows
from core.serving.engine_words import NAMES, EngineRow, engine_sentence, requests_sentence, side_by_side
from core.serving.options import Option
from core.units import format_bytes
from pages.shell import cached, share, style

VLLM_TYPES = ["by the bits", "fp8_e5m2", "fp8_per_token_head", "nvfp4", "turboquant_4bit_nc"]


def engine_input(column: Any) -> None:
    """The control beside the accelerator."""
    column.selectbox(
        "Engine",
        list(NAMES.values()),
        key="size_engine",
        bind="query-params",
        help="Whose allocation is counted. Payload alone is what the attention pattern needs.",
    )


def engine_id() -> str:
    """The engine chosen, by its id."""
    return next(engine for engine, name in NAMES.items() if name == st.session_state["size_engine"])


def settings_inputs() -> None:
    """The engine's own settings, each at its default; they are drawn for the engine that is chosen."""
    engine = engine_id()
    one, two, three, four = st.columns(4)
    if engine == "vllm":
        one.number_input(
            "Tokens batched at most", value=2_048, step=1_024, key="size_vllm_batched", bind="query-params"
        )
        two.selectbox("Cache type", VLLM_TYPES, key="size_vllm_type", bind="query-params")
        three.toggle("Prefix caching", value=True, key="size_vllm_prefix", bind="query-params")
    elif engine == "sglang":
        one.number_input(
            "Running requests at most, 0: its own", value=0, step=1, key="size_sg_most", bind="query-params"
        )
        two.number_input("Window to full tokens", value=0.8, step=0.1, key="size_sg_window", bind="query-params")
        three.number_input("State memory ratio", value=0.9, step=0.1, key="size_sg_states", bind="query-params")
        four.toggle("Radix cache", value=True, key="size_sg_prefix", bind="query-params")
    elif engine == "llama.cpp":
        one.number_input("ubatch, tokens", value=512, step=128, key="size_ll_ubatch", bind="query-params")
        two.toggle("One pool for all slots", value=False, key="size_ll_unified", bind="query-params")
        three.toggle("Windows in full", value=False, key="size_ll_swa", bind="query-params")


def settings() -> tuple[tuple[str, Any], ...]:
    """What differs from the engine's defaults, as pairs of its own keys."""
    state, found = st.session_state, {}
    engine = engine_id()
    if engine == "vllm":
        found = {"max_batched_tokens": state["size_vllm_batched"]}
        if state["size_vllm_type"] != VLLM_TYPES[0]:
            found["cache_type"] = state["size_vllm_type"]
        if not state["size_vllm_prefix"]:
            found["prefix_caching"] = False
    elif engine == "sglang":
        found = {
            "swa_full_tokens_ratio": state["size_sg_window"],
            "mamba_full_memory_ratio": state["size_sg_states"],
            "prefix_caching": state["size_sg_prefix"],
        }
        if state["size_sg_most"]:
            found["max_running_requests"] = state["size_sg_most"]
    elif engine == "llama.cpp":
        found = {
            "n_ubatch": state["size_ll_ubatch"],
            "kv_unified": state["size_ll_unified"],
            "swa_full": state["size_ll_swa"],
        }
    return tuple(found.items())


def show_difference(option: Option) -> None:
    """Under the verdict: where payload and engine differ by more than a tenth, the sentence with its cause."""
    if option.engine_refusal:
        st.warning(f"Counted as payload. {option.engine_refusal}", icon=":material/info:")
    elif sentence := engine_sentence(option.plan):
        st.info(sentence, icon=":material/stacked_bar_chart:")


def show_engine(option: Option) -> None:
    """The engine's pages as a picture, its lines, and the other engines beside it."""
    asked = option.plan.engine_plan
    if asked is None:
        st.markdown(option.engine_refusal or "The payload has no pages: choose an engine beside the accelerator.")
    else:
        st.markdown(" ".join(filter(None, [requests_sentence(option.plan), engine_sentence(option.plan)])))
        if pages_rows(asked):
            spec = cached.chart_spec(
                f"engine pages {option.plan.job!r}",
                st.context.theme.type or "light",
                lambda palette: pages_chart(asked, palette),
            )
            sentence = (
                "One request: each row a group of layers, each box a page of it. Solid is filled, pale is pinned and "
                "empty, a dashed frame is room for layers that the model does not have."
            )
            style.draw_spec(spec, sentence=sentence, alt_text=pages_alt_text(asked), key="size_engine_pages")
        for note in asked.notes:
            st.markdown(f"**{note.name.capitalize()}** · {note.formula}  \n`{note.numbers or '–'} = {note.result}`")
            if note.reason:
                st.caption(note.reason)
    st.markdown("**Engines side by side**, for this model, memory and job. Requests are over all copies of the model.")
    rows = _table(side_by_side(option.plan.job))
    st.table(rows)
    remarks = option.plan.job.model.remarks
    share.save_csv(rows, key="size_engines_csv", file_name="headroom-engines.csv", remarks=remarks)


def _table(rows: tuple[EngineRow, ...]) -> list[dict[str, str]]:
    return [
        {
            "Engine": row.version or NAMES[row.engine],
            "One request": "–" if row.request_bytes is None else format_bytes(row.request_bytes),
            "Times its payload": "–" if row.times_payload is None else f"{row.times_payload:,.3g}",
            "Requests at once": "–" if row.requests is None else f"{row.requests:,}",
            "Why": row.refusal or row.reason,
        }
        for row in rows
    ]
