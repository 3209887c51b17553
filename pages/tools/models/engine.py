"""One model on one engine: what a request takes there, why, and its pages as a picture; settings in the URL."""

import streamlit as st

from core.engines.class_names import named_class
from core.engines.face import plan_cache
from core.engines.job_memory import held_bytes
from core.engines.plan import EngineError, EnginePlan
from core.errors import SizingError
from core.figures.comparison import plain
from core.figures.engine_pages import pages_alt_text, pages_chart, pages_rows
from core.models.spec import ModelSpec
from core.serving.engine_words import taken_sentence
from core.serving.job import PAYLOAD
from core.serving.kv_ledger import kv_ledger
from core.units import format_both
from pages.shell import cached, style
from pages.tools import engine_settings, vllm_check

PAGE = "models"
BITS, BYTES = 16, 2


def show_engine(spec: ModelSpec, context_length: int, tensor_parallel: int) -> None:
    """The control and its settings, then the answer or the engine's refusal."""
    column, _ = st.columns([1, 3])
    engine_settings.engine_input(column, PAGE)
    engine_settings.settings_inputs(PAGE)
    engine = engine_settings.engine_id(PAGE)
    if engine == PAYLOAD:
        st.markdown("The payload has no pages: every engine's own count is in the table above.")
        return
    try:
        asked = plan_cache(
            named_class(spec),
            engine=engine,
            context_length=context_length,
            **_common(engine, tensor_parallel),
            **dict(engine_settings.settings(PAGE)),
        )
        payload = kv_ledger(spec, tensor_parallel).reserved_elements(context_length, 1) * BYTES
    except (EngineError, SizingError) as refused:
        st.warning(plain(str(refused)), icon=":material/info:")
        return
    _show(asked, context_length, held_bytes(asked, batch_size=1), payload, spec.state_bytes() // tensor_parallel)
    if engine == "vllm":
        ranks = (("tensor_parallel", tensor_parallel),)
        vllm_check.show(spec, context_length, engine_settings.settings(PAGE) + ranks, key="models_vllm_check")


def _common(engine: str, tensor_parallel: int) -> dict[str, int]:
    """Ranks and width in every engine's words; a cache type of its own stands over the width."""
    common = {"tensor_parallel": tensor_parallel} if tensor_parallel > 1 else {}
    named = "cache_type" in dict(engine_settings.settings(PAGE))
    return common if named or engine == "transformers" else {**common, "cache_bits": BITS}


def _show(asked: EnginePlan, context_length: int, taken: int, payload: int, states: int) -> None:
    said = taken_sentence(asked, context_length, taken, payload, states) or (
        f"A request of {context_length:,} tokens takes its payload on {asked.version}, within a tenth."
    )
    st.markdown(f"{said} That is {format_both(taken, 2)} on one accelerator.")
    if pages_rows(asked):
        settings = engine_settings.settings(PAGE)
        spec = cached.chart_spec(
            f"models engine {asked!r} {settings}",
            st.context.theme.type or "light",
            lambda palette: pages_chart(asked, palette),
        )
        sentence = (
            "One request: each row a group of layers, each box a page of it. Solid is filled, hatched is reserved "
            "and empty, a dashed frame is room for layers that the model does not have."
        )
        style.draw_spec(spec, sentence=sentence, alt_text=pages_alt_text(asked), key="models_engine_pages")
