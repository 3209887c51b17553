"""One click: vLLM's own planner, asked in a worker, stands beside our plan; on Models and on Size."""

import threading
from typing import Any

import streamlit as st

from core.engines import vllm_check as check
from core.engines.class_names import named_class
from core.engines.face import plan_cache
from core.engines.plan import EngineError, EnginePlan
from core.engines.vllm_check import FigureBeside, VllmAnswer, VllmCheckError
from core.figures.comparison import plain
from core.models.spec import ModelSpec
from core.units import format_both
from pages.shell import share

ONE_AT_A_TIME = threading.Lock()  # vLLM loads torch in a process of its own: a room of viewers takes turns
MOST_KEPT = 8
Answer = tuple[EnginePlan, VllmAnswer] | str


@st.fragment
def show(spec: ModelSpec, context_length: int, settings: tuple[tuple[str, Any], ...], *, key: str) -> None:
    """The button, and the last answer for this model, length and settings (vLLM's, as plan_cache takes them)."""
    answers: dict[Any, Answer] = st.session_state.setdefault(f"{key}_answers", {})
    asked = (spec.model_type, context_length, settings, hash(str(sorted(map(str, spec.config.items())))))
    if st.button("Check against vLLM", key=key, icon=":material/fact_check:"):
        with st.spinner("vLLM builds its model classes without weights and plans the cache"):
            answers[asked] = _asked(spec, context_length, dict(settings))
        while len(answers) > MOST_KEPT:
            answers.pop(next(iter(answers)))
    answer = answers.get(asked)
    if isinstance(answer, str):
        st.error(plain(answer), icon=":material/info:")
    elif answer is not None:
        _show(*answer, key=key)


def _asked(spec: ModelSpec, context_length: int, settings: dict[str, Any]) -> Answer:
    model = named_class(spec)
    with ONE_AT_A_TIME:
        try:
            alone = plan_cache(model, engine="vllm", context_length=context_length, **settings)
            memory = check.memory_for(alone.request_bytes or 0)
            ours = plan_cache(model, engine="vllm", context_length=context_length, available_bytes=memory, **settings)
            theirs = check.ask_vllm(
                model.config, context_length=context_length, available_bytes=memory, settings=settings
            )
        except (VllmCheckError, EngineError) as error:
            return str(error)
    return ours, theirs


def _show(ours: EnginePlan, theirs: VllmAnswer, *, key: str) -> None:
    figures = check.compare(ours, theirs)
    differ = [figure.name for figure in figures if not figure.equal]
    said = (
        f"vLLM {plain(theirs.version)} planned a cache of {format_both(theirs.available_bytes)} on "
        f"{'an H100 that was stood in for' if theirs.stood_in else 'the GPU here'}"
    )
    if differ:
        st.warning(f"{said}. Its plan differs from ours ({ours.version}) in: {', '.join(differ).lower()}.")
    else:
        st.success(f"{said}. Ours is equal in all {len(figures)} figures.")
    rows = [_row(figure) for figure in figures]
    st.table(rows)
    share.save_csv(rows, key=f"{key}_csv", file_name="headroom-vllm-check.csv", label="Save the check as CSV")


def _row(figure: FigureBeside) -> dict[str, str]:
    return {
        "Figure": figure.name,
        "Ours": "–" if figure.ours is None else f"{figure.ours:,.6g}" if figure.ours % 1 else f"{figure.ours:,.0f}",
        "vLLM": f"{figure.theirs:,.6g}" if figure.theirs % 1 else f"{figure.theirs:,.0f}",
        "": "equal" if figure.equal else "differs",
    }
