"""The verdict in words, what is published about the G under discussion, and the picture of every option."""

from typing import Any

import streamlit as st

from core.evidence.studies import ChoiceEvidence, Dot, evidence_for
from core.figures.house import dress
from core.figures.palette import Palette, theme_of
from core.figures.sizing import options_alt_text, options_chart
from core.hardware.accelerators import explain_memory
from core.reports.pictures import Picture
from core.serving.budget import budget_basis, counted_by_server, is_another_server_s
from core.serving.memory_plan import MemoryPlan
from core.serving.options import Option, OptionGrid, near_misses, option_sentence, refused_widths, verdict
from core.serving.what_if import own_kv_heads, query_heads
from core.units import GB
from pages.shell import cached, style

MOST_SOURCES = 3
PARTS = "Weights, KV cache and the reserve (activations and the server itself)"


def show_verdict(grid: OptionGrid, option: Option, wished: int | None) -> None:
    """The verdict; under it the option under discussion, and what is published about its G."""
    st.markdown(f"### {verdict(grid, wished or 8)}")
    left, right = st.columns([2, 3], gap="medium")
    left.markdown(" ".join(filter(None, [option_sentence(option), near_misses(grid), refused_widths(grid)])))
    with right:
        show_quality(grid, option)
    boundary = boundary_sentence(option.plan)
    if boundary:
        st.info(boundary, icon=":material/straighten:")


def show_quality(grid: OptionGrid, option: Option) -> None:
    """What studies found at this G, with links, or why there is nothing to find."""
    if option.num_kv_heads is None:
        st.markdown("**Quality.** This model has no G to change, so no study of fewer KV heads applies.")
        return
    found = choice_evidence(grid, option)
    links = [f"[{_short(dot)}]({dot.study.link})" for dot in found.dots[:MOST_SOURCES]]
    sources = f" Largest models: {' · '.join(links)}. Mostly single runs." if links else ""
    st.markdown(f"**Quality at G = {option.num_kv_heads}.** {found.sentence}{sources}")


def _short(dot: Dot) -> str:
    """'Llama 2, 30B, Table 18: −0.39': the study, its table and its change."""
    table = dot.study.where.rsplit(", ", 1)[-1]
    return f"{dot.study.label}, {table}: {dot.change_text.split(' ')[0]}"


def choice_evidence(grid: OptionGrid, option: Option) -> ChoiceEvidence:
    """The evidence on an option with a G."""
    heads = query_heads(grid.job.model)
    return evidence_for(heads, option.num_kv_heads or heads)


def show_options(grid: OptionGrid, option: Option) -> None:
    """Every G at every width against the budget."""
    sentence = options_sentence(option.plan)
    spec = options_spec(grid, option, st.context.theme.type or "light")
    style.draw_spec(spec, sentence=sentence, alt_text=options_alt_text(grid), key="size_options")


def options_picture(grid: OptionGrid, option: Option, colours: Palette) -> Picture:
    """The same for a file, in that palette."""
    spec = dress(options_spec(grid, option, theme_of(colours)), colours)
    return Picture(sentence=options_sentence(option.plan), alt_text=options_alt_text(grid), spec=spec)


def options_sentence(plan: MemoryPlan) -> str:
    """What the picture of every option shows."""
    count = plan.job.num_accelerators
    where = f"one of {count}" if count > 1 else "one"
    parts = f"{PARTS} {'as published' if own_kv_heads(plan.job.model) is None else 'for every G'}"
    if is_another_server_s(plan.job):
        against = f"{plan.budget_bytes / GB:.2f} GB. {budget_basis(plan.job)}"
        return f"{parts}, against {against}"
    return f"{parts}, against the {plan.budget_bytes / GB:.2f} GB that {where} {plan.job.device.name} gives."


def options_spec(grid: OptionGrid, option: Option, theme: str) -> dict[str, Any]:
    """The picture of every option, kept by what it depends on."""
    scales = [at.plan.job.kv_bits_per_element for at in grid.options[: len(grid.widths)]]
    return cached.chart_spec(
        f"options {grid.job!r} {scales} {option.num_kv_heads} {option.kv_bits}",
        theme,
        lambda palette: options_chart(grid, palette, chosen=option.num_kv_heads, width_bits=option.kv_bits),
    )


def boundary_sentence(plan: MemoryPlan) -> str:
    """Where the product's GB and the device's own reading disagree about the verdict: which one was used, and why."""
    if not plan.memory_reading_decides or counted_by_server(plan.job):
        return ""
    kind, other = ("fits", "would not fit") if plan.fits else ("does not fit", "would fit")
    return (
        f"This option {kind} in {plan.budget_bytes / GB:.2f} GB, counted from the memory that the device reports, and "
        f"{other} in {plan.nominal_budget_bytes / GB:.2f} GB, counted from the memory as sold. "
        f"{explain_memory(plan.job.device)}"
    )
