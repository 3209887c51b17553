"""Ways to make a wished-for G fit: ranked changes with their cost in quality, their step-time bound, and a button that
sets the inputs to them."""

import streamlit as st

from core.figures.comparison import plain
from core.serving.calibrated import left_bytes
from core.serving.options import as_payload, at_width, option_of
from core.serving.ways_evidence import evidence_for_way
from core.serving.ways_to_fit import WayToFit, ways_to_fit
from core.units import GB, GIB
from pages.tools.size import stored
from pages.tools.size.inputs import PATTERN, Asked

SHOWN = 8


def show_ways(asked: Asked, wished: int | None) -> None:
    """The ranked list, or that nothing has to change."""
    name = f"G = {wished}" if wished is not None else "The model as published"
    job = at_width(asked.job.where(num_kv_heads=wished), asked.job.kv_bits, asked.scale_overhead_bits)
    counted = option_of(job)
    ways = ways_to_fit(job, scale_overhead_bits=asked.scale_overhead_bits)
    if counted.engine_refusal:
        st.caption(plain(as_payload(counted.engine_refusal)))
    elif job.measured is not None:
        st.caption("What the server keeps beside weights and cache, by its log, stays in every way.")
    if not ways:
        if counted.plan.fits:
            st.success(f"{name} fits as it is.")
        else:
            st.warning(f"No change listed here makes {name} fit.")
        return
    st.markdown(
        f"**{len(ways)} ways to make {name} fit**, fewest changes first, then those that cost no quality, then the "
        "smallest. Step times are bounds from bytes and bandwidth."
    )
    count = len(ways) if st.toggle(f"Show all {len(ways)}", key="size_all_ways", bind="query-params") else SHOWN
    for rank, way in enumerate(ways[:count], start=1):
        _show_way(rank, way)


def _show_way(rank: int, way: WayToFit) -> None:
    with st.container(border=True, gap="xsmall"):
        words, figures, button = st.columns([5, 3, 1.3], vertical_alignment="center")
        words.markdown(f"**{rank}. {way.label[:1].upper()}{way.label[1:]}**")
        figures.markdown(f"{way.headroom_bytes / GB:,.1f} GB to spare  \n{step_text(way)}")
        button.button("Use this", key=f"size_use_{rank}", on_click=use_way, args=(way,), width="stretch")
        st.caption(quality_text(way))


def step_text(way: WayToFit) -> str:
    """'step ≥ 14.5 ms, 2,205 tokens/s', or that the bandwidth is unknown."""
    if way.step_seconds_after is None or way.tokens_per_second_after is None:
        return "step time unknown"
    return f"step ≥ {way.step_seconds_after * 1e3:.1f} ms, ≤ {way.tokens_per_second_after:,.0f} tokens/s"


def quality_text(way: WayToFit) -> str:
    """The published cost of each change, with source and caveat."""
    cited = evidence_for_way(way)
    if not cited:
        return "No cost in quality: the model itself does not change."
    said = []
    for change, finding in cited:
        if finding is None:
            said.append(f"{change.label}: no published figure here, measure it.")
            continue
        source = f"[{finding.paper}, {finding.where}]({finding.link})"
        said.append(f"{change.label}: {finding.statement} {finding.caveat} {source}")
    return "Quality. " + "  \n".join(said)


def use_way(way: WayToFit) -> None:
    """Sets the inputs to a way's job."""
    state, job = st.session_state, way.job
    state["size_batch"], state["size_context"] = job.batch_size, job.context_length
    state["size_weight_bits"] = int(job.weight_bits)
    if job.stored_type is None:  # else the engine's settings say how the cache is stored, and stay as they are
        state["size_kv_bits"] = job.kv_bits
    stored.take(job.weight_format)
    state["size_count"], state["size_tp"] = job.num_accelerators, job.tensor_parallel
    state["size_pp"], state["size_dp"], state["size_ep"] = (
        job.pipeline_parallel, job.data_parallel, job.expert_parallel,
    )  # fmt: skip
    state["size_g"] = str(job.num_kv_heads) if job.num_kv_heads is not None else state["size_g"]
    if any(change.axis == "accelerator" for change in way.changes):  # else the host's or a typed one stays
        state["size_accelerator"] = job.device.name
    if job.measured is not None:
        state["size_left"] = left_bytes(job) / GIB
    if job.window_pattern is not None:
        state["size_windows"] = PATTERN
        state["size_global"] = job.window_pattern.global_layers
        state["size_local"] = job.window_pattern.local_layers
        state["size_window"] = job.window_pattern.window
