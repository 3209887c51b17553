"""A whole decode step on screen: every G beside what its bytes allow, and the sum beside transformers' own model."""

import streamlit as st

from core.decode.records import ModelCheck, RunRecord, StepResult, share_in_words
from core.reports.measured import figures_section
from core.units import number_of
from pages.shell import share
from pages.shell.style import current_palette, draw

PRODUCTS = {"F.linear": "torch's matrix products", "host_product": "our matrix products, faster here than torch's,"}


def show_steps(record: RunRecord, num_query_heads: int, key: str) -> None:
    """Nothing for a run that measured no step."""
    if not record.steps:
        return
    from core.figures.decode import step_chart  # noqa: PLC0415  altair loads with the picture

    st.subheader("A whole decode step")
    draw(
        step_chart(record.steps, num_query_heads, current_palette()),
        sentence=f"{_sentence(record.steps)} Bars are measured, the thin line holds half of the samples, the upright "
        "mark is what its parts need at least, each the longer of its bytes and its arithmetic."
        f"{_forecast_mark(record)}{_scaled(record)}",
        alt_text="Measured and predicted milliseconds of a whole decode step: "
        + "; ".join(_spoken(s) for s in record.steps),
        key=f"{key}_step_chart",
    )
    rows = [_row(s, _size(record)) for s in record.steps]
    st.dataframe(rows, hide_index=True, key=f"{key}_steps")
    share.save_csv(rows, key=f"{key}_steps_csv", file_name="headroom-steps.csv")
    share.remember_table(f"{key}_steps", lambda: figures_section(rows, "A whole decode step"))
    st.caption(_how(record.steps[0]))
    if record.model_check:
        st.markdown(_compared(record.model_check))


def _size(record: RunRecord) -> str:
    """What the figures of a scaled run are of; empty where the job was measured as asked."""
    if record.scale == 1:
        return ""
    return f" at 1/{f'{record.scale:,.1f}'.removesuffix('.0')} of the job's tokens"


def _forecast_mark(record: RunRecord) -> str:
    """What the second mark is; nothing of runs that have no forecast."""
    if not any(s.own_rates_seconds for s in record.steps):
        return ""
    return " The paler mark is a forecast: the same with its weights multiplied as fast as the product in use does it."


def _scaled(record: RunRecord) -> str:
    if record.scale == 1:
        return ""
    return (
        f" Measured{_size(record)}: milliseconds and tokens/s are of that smaller step. The job's own step reads that "
        "many times the cache and the same weights, so it is not simply that many times longer."
    )


def _sentence(steps: tuple[StepResult, ...]) -> str:
    most, least = max(steps, key=lambda s: s.kv_heads), min(steps, key=lambda s: s.kv_heads)
    if most is least:
        layers, milliseconds = number_of(most.num_layers, "layer"), most.step_seconds * 1e3
        return f"**A step of {layers} takes {milliseconds:,.0f} ms at G = {most.kv_heads}.**"
    times = most.step_seconds / least.step_seconds
    return f"**A whole step takes {times:,.2f} times as long at G = {most.kv_heads} as at G = {least.kv_heads}.**"


def _spoken(s: StepResult) -> str:
    spoken = f"G = {s.kv_heads}, {s.step_seconds * 1e3:,.0f} measured, {s.roofline_seconds * 1e3:,.0f} predicted"
    return f"{spoken}, {s.own_rates_seconds * 1e3:,.0f} forecast" if s.own_rates_seconds else spoken


def _row(s: StepResult, size: str) -> dict[str, object]:
    low, high = s.spread_seconds or (s.step_seconds, s.step_seconds)
    fraction = s.roofline_fraction
    return {
        "G": s.kv_heads,
        "Attention kernel": s.kernel,
        "Attention, one layer (ms)": f"{s.attention_seconds * 1e3:.3f}",
        "Products": s.products,
        "Whole layer (ms)": f"{s.layer_seconds * 1e3:.3f}",
        "Embedding and head (ms)": f"{s.ends_seconds * 1e3:.3f}",
        f"Step of {number_of(s.num_layers, 'layer')}{size} (ms)": f"{s.step_seconds * 1e3:,.1f}",
        "Half of the samples (ms)": f"{low * 1e3:,.1f} to {high * 1e3:,.1f}",
        **_experts(s),
        "Read (GB)": f"{s.read_bytes / 1e9:,.2f}",
        "Predicted (ms)": f"{s.roofline_seconds * 1e3:,.1f}",
        "Bound by": s.bound_by,
        "Of the roofline": share_in_words(fraction),
        **_forecast(s),
        f"Tokens/s{size}": f"{s.batch_size / s.step_seconds:,.2f}",
    }


def _experts(s: StepResult) -> dict[str, str]:
    """How many distinct experts the prediction counts, and how many the timed layers drew; nothing without experts."""
    if not s.num_experts:
        return {}
    return {"Experts read of a layer": f"{s.experts_expected:.2f} expected, {s.experts_drawn:.2f} drawn"}


def _forecast(s: StepResult) -> dict[str, str]:
    """The step by the rates of the products in use, which is no bound; nothing of runs that did not measure them."""
    if s.over_own_rates is None:
        return {}
    return {
        "Forecast by measured rates (ms)": f"{s.own_rates_seconds * 1e3:,.1f}",
        "Measured / forecast": f"{s.over_own_rates:.2f}",
        "Product alone (GFLOP/s)": f"{s.products_flops_per_second / 1e9:,.1f}",
    }


def _how(s: StepResult) -> str:
    """How the step came about, and which part of it reads how fast."""
    told = (
        f"One layer is timed whole, in interleaved rounds over all G, and multiplied by {s.num_layers}; embedding and "
        "head are added once."
    )
    if s.num_experts:
        told += (
            f" Of {s.num_experts:,} experts each token draws {s.experts_per_token:,} at random, evenly; the prediction "
            "counts E (1 - (1 - k/E)^B) distinct ones."
        )
    if s.own_rates_seconds:
        told += (
            f" Predicted is a bound: every part at this host's highest rates. The forecast takes for the weights what "
            f"{s.products} reaches alone, on one matrix and the rows that it serves, in the same rounds."
        )
    rest = s.layer_seconds - s.attention_seconds
    if rest <= 0:  # both are medians of calls of their own: of a tiny layer the attention may come out longer
        return told
    weights = f"{s.weight_bytes / 1e9:,.2f} GB of a layer's weights at {s.weight_bytes / rest / 1e9:,.1f} GB/s"
    read = f", where a plain read reaches {s.bytes_per_second / 1e9:,.1f}" if s.bytes_per_second else ""
    name = PRODUCTS.get(s.products, f"the products of {s.products}")
    return f"{told} Outside of attention, {name} read {weights}{read} (G = {s.kv_heads})."


def _compared(check: ModelCheck) -> str:
    parts = ""
    if check.cache_copy_seconds:
        parts = (
            f" For each token their cache copies itself, {check.cache_copy_seconds * 1e3:.2f} ms, where ours is "
            f"written in place; with the copy the sum is {check.unexplained:+.1%} from theirs. "
            "The rest is not taken apart."
        )
    return (
        f"Is the sum honest? transformers' own LlamaForCausalLM, {check.shape}, takes "
        f"{check.transformers_seconds * 1e3:.2f} ms a step; our sum for the same shape, attention computed in the same "
        f"way, is {check.summed_seconds * 1e3:.2f} ms, **{check.difference:+.1%}**.{parts}"
    )
