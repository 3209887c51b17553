"""The questions behind a plan, each with its exact answer, and batch against context for every G."""

import streamlit as st

from core.reports.size_report import frontier_picture, limit_answers
from core.serving.options import Option, OptionGrid
from core.serving.sweep import FrontierPoint, frontier
from pages.shell import cached, style


def show_answers(grid: OptionGrid, option: Option) -> None:
    """Five cards: the number, and the sentence that says why it is exact."""
    answers = limit_answers(option)
    name = f"G = {option.num_kv_heads}" if option.num_kv_heads is not None else "the model as published"
    st.markdown(f"Everything else as it is, {name} with {option.cache}:")
    for column, (label, answer, form) in zip(st.columns(len(answers)), answers, strict=True):
        with column.container(border=True, height="stretch", gap="xsmall"):
            st.caption(label)
            st.markdown(f"### {form.format(int(answer)) if answer.fits else 'none'}")
            st.caption(answer.sentence)


def show_frontier(grid: OptionGrid, option: Option) -> None:
    """Largest batch against context, a line for each G."""
    if option.num_kv_heads is None:
        return
    job = option.plan.job
    points = frontier(job)
    if not any(point.largest_batch for point in points):
        st.info("Not one sequence of 1,024 tokens fits beside the weights, so there is nothing to draw.")
        return
    theme = st.context.theme.type or "light"
    spec = cached.chart_spec(f"frontier {job!r}", theme, lambda palette: frontier_picture(option, points, palette))
    sentence = (
        f"What each G holds with {option.cache}: a job below its line fits. On these logarithmic axes "
        "halving G moves the line as far as halving the batch would."
    )
    style.draw_spec(spec, sentence=sentence, alt_text=_alt_text(points, option), key="size_frontier")


def _alt_text(points: tuple[FrontierPoint, ...], option: Option) -> str:
    job = option.plan.job
    nearest = min({point.context_length for point in points}, key=lambda context: abs(context - job.context_length))
    listed = ", ".join(f"G = {p.num_kv_heads} {p.largest_batch:,}" for p in points if p.context_length == nearest)
    return (
        f"Largest batch against context for every G. At {nearest:,} tokens: {listed}. This job: {job.batch_size:,} "
        f"sequences of {job.context_length:,} tokens."
    )
