"""The benchmark button and what comes of it: the plan before the run, the run as everyone sees it, its result.

Other pages call benchmark_panel; the page 'Measure decoding' puts more controls around the same pieces.
"""

from dataclasses import replace

import streamlit as st

from core.decode import worker
from core.decode.device_lock import DeviceBusy
from core.decode.plan import (
    ACCELERATORS,
    DecodeJob,
    InvalidJob,
    StepShape,
    fit_to_memory,
    step_copies,
    step_memory_bytes,
    step_read_bytes,
)
from core.host.busy import BUSY_CORES, load_of_last_minute
from core.host.guard import limit_in_words
from core.host.memory import available_bytes
from core.host.packages import missing
from core.host.processor import has_amx, has_nvidia_gpu
from core.units import format_bytes, number_of
from pages.tools.decode.result import in_words, show_result

QUICK_BYTES = 2e9
FULL, QUICK = "Full: every kernel", "Quick: about a minute"
WHAT_IT_TRIES = {
    FULL: "Full tries every kernel that this host has, at the job's own shape where that fits into free memory and at "
    "the largest that fits where it does not.",
    QUICK: "Quick takes at most 2 GB of memory for the attention and leaves out what is compiled for every shape: "
    "flex_attention and the kernels of torch.compile. Full tries them too.",
}
NEVER_RUN = (
    "MPS (Apple) and XPU (Intel) are measured through torch.accelerator alone: SDPA and packed rows, no graphs. It "
    "was never run on either. The arithmetic is checked before anything is timed; how it is timed is unproven there."
)
AMX_NEVER_RUN = (
    "This processor has AMX. The kernel compiled for it multiplies bf16 by AMX's tiles where four query heads or more "
    "share a KV head. No figure of ours was ever taken on one: the arithmetic is checked before anything is timed."
)
UNLIMITED = 1 << 62  # bytes: a GPU's free memory is known to the run alone


def benchmark_panel(
    *,
    num_query_heads: int,
    head_dim: int,
    context_length: int,
    batch_size: int,
    num_layers: int,
    kv_heads: tuple[int, ...],
    key_prefix: str,
    dtype: str = "bfloat16",
    lengths: tuple[int, ...] = (),
) -> None:
    """Button, plan, live progress and result for one layer's decode attention of a job, on this host.

    lengths: the sequences' own contexts, batch_size of them, for a ragged batch.
    """
    try:
        job = DecodeJob(
            num_query_heads=num_query_heads, kv_heads=kv_heads, head_dim=head_dim, context_length=context_length,
            batch_size=batch_size, dtype=dtype, lengths=lengths,
        )  # fmt: skip
        measure(job, num_layers=num_layers, key_prefix=key_prefix)
    except InvalidJob as error:
        st.error(str(error))


def measure(job: DecodeJob, *, num_layers: int, key_prefix: str) -> None:
    """The plan of a job, its button, and the run that this viewer started or that is under way.

    Raises InvalidJob when the smallest run does not fit into memory.
    """
    size = st.segmented_control(
        "Size of the run",
        (FULL, QUICK),
        default=FULL,
        key=f"{key_prefix}_run_size",
        bind="query-params",
        required=True,
    )
    limit = QUICK_BYTES if size == QUICK else None
    job = replace(job, quick=size == QUICK)
    _show_plan(job, limit)
    _say_how_busy()
    under_way, without = worker.running(), missing("Measuring", "torch")
    if st.button(
        "Measure decoding on this host", type="primary", icon=":material/timer:", key=f"{key_prefix}_start",
        disabled=bool(under_way or without),
    ):  # fmt: skip
        _start(job, limit, key_prefix)
    if without:
        st.info(without)
    st.caption(f"{WHAT_IT_TRIES[QUICK if size == QUICK else FULL]} {limit_in_words()}".strip())
    run = under_way[0] if under_way else worker.find(st.session_state.get(f"{key_prefix}_under_way"))
    if run is None:
        _watch_for_runs()
    elif run.state.running:
        _follow(run.key, num_layers, key_prefix)
    else:
        _show_ended(run.state, num_layers, key_prefix)
        _watch_for_runs()


def _show_plan(job: DecodeJob, limit: float | None) -> None:
    """What the run will read, and in what time, before it runs. The figures are exact; how much a GPU has free, the
    run itself asks."""
    on_gpu = job.device not in ("auto", "cpu") or (job.device == "auto" and has_nvidia_gpu())
    most = UNLIMITED if on_gpu else available_bytes()
    fitted = fit_to_memory(job, min(most, int(limit or UNLIMITED)), "cuda" if on_gpu else "cpu")
    measured = fitted.measured
    sizes = ", ".join(f"**{format_bytes(measured.kv_read_bytes(g))}** at G = {g}" for g in measured.kv_heads)
    st.markdown(
        f"On this host's {'GPU' if on_gpu else 'CPU'}, one layer, {in_words(measured.sequence_lengths)} in "
        f"{job.dtype}: each step must read {sizes}, and compute {_flops(measured.attention_flops)} at any G. "
        f"The run has **{job.seconds_limit:,.0f} s**: what is not measured by then is left out."
    )
    if job.device in ACCELERATORS:
        st.warning(NEVER_RUN)
    elif not on_gpu and has_amx():
        st.caption(AMX_NEVER_RUN)
    elif on_gpu and not has_nvidia_gpu():
        st.warning("No NVIDIA GPU is seen on this host. Choose cpu or auto as the device, unless torch can reach one.")
    if measured.step:
        st.markdown(_step_in_words(measured, measured.step))
    if fitted.sentence:
        st.caption(fitted.sentence)
    if on_gpu and limit is None:
        st.caption("A job that does not fit into the GPU's free memory is scaled down by the run, which then says so.")


def _step_in_words(job: DecodeJob, shape: StepShape) -> str:
    """Bytes and memory of the whole step."""
    sizes = ", ".join(f"**{format_bytes(step_read_bytes(job, shape, g))}** at G = {g}" for g in job.kv_heads)
    copies = step_copies(job, shape)
    least = format_bytes(step_memory_bytes(job, shape, copies=copies))
    most = format_bytes(step_memory_bytes(job, shape, job.kv_heads, copies))
    return (
        f"A whole step of {number_of(shape.num_layers, 'layer')} must read {sizes}; timing it takes {least} of memory, "
        f"or up to {most} where the fastest kernels store the cache in layouts of their own."
    )


def _flops(count: int) -> str:
    """'0.34 GFLOP'; of a small job '0.52 MFLOP', which would read 0.00 GFLOP."""
    if count < 10_000:
        return f"{count:,} FLOP"
    return f"{count / 1e9:,.2f} GFLOP" if count >= 10_000_000 else f"{count / 1e6:,.2f} MFLOP"


def _say_how_busy() -> None:
    """Before the run: what else computes on this machine, by the system's own count of the last minute."""
    load = load_of_last_minute()
    if load is not None and load > BUSY_CORES:
        st.caption(
            f":material/warning: In the last minute {load:.1f} cores of this machine were asked for. A measurement "
            "beside other work is slower and less sure: wait until that is done. The run looks again and says."
        )


def _start(job: DecodeJob, limit: float | None, key_prefix: str) -> None:
    options = () if limit is None else ("--memory-limit", str(limit / 1e9))
    try:
        run = worker.start(job, *options)
    except DeviceBusy as error:
        st.warning(str(error))
        return
    st.session_state[f"{key_prefix}_under_way"] = run.key
    st.rerun()


@st.fragment(run_every=1.0)
def _follow(run_key: str, num_layers: int, key_prefix: str) -> None:
    """The run under way, once a second, for every viewer."""
    run = worker.find(run_key)
    if run is None or not run.state.running:
        st.session_state[f"{key_prefix}_under_way"] = run_key
        st.rerun()
    state = run.state
    left = "" if state.seconds_left is None else f", about {state.seconds_left:,.0f} s left"
    st.progress(state.done / state.total if state.total else 0.0, text=f"{state.message}{left}")
    if state.plan.get("sentence"):
        st.caption(state.plan["sentence"])
    if st.button("Cancel the measurement", icon=":material/cancel:", key=f"{key_prefix}_cancel"):
        run.cancel()
        run.wait(5)
    if any(r.best for r in state.results):
        show_result(
            state.results, state.job.num_query_heads, num_layers, state.job.batch_size, key=f"{key_prefix}_live",
            brief=True,
        )  # fmt: skip


@st.fragment(run_every=3.0)
def _watch_for_runs() -> None:
    """Nothing is drawn: when another viewer starts a run, this page shows it."""
    if worker.running():
        st.rerun()


def _show_ended(state: worker.RunState, num_layers: int, key_prefix: str) -> None:
    if state.status == "failed":
        st.error(state.message)
    elif state.status == "stopped":
        kept = (
            "Nothing had been measured by then." if state.record is None else "What had been measured by then is kept."
        )
        st.warning(f"{state.message} {kept}")
    if state.warning:
        st.warning(state.warning)
    if state.record is None:
        return
    record = state.record
    batch = int(record.job["batch_size"])
    show_result(
        record.results, int(record.job["num_query_heads"]), num_layers, batch, key=f"{key_prefix}_result", record=record
    )
