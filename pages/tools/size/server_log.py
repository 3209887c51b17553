"""Paste the log: a server's own start-up figures beside ours, and its memory taken for the budget."""

from typing import Any

import streamlit as st

from core.engines.logs import LogError, ServerLog, read_log
from core.engines.plan import EngineError
from core.figures.comparison import plain
from core.reports.tables import amount_and_unit
from core.serving.calibrated import calibrated, require_left_gib
from core.serving.engine_words import NAMES
from core.serving.job import ServingJob
from core.serving.log_compared import LogRow, misled, rows_of, take_gib
from core.serving.memory_plan import MemoryPlan
from core.units import GIB
from pages.shell import share
from pages.tools.size import engine

PLACE = "Available KV cache memory: 7.71 GiB\nGPU KV cache size: 63,152 tokens"
# bits of a log's kv_cache_dtype; 'auto' is the model's own, which the page has already
_WIDTHS = {"fp8": 8, "fp8_e4m3": 8, "fp8_e5m2": 8, "bfloat16": 16, "float16": 16}
SAID = {True: "equal", False: "differs", None: "no claim"}


def left_input(column: Any) -> None:
    """The memory that a log left for the cache; 0 has it computed."""
    column.number_input(
        "Measured for the cache, GiB (0: computed)",
        value=0.0,
        step=1.0,
        format="%.4g",
        key="size_left",
        bind="query-params",
        help="What a server's log says is left for the cache on one accelerator. Every answer then rests on it.",
    )


def as_measured(job: ServingJob, state: Any = None) -> ServingJob:
    """The job with the measured memory, where one was given. Raises SizingError."""
    left = (st.session_state if state is None else state)["size_left"]
    require_left_gib("measured for the cache, GiB", left, job)
    return calibrated(job, round(left * GIB)) if left else job


def holds_a_file() -> bool:
    """Whether a log was uploaded: a file's input stays in the browser, which has its name."""
    return st.session_state.get("size_log_file") is not None


def log_inputs() -> str | bytes:
    """The box and the file, whatever tab is open, so that nothing pasted is lost: the text, or what is in the file."""
    st.markdown(
        "**Paste a server's start-up lines** and its figures stand beside ours, for the model above. Read here and "
        "kept nowhere: not on disk, not in the link. Lines that are not understood are ignored."
    )
    left, right = st.columns([3, 1], gap="medium")
    text = left.text_area("Lines of vLLM, SGLang or llama.cpp", key="size_log", height=150, placeholder=PLACE)
    file = right.file_uploader("Or the log as a file", type=["log", "txt", "out", "err"], key="size_log_file")
    return file.getvalue() if file is not None else (text or "")


def show_log(plan: MemoryPlan, data: str | bytes, model: str) -> None:
    """What was read, and each figure beside ours; model is the name of the one above."""
    if not data:
        return
    try:
        log = read_log(data)
        rows, misleading = rows_of(log, plan), misled(log, plan)
    except (LogError, EngineError) as refused:
        st.error(plain(str(refused)))
        return
    _show_rows(log, rows, model)
    engine.say_misleading(misleading)


def _show_rows(log: ServerLog, rows: tuple[LogRow, ...], model: str) -> None:
    name = f"{NAMES[log.engine]} {log.version}".strip()
    checked = [row for row in rows if row.equal is not None]
    equal = sum(bool(row.equal) for row in checked)
    of = f" The log is of {plain(log.model)}, our figures are of {plain(model)}." if log.model else ""
    st.markdown(f"**{plain(name)}.** {equal} of {len(checked)} figures are equal to ours.{of}")
    table = [
        {"Figure": row.name, "The log": row.logged, "Ours": row.ours, "Verdict": SAID[row.equal], "Why": row.why}
        for row in rows
    ]
    st.table([{**line, "Why": plain(line["Why"])} for line in table])
    rows_apart = [_amounts(line) for line in table]
    share.save_csv(rows_apart, key="size_log_csv", file_name="headroom-log.csv", shown=table)
    gib = take_gib(log)
    if gib is None:
        return
    st.button(
        f"Take {gib:,.4g} GiB as the budget",
        key="size_log_take",
        icon=":material/straighten:",
        on_click=_take,
        args=(gib, NAMES[log.engine], log.settings.get("tensor_parallel"), log.settings.get("cache_type")),
        help="Sets the measured memory, the engine, the ranks and the cache's width of the log, so that every later "
        "answer is this machine's.",
    )


def _take(gib: float, name: str, ranks: object, cache_type: object) -> None:
    state = st.session_state
    state["size_left"], state["size_engine"] = gib, name
    if isinstance(ranks, int):
        state["size_tp"] = ranks
        together = ranks * state["size_pp"] * state["size_dp"]
        state["size_count"] = max(state["size_count"] // together, 1) * together
    if cache_type in _WIDTHS:
        state["size_kv_bits"] = _WIDTHS[str(cache_type)]


def _amounts(line: dict[str, str]) -> dict[str, str]:
    """The line for a spreadsheet: figures differ in their units, so each has a column for it."""
    apart = {name: amount_and_unit(line[name]) for name in ("The log", "Ours")}
    figures = {name: number for name, (number, _) in apart.items()}
    unit = next((unit for _, unit in apart.values() if unit), "")
    return {"Figure": line["Figure"], "Unit": unit, **figures, "Verdict": line["Verdict"], "Why": line["Why"]}
