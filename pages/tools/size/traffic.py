"""Traffic instead of a constant: contexts with a distribution, the tokens that are live, and the batch that holds."""

import streamlit as st

from core.figures.sizing_limits import hold_chart
from core.serving.options import Option
from core.serving.traffic import (
    CSV_COLUMNS,
    MAX_CSV_BYTES,
    MAX_SIMULATED_BATCH,
    Traffic,
    TrafficError,
    constant_traffic,
    csv_traffic,
    lognormal_traffic,
)
from core.serving.traffic_fit import TrafficFit
from core.units import GB
from pages.shell import cached, style

CONSTANT, LOGNORMAL, FILE = "Constant", "Log-normal", "CSV of requests"


def takes_a_file() -> bool:
    """Whether requests are uploaded: a file's input stays in the browser, which has its name."""
    return FILE in (st.session_state.get("size_traffic"), st.query_params.get("size_traffic"))


def traffic_inputs() -> None:
    """The distribution and its figures; in the URL whatever tab is open (an uploaded file cannot be)."""
    st.segmented_control(
        "Context lengths",
        [LOGNORMAL, CONSTANT, FILE],
        default=LOGNORMAL,
        required=True,
        key="size_traffic",
        bind="query-params",
    )
    mean, p95, share = st.columns(3)
    mean.number_input("Mean context at the end, tokens", value=16_384, step=1_024, key="size_mean", bind="query-params")
    p95.number_input("95th percentile, tokens", value=40_000, step=1_024, key="size_p95", bind="query-params")
    share.number_input("Share of it that is generated", value=0.25, step=0.05, key="size_share", bind="query-params")
    if st.session_state["size_traffic"] == FILE:
        st.file_uploader(
            f"Requests: a CSV with the columns {' and '.join(CSV_COLUMNS)}",
            type="csv",
            max_upload_size=MAX_CSV_BYTES // 1_000_000,
            key="size_requests",
        )


def show_traffic(option: Option) -> None:
    """Live tokens, the chance of overflow, the batch that holds at 99 %, and the static worst case beside them."""
    job = option.plan.job
    try:
        fitted = fitted_traffic(option)
    except TrafficError as error:
        st.error(str(error))
        return
    if fitted is None:
        st.info("Upload a CSV of requests to size for them.")
        return
    traffic, fit = fitted
    _figures(fit, traffic, job.context_length)
    found = fit.occupancy
    spec = cached.chart_spec(
        f"hold {job!r} {_key()}", st.context.theme.type or "light", lambda palette: hold_chart(found, palette)
    )
    st.markdown(_sentence(fit))
    alt_text = (
        f"Chance that a batch stays within the cache. {found.holding_batch:,} fit 99 % of the time, this job has "
        f"{found.batch_size:,}, static allocation holds {found.static_batch:,}."
    )
    style.draw_spec(spec, sentence="", alt_text=alt_text, key="size_hold")
    st.caption(
        f"{traffic.sentence} A sequence in flight is picked in proportion to its output, at a uniform point of it; "
        f"sequences are independent, tokens are rounded up to blocks of {fit.block_size}, prefill time is left out. "
        f"Seeded Monte Carlo, {found.trials:,} trials. An engine that overflows preempts or queues."
    )


def fitted_traffic(option: Option) -> tuple[Traffic, TrafficFit] | None:
    """The traffic of the inputs and what the option's cache does under it; None while no file is there.

    Raises TrafficError for traffic that cannot be.
    """
    job = option.plan.job
    traffic = traffic_of_inputs(job.context_length)
    return None if traffic is None else (traffic, cached.traffic_fit(f"{job!r} {_key()}", job, traffic))


def traffic_of_inputs(context_length: int) -> Traffic | None:
    """The traffic that the inputs say; None while no file is there. Raises TrafficError."""
    state = st.session_state
    if state["size_traffic"] == CONSTANT:
        return constant_traffic(context_length)
    if state["size_traffic"] == LOGNORMAL:
        return lognormal_traffic(
            mean=state["size_mean"],
            p95=state["size_p95"],
            output_share=state["size_share"],
            longest_context=context_length,
        )
    uploaded = state.get("size_requests")
    return None if uploaded is None else csv_traffic(uploaded.getvalue(), longest_context=context_length)


def _key() -> str:
    """What the traffic depends on, for the cache."""
    state = st.session_state
    uploaded = state.get("size_requests")
    file = uploaded.file_id if state["size_traffic"] == FILE and uploaded is not None else ""
    return f"{state['size_traffic']} {state['size_mean']} {state['size_p95']} {state['size_share']} {file}"


def _figures(fit: TrafficFit, traffic: Traffic, context_length: int) -> None:
    found = fit.occupancy
    live, cache, chance, batch = st.columns(4)
    live.metric(
        "Live tokens a sequence",
        f"{fit.mean_live_tokens:,.0f}",
        f"{traffic.mean_live_tokens / context_length:.0%} of {context_length:,}",
        delta_color="off",
        delta_arrow="off",
        border=True,
    )
    cache.metric(
        "Live cache of the batch",
        f"{fit.mean_live_bytes / GB:,.1f} GB",
        f"static: {fit.worst_case_bytes / GB:,.1f} GB",
        delta_color="off",
        delta_arrow="off",
        border=True,
    )
    chance.metric(
        "Chance of overflow",
        "none seen" if found.overflow_probability == 0 else f"{found.overflow_probability:.1%}",
        f"{'below' if found.overflow_probability == 0 else '±'} {found.overflow_error:.2%}",
        delta_color="off",
        delta_arrow="off",
        border=True,
    )
    low, high = found.holding_range
    capped = "at least " if found.holding_batch >= MAX_SIMULATED_BATCH else ""
    batch.metric(
        "Batch that holds at 99 %",
        f"{capped}{min(found.holding_batch, MAX_SIMULATED_BATCH):,}",
        f"95 % interval {low:,} to {high:,}",
        delta_color="off",
        delta_arrow="off",
        border=True,
    )


def _sentence(fit: TrafficFit) -> str:
    found = fit.occupancy
    room = f"{fit.capacity_bytes / GB:,.1f} GB are left for the cache"
    if fit.capacity_bytes == 0:
        return "Weights and reserve alone fill the budget: nothing is left for a cache."
    return (
        f"{room} on one accelerator. Static allocation sets the longest context aside and holds "
        f"**{found.static_batch:,}** sequences; a paged cache holds **{found.holding_batch:,}** of this traffic at "
        f"99 %; the job asks for **{found.batch_size:,}**. {fit.scope}"
    ).strip()
