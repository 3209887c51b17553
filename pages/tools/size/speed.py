"""Speed and money: the bound on a decode step, which side binds, tokens per second, and what a million cost."""

import streamlit as st

from core.errors import SizingError
from core.figures.sizing_speed import step_chart
from core.serving.options import Option
from core.serving.roofline import StepBound, cost_per_million_tokens, decode_bound
from core.units import GB, format_count
from pages.shell import cached, style


def show_speed(option: Option) -> None:
    """The bound of the option under discussion."""
    job = option.plan.job
    bound = decode_bound(job)
    if bound.step_seconds is None:
        for caveat in bound.caveats:
            st.warning(caveat)
        return
    name = f"G = {option.num_kv_heads}" if option.num_kv_heads is not None else "The model as published"
    fits = "" if option.plan.fits else " It does not fit, so this is what it would take if it did."
    sentence = f"{name}: a decode step takes at least **{bound.step_seconds * 1e3:.1f} ms**. {_binds(bound)}{fits}"
    spec = cached.chart_spec(
        f"step {job!r}", st.context.theme.type or "light", lambda palette: step_chart(bound, palette)
    )
    style.draw_spec(spec, sentence=sentence, alt_text=_alt_text(bound), key="size_step")
    _figures(bound, job.num_accelerators)
    for caveat in bound.caveats:
        st.caption(caveat)
    _formulas(bound)


def _binds(bound: StepBound) -> str:
    if bound.binds is None:
        return "Only the time to read memory is known."
    if bound.binds == "memory":
        return f"It is memory-bound: its arithmetic would take {(bound.compute_seconds or 0) * 1e3:.1f} ms."
    return f"It is compute-bound: reading memory would take {(bound.memory_seconds or 0) * 1e3:.1f} ms."


def _figures(bound: StepBound, num_accelerators: int) -> None:
    user, total, money, crossover = st.columns(4)
    user.metric("Tokens/s, each user", f"≤ {bound.tokens_per_second_per_user:,.1f}", border=True)
    total.metric("Tokens/s, all users", f"≤ {bound.tokens_per_second:,.0f}", border=True)
    try:
        cost = cost_per_million_tokens(bound, st.session_state["size_price"], num_accelerators)
    except SizingError as error:
        money.error(str(error))
    else:
        money.metric(
            "Cost of 1 M tokens",
            f"≥ {cost:,.2f}",
            help="In the currency of the price per GPU-hour among the inputs: price × accelerators / tokens per hour.",
            border=True,
        )
    tokens = "none" if bound.crossover_tokens is None else format_count(bound.crossover_tokens)
    crossover.metric(
        "KV = weight reads at",
        tokens,
        help="Tokens in flight at which reading the cache takes as long as reading the weights (of experts, those that "
        "this batch wakes). Below a quarter of it, "
        "G hardly changes the speed; above it, the cache is most of what a step reads.",
        border=True,
    )


def _formulas(bound: StepBound) -> None:
    """The bound with its numbers put in."""
    lines = []
    if bound.bandwidth_bytes_per_s and bound.memory_seconds is not None:
        lines.append(
            f"read memory: ({bound.weight_read_bytes / GB:,.2f} GB weights + "
            f"{(bound.kv_read_bytes + bound.state_read_bytes) / GB:,.2f} GB cache) / "
            f"{bound.bandwidth_bytes_per_s / 1e12:.3f} TB/s = {bound.memory_seconds * 1e3:.2f} ms"
        )
    if bound.flops_per_s and bound.compute_seconds is not None:
        lines.append(
            f"compute: ({bound.weight_flops / 1e12:,.2f} TFLOP weights + {bound.attention_flops / 1e12:,.2f} TFLOP "
            f"attention) / {bound.flops_per_s / 1e12:,.1f} TFLOP/s = {bound.compute_seconds * 1e3:.2f} ms"
        )
    if bound.attention_intensity is not None and bound.ridge_flops_per_byte is not None:
        lines.append(
            f"attention: {bound.attention_intensity:.1f} FLOPs per KV byte; below the accelerator's ridge, "
            f"{bound.ridge_flops_per_byte:.0f}, it is memory-bound"
        )
    st.markdown("  \n".join(f"`{line}`" for line in lines))
    st.caption("No launch overhead, communication or sampling is in the bound: a real step is slower.")


def _alt_text(bound: StepBound) -> str:
    compute = "unknown" if bound.compute_seconds is None else f"{bound.compute_seconds * 1e3:.1f} ms"
    return f"One decode step: reading memory {(bound.memory_seconds or 0) * 1e3:.1f} ms, computing {compute}."
