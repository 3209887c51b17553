"""The engine that serves the job: its control, its own few settings, why it takes what it takes, and the others."""

from typing import Any

import streamlit as st

from core.engines.plan import EnginePlan
from core.engines.vllm import TYPE_OF_BITS
from core.figures.engine_pages import pages_alt_text, pages_chart, pages_rows
from core.figures.engine_rows import engines_alt_text, engines_chart, engines_sentence
from core.serving.engine_cache import engine_cache
from core.serving.engine_why import Misleading, misleading, why_sentence
from core.serving.engine_words import NAMES, EngineRow, engine_sentence, requests_sentence, side_by_side
from core.serving.memory_plan import MemoryPlan
from core.serving.options import Option, as_payload
from core.units import format_bytes
from pages.shell import cached, share, style
from pages.tools import engine_settings, vllm_check

PAGE = "size"


def engine_input(column: Any) -> None:
    """The control beside the accelerator."""
    engine_settings.engine_input(column, PAGE)


def engine_id(state: Any = None) -> str:
    """The engine chosen, by its id."""
    return engine_settings.engine_id(PAGE, state)


def settings_inputs() -> None:
    """The engine's own settings."""
    engine_settings.settings_inputs(PAGE)


def settings(state: Any = None) -> tuple[tuple[str, Any], ...]:
    """What differs from the engine's defaults."""
    return engine_settings.settings(PAGE, state)


def cache_type() -> str:
    """The type of the cache that the engine's settings name; empty where the bits decide."""
    return engine_settings.cache_type(PAGE)


def show_difference(option: Option) -> None:
    """Under the verdict: where payload and engine differ by a tenth, why."""
    if option.engine_refusal:
        st.warning(as_payload(option.engine_refusal), icon=":material/info:")
    elif sentence := engine_sentence(option.plan):
        st.info(sentence, icon=":material/stacked_bar_chart:")


def show_why(option: Option) -> None:
    """Under the picture of every G: why the server takes so many requests at once."""
    st.markdown(why_sentence(option.plan))


def show_engine(option: Option) -> None:
    """The engine's pages as a picture, the other engines beside it, and its lines."""
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
            whose = "All slots together" if asked.engine == "llama.cpp" else "One request"
            sentence = (
                f"{whose}: each row a group of layers, each box a page of it. Solid is filled, hatched is reserved "
                "and empty, a dashed frame is room for layers that the model does not have."
            )
            style.draw_spec(spec, sentence=sentence, alt_text=pages_alt_text(asked), key="size_engine_pages")
    say_misleading(misleading(option.plan))
    _show_side_by_side(option)
    if asked is not None:
        _show_lines(asked)
        if asked.engine == "vllm":
            _show_check(option.plan)


def _show_lines(asked: EnginePlan) -> None:
    """The plan of the engine line by line, each with its numbers and why."""
    st.markdown(f"**{asked.version}, line by line**")
    for note in asked.notes:
        counted = " = ".join(filter(None, (note.numbers, note.result)))
        st.markdown(f"**{note.name.capitalize()}** · {note.formula}  \n`{counted}`")
        if note.reason:
            st.caption(note.reason)


def _show_side_by_side(option: Option) -> None:
    """What each engine takes for the same job, as a picture and as a table."""
    found = side_by_side(option.plan.job)
    spec = cached.chart_spec(
        f"engines {option.plan.job!r}", st.context.theme.type or "light", lambda palette: engines_chart(found, palette)
    )
    sentence = engines_sentence(found, option.plan.job.context_length)
    style.draw_spec(spec, sentence=sentence, alt_text=engines_alt_text(found), key="size_engines")
    rows = _table(found)
    with st.expander("The same as a table; requests are over all copies of the model"):
        st.table(rows)
    remarks = option.plan.job.model.remarks
    numbers = [
        {
            "Engine": row.version or NAMES[row.engine], "One request, bytes": row.request_bytes,
            "Times its payload": row.times_payload, "Requests at once": row.requests, "Why": row.refusal or row.reason,
        }
        for row in found
    ]  # fmt: skip
    name = "headroom-engines.csv"
    share.save_csv(numbers, key="size_engines_csv", file_name=name, remarks=remarks, shown=rows)


def _show_check(plan: MemoryPlan) -> None:
    """The same job put to vLLM's own planner, where vLLM can be imported."""
    cache = engine_cache(plan.job)
    if cache is None:
        return
    settings = (("tensor_parallel", cache.tensor_parallel), *cache.settings)
    if "cache_type" not in dict(settings):
        settings = (*settings, ("cache_type", TYPE_OF_BITS[cache.cache_bits]))
    vllm_check.show(cache.spec, plan.job.context_length, settings, key="size_vllm_check")


def say_misleading(figures: tuple[Misleading, ...]) -> None:
    """The log's figure, what people can count on, and the knob."""
    for found in figures:
        st.warning(
            f"**Where the log misleads.** It says `{found.logged}`. Count on {found.count_on}. {found.why} "
            f"To move it: {found.knob}.",
            icon=":material/troubleshoot:",
        )


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
