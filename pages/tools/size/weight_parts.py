"""The weights' part of the plan, opened: how many bytes lie in which part, and what a change of G takes away."""

import streamlit as st

from core.figures.weights import marked_change, weight_rows, weights_alt_text, weights_chart
from core.models.attention import CompressedAttention, LatentAttention
from core.serving.footprint import own_count
from core.serving.options import Option
from core.serving.stored import storage
from core.units import format_bytes
from pages.shell import cached, style


def show_weights(option: Option) -> None:
    """One bar as published and one at the option's G where that differs; nothing where the parts are not known."""
    job, count = option.plan.job, option.plan.parameters
    how, own = storage(job), own_count(job)
    if not count.parts or not own.parts:
        st.caption("The parts of the weights are not known: their number was typed or read from the files alone.")
        return
    bars = {"as published": how.bytes_by_part(own)}
    if count.total != own.total or dict(count.parts) != dict(own.parts):
        changed = how.bytes_by_part(count)
        dropped = job.freed_parameters == "dropped"
        bars[f"G = {option.num_kv_heads}"] = marked_change(changed, bars["as published"]) if dropped else changed
    rows = weight_rows(bars)
    spec = cached.chart_spec(
        f"weights {rows!r}", st.context.theme.type or "light", lambda palette: weights_chart(rows, palette)
    )
    style.draw_spec(spec, sentence=_sentence(option), alt_text=weights_alt_text(rows), key="size_weights")


def _sentence(option: Option) -> str:
    """Where most of it lies, and what G changes of it."""
    job, count = option.plan.job, option.plan.parameters
    how, own = storage(job), own_count(job)
    sizes = how.bytes_by_part(count)
    experts, total = sizes.get("routed_experts", 0), sum(sizes.values())
    most = (
        f"{experts / total:.0%} of the weights are experts, of which a token takes a few"
        if experts > total / 2
        else f"The weights by part, stored as {how.name}"
    )
    outline, paler = (", the dashed outline", ", the paler part") if job.freed_parameters == "dropped" else ("", "")
    freed = how.bytes_by_part(own).get("kv_projections", 0) - sizes.get("kv_projections", 0)
    if any(isinstance(layer, LatentAttention) for layer in job.model.layers):
        changes = "This model keeps a latent in place of KV heads: it has no G to change."
    elif any(isinstance(layer, CompressedAttention) for layer in job.model.layers):
        changes = "This model keeps one key, which is the value too, for all heads: it has no G to change."
    elif option.num_kv_heads is None:
        changes = "No G is to be changed in it."
    elif freed > 0:
        changes = f"A change of G touches **K and V** alone: {format_bytes(freed)} fewer than as published{outline}."
    elif freed < 0:
        changes = f"A change of G touches **K and V** alone: {format_bytes(-freed)} more than as published{paler}."
    else:
        changes = "A change of G touches **K and V** alone."
    return f"{most}. {changes}"
