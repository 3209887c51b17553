"""The benchmark button for the job on the page: one layer's decode attention, measured on this host."""

import streamlit as st

from core.decode.records import RunRecord
from core.decode.store import StoreUnavailable, history, load
from core.host.processor import cpu_name, has_nvidia_gpu
from core.models.attention import GroupedAttention
from core.serving.job import ServingJob
from core.serving.options import Option, OptionGrid
from core.serving.traffic import TrafficError
from pages.shell import share
from pages.tools.decode.inputs import drawn_in_words, drawn_lengths, hold_in_words
from pages.tools.decode.panel import benchmark_panel
from pages.tools.decode.result import measured_in_words
from pages.tools.size.traffic import CONSTANT, fitted_traffic

MEASURED = 4  # layouts that one run measures
LOOKED_AT = 20  # newest runs among which one with the same heads is looked for
MEASURED_AS = {32: "float32", 16: "bfloat16", 8: "float8_e4m3fn", 4: "int4"}  # by bits of a cached element
EIGHT = "The 8-bit cache is measured as fp8 (e4m3) under bf16 queries, with one scale a KV head."
FOUR = (
    "The 4-bit cache is measured as int4 under bf16 queries, with a float16 scale for 32 elements as llama.cpp's q4_0 "
    "has it; only a CPU has a kernel here that reads it."
)


def show_measure(grid: OptionGrid, option: Option) -> None:
    """Measured beside the bound of this host, at G = 1, some between and H; models without one shape say so.

    option is the one under discussion: its G is among them, and the Traffic tab's contexts end at its context.
    """
    job = grid.job
    layers = [
        layer
        for layer in job.served_model.layers
        if isinstance(layer, GroupedAttention) and layer.head_dim == layer.value_dim
    ]
    shapes = {(layer.num_query_heads, layer.head_dim) for layer in layers}
    choices = [g for g in grid.kv_heads if g is not None]
    if len(shapes) != 1 or not choices:
        st.info("The kernels measure layers of grouped attention with one shape; this model has others.")
        return
    heads, head_dim = shapes.pop()
    try:
        lengths, contexts = job_lengths(option)
    except TrafficError as error:
        st.error(f"The Traffic tab's contexts cannot be drawn: {error}")
        return
    windowed = any(layer.window is not None and layer.window < job.context_length for layer in layers)
    st.caption(" ".join([contexts, *_measured_otherwise(job, measured_dtype(job, head_dim), windowed=windowed)]))
    benchmark_panel(
        num_query_heads=heads,
        head_dim=head_dim,
        context_length=job.context_length,
        batch_size=job.batch_per_replica,
        num_layers=len(layers),
        kv_heads=measured_kv_heads(choices, option.num_kv_heads),
        key_prefix="size_decode",
        dtype=measured_dtype(job, head_dim),
        lengths=lengths,
    )


def job_lengths(option: Option) -> tuple[tuple[int, ...], str]:
    """One context a sequence of one copy of the model, as the Traffic tab has them, and a sentence that says so.

    Empty where all are equal. Raises TrafficError for traffic that cannot be.
    """
    job = option.plan.job
    equal = hold_in_words((job.context_length,) * job.batch_per_replica)
    if st.session_state["size_traffic"] == CONSTANT:
        return (), f"Contexts are constant in the Traffic tab: the {equal}."
    fitted = fitted_traffic(option)
    if fitted is None:
        return (), f"The Traffic tab has no CSV of requests yet: until then the {equal}."
    traffic, _ = fitted
    lengths = drawn_lengths(traffic, job.batch_per_replica)
    return lengths, drawn_in_words(lengths, "the Traffic tab's traffic")


def measured_dtype(job: ServingJob, head_dim: int) -> str:
    """bfloat16 for a width, or a head_dim, that no kernel reads: int4's scales are for 32 elements."""
    if job.kv_bits == 4 and head_dim % 32:
        return "bfloat16"
    return MEASURED_AS.get(job.kv_bits, "bfloat16")


def _measured_otherwise(job: ServingJob, dtype: str, *, windowed: bool) -> list[str]:
    """Sentences on what the kernels measure otherwise than the job has it."""
    said = []
    if job.kv_bits != 16 and dtype == "bfloat16":
        said.append(
            f"No kernel here reads a {job.kv_bits}-bit cache: a bf16 cache is measured in its place, which is "
            f"{16 / job.kv_bits:g} times the bytes."
        )
    elif job.kv_bits in (8, 4):
        said.append(EIGHT if job.kv_bits == 8 else FOUR)
    if windowed:
        said.append("Layers that keep a window read less than the layer measured here, which keeps the whole context.")
    if job.tensor_parallel > 1:
        said.append(f"The layer is measured whole, not as one of its {job.tensor_parallel} tensor-parallel parts.")
    return said


def measured_kv_heads(choices: list[int], looked_at: int | None) -> tuple[int, ...]:
    """G = 1, H, the customary 8, and the one under discussion or else one more between, descending; each of a few."""
    if len(choices) <= MEASURED:
        return tuple(reversed(choices))
    between = choices[1:-1]
    usual = 8 if 8 in between else between[len(between) // 2]
    other = next((g for g in between if 2 * g >= usual and g != usual), between[0])
    if looked_at in between and looked_at != usual:
        other = looked_at
    return tuple(sorted({choices[0], other, usual, choices[-1]}, reverse=True))


def show_last_measurement(grid: OptionGrid) -> None:
    """What this host measured last for a layer with these heads, beside its own bound; nothing where it never did."""
    heads = {layer.num_query_heads for layer in grid.job.model.layers if isinstance(layer, GroupedAttention)}
    try:
        record = latest_run(heads)
    except StoreUnavailable as error:
        st.caption(str(error))
        return
    if record is None:
        st.caption("This host has measured no layer with these heads yet: the Measure tab does.")
        return
    rows = [
        {
            "G": kv_heads,
            "Measured, ms": (best.median_seconds or 0) * 1e3,
            "Bound of this host, ms": best.roofline_seconds * 1e3,
            "Bound / measured": best.share,
            "Kernel": best.kernel,
        }
        for kv_heads, best in sorted(record.best().items())
    ]
    st.markdown(
        f"**{_where(record)}** ({record.device_name}, {record.date[:10]}): one layer's decode attention, "
        f"{measured_in_words(record)} in {record.job['dtype']}, beside the bound from bandwidth measured in the same "
        "run."
    )
    st.dataframe(rows, hide_index=True, alt="Measured and bound of one layer's step for every G that was measured.")
    share.save_csv(rows, key="size_measured_csv", file_name="headroom-measured.csv")


def _where(record: RunRecord) -> str:
    """A run that was imported is of the machine that it was measured on."""
    on_gpu = record.device.startswith(("cuda", "xpu"))
    own = has_nvidia_gpu() if on_gpu else record.device_name.startswith(cpu_name())
    return "Measured on this host" if own else "Measured on another machine, and kept here"


def latest_run(num_query_heads: set[int]) -> RunRecord | None:
    """The newest complete run of a layer with that many query heads. Raises StoreUnavailable."""
    for line in history(limit=LOOKED_AT):
        record = load(line.run_id) if line.status == "complete" else None
        if record is not None and record.job["num_query_heads"] in num_query_heads and record.best():
            return record
    return None
