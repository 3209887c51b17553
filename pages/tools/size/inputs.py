"""Every input of the sizing page, each in the URL, and the serving job that they ask for."""

from dataclasses import dataclass
from typing import Any

import streamlit as st

from core.figures.comparison import plain
from core.hardware.accelerators import Accelerator, AcceleratorSources, catalogue
from core.serving.job import ServingJob, require_prefix_within
from core.serving.options import OptionGrid
from core.serving.what_if import OTHER_DIALS, WindowPattern, allowed_kv_heads, why_no_dial
from core.units import GB, MIB
from pages.shell import cached, unsent
from pages.tools import linked
from pages.tools.size import engine, server_log, speed_aids, split, stored, without_hub
from pages.tools.size.model import (
    OWN_FILE,
    OWN_SHAPE,
    ChosenModel,
    chosen_model,
    model_names,
    own_file_input,
    own_shape_inputs,
)

CUSTOM = "An accelerator of your own"
HOST = "This host's GPU"
# What an accelerator of one's own opens on: the H100 SXM5's figures.
OF_AN_OWN_ACCELERATOR: dict[str, Any] = {"size_own_mib": 81_559, "size_own_bandwidth": 3_350.0, "size_own_flops": 989.4}
LARGEST = "Largest that fits"
OWN_WINDOWS = "The model's own"
SERVE, CHOOSE = "Serve a model", "Choose G"
JOBS = {
    SERVE: "Does this model fit, how many requests, how long a context, how many accelerators. G is the model's own.",
    CHOOSE: "Which G, the number of KV heads, fits a job: for a model that is still to be trained, or to be turned "
    "into one of fewer KV heads by more training.",
}
PATTERN = "Some layers keep a window"
WORDS = (
    "**Memory utilisation**: the share of its memory that a server may fill. **Runtime reserve**: of that, what is "
    "kept for activations and the server itself. **Block**: tokens of a page of the cache. **Prefill chunk**: tokens "
    "of a prompt that one step reads. **Scale**: the factor that a group of elements shares in a cache of fewer than "
    "16 bits."
)


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What the page is asked: the job without a G, and how the KV cache's scales are stored below 16 bits."""

    model: ChosenModel
    job: ServingJob
    scale_overhead_bits: int


def choose_job() -> bool:
    """Which of the two questions the page answers; True for serving a model."""
    picked = st.segmented_control(
        "What do you want to know?",
        [CHOOSE, SERVE],
        default=CHOOSE,
        required=True,
        key="size_job",
        bind="query-params",
        label_visibility="collapsed",
    )
    return picked == SERVE


def first_inputs(*, serving: bool) -> None:
    """What everyone touches, in two rows: model, accelerator, engine; batch, context, width of the cache."""
    model, device, server = st.columns([2.2, 1.5, 1.1], gap="small", vertical_alignment="bottom")
    model.selectbox(
        "Model, or owner/name on the Hub",
        model_names(),
        key="size_model",
        bind="query-params",
        accept_new_options=True,
    )
    linked.look("size_accelerator", accelerator_names())
    device.selectbox(
        "Accelerator",
        accelerator_names(),
        index=list(catalogue()).index("h100-sxm"),
        key="size_accelerator",
        bind="query-params",
    )
    engine.engine_input(server)
    first, second, bits = st.columns(
        [1.2, 3.6, 0.01] if serving else [1, 1.2, 2.6], gap="small", vertical_alignment="bottom"
    )
    if serving:
        first.number_input(
            "Tokens of a request", value=32_768, step=1_024, key="size_serve_context", bind="query-params"
        )
    else:
        first.number_input("Batch", value=32, step=1, key="size_batch", bind="query-params")
        second.number_input("Context, tokens", value=65_536, step=1_024, key="size_context", bind="query-params")
    _bits_input(second if serving else bits)
    if st.session_state["size_model"] == OWN_SHAPE:
        own_shape_inputs()
    if st.session_state["size_model"] == OWN_FILE:
        own_file_input()
    elif (
        without_hub.pasted(st.session_state["size_model"]) is not None
        and st.session_state["size_model"] not in model_names()
    ):
        without_hub.paste_input()
    linked.say("size_accelerator", str(st.session_state["size_accelerator"]))
    if st.session_state["size_accelerator"] == CUSTOM:
        _custom_accelerator_inputs()


def _bits_input(column: Any) -> None:
    """The width of the cache; it rests where the engine's settings name a type, which has its own."""
    named = engine.cache_type()
    column.segmented_control(
        "KV cache, bits",
        [16, 8, 4, 2],
        default=16,
        required=True,
        key="size_kv_bits",
        bind="query-params",
        disabled=bool(named),
        help=f"The engine's settings store it in {named}." if named else None,
    )


def more_inputs(*, serving: bool) -> None:
    """Everything else, folded away under one label: with another for each question it would close between them."""
    more = st.expander(
        "More inputs: weights, accelerators, engine, draft, offload",
        icon=":material/tune:",
        key="size_more",
        on_change="rerun",
    )
    with unsent.sent_if(bool(more.open), more, "size_more"):
        one, two, three, four = st.columns(4)
        one.selectbox("Weights, bits", [16, 8, 4], key="size_weight_bits", bind="query-params")
        with one:
            stored.format_input()
        if not serving:
            two.selectbox(
                "K and V weights that a smaller G frees",
                ["dropped", "spent"],
                key="size_freed",
                bind="query-params",
                help="Dropped: the model shrinks. Spent: the FFN is widened until the parameters are the same again.",
            )
        three.number_input(
            "Parameters, 0 to count",
            value=0,
            step=1,
            key="size_parameters",
            bind="query-params",
            help="An exact count in place of the one that the config gives.",
        )
        four.number_input("Price per GPU-hour", value=2.5, step=0.1, key="size_price", bind="query-params")
        split.split_inputs()
        one, two, three, four = st.columns(4)
        one.number_input("Memory utilisation", value=0.9, step=0.01, key="size_utilisation", bind="query-params")
        two.number_input("Runtime reserve, GB", value=2.0, step=0.5, key="size_reserve", bind="query-params")
        three.number_input("Block, tokens", value=16, step=16, key="size_block", bind="query-params")
        four.number_input("Prefill chunk, tokens", value=8_192, step=1_024, key="size_chunk", bind="query-params")
        one.number_input("Bits per scale", value=0, step=8, key="size_scale_bits", bind="query-params")
        two.number_input("Elements per scale", value=64, step=16, key="size_scale_elements", bind="query-params")
        if not serving:
            _window_inputs(one, two, three, four)
        st.caption(WORDS)
        engine.settings_inputs()
        server_log.left_input(st.columns(4)[0])
        speed_aids.aids_inputs()


def _window_inputs(one: Any, two: Any, three: Any, four: Any) -> None:
    one.selectbox("Sliding windows", [OWN_WINDOWS, PATTERN], key="size_windows", bind="query-params")
    two.number_input("Global layers", value=10, step=1, key="size_global", bind="query-params")
    three.number_input("Local layers", value=30, step=1, key="size_local", bind="query-params")
    four.number_input("Window, tokens", value=4_096, step=512, key="size_window", bind="query-params")
    st.caption(
        "Global and local layers and the window count only where *Sliding windows* says that some layers keep one."
    )


def asked(*, serving: bool, state: Any = None) -> Asked:
    """The job that the inputs say: of one request where a model is served, on the memory that a server sees.

    state holds other values by the inputs' keys than those on screen, such as a pinned job's.

    Raises SizingError, UnsupportedConfig, HubError or StillWaiting.
    """
    state = st.session_state if state is None else state
    model = chosen_model(state["size_model"], state["size_parameters"], state)
    bits, scale_bits = state["size_kv_bits"], state["size_scale_bits"]
    job = ServingJob(
        model=model.spec,
        batch_size=1 if serving else state["size_batch"],
        context_length=state["size_serve_context"] if serving else state["size_context"],
        weight_bits=state["size_weight_bits"],
        weight_format=stored.weight_format(state),
        weight_file_bytes=model.file_bytes,
        kv_bits=bits,
        kv_scale_overhead_bits=0 if bits >= 16 else scale_bits,
        kv_elements_per_scale=state["size_scale_elements"],
        accelerator=_accelerator(state["size_accelerator"], state),
        num_accelerators=state["size_count"],
        tensor_parallel=state["size_tp"],
        **split.split_fields(state),
        memory_utilization=state["size_utilisation"],
        runtime_reserve_bytes=state["size_reserve"] * GB,
        freed_parameters="dropped" if serving else state["size_freed"],
        window_pattern=None if serving else _window_pattern(state),
        block_size=state["size_block"],
        prefill_chunk=state["size_chunk"],
        parameter_count=model.count,
        engine=engine.engine_id(state),
        engine_settings=engine.settings(state),
        memory_reading="server" if serving else "device",
        **speed_aids.aids_fields(state),
    )
    job.where(kv_scale_overhead_bits=scale_bits)  # checked at 16 bits too, where it is not used
    require_prefix_within(job)
    return Asked(model=model, job=server_log.as_measured(job, state), scale_overhead_bits=scale_bits)


def choose_kv_heads(grid: OptionGrid) -> int | None:
    """The G under discussion: typed, or the largest that fits; None where the model's G is no dial."""
    choices = [g for g in grid.kv_heads if g is not None]
    if not choices:
        if reason := why_no_dial(grid.job.model):
            st.caption(f"**No G to choose:** {plain(reason)}. Sized as published; {OTHER_DIALS}.")
        return None
    names = {g: str(g) for g in choices}
    picked = st.segmented_control(
        "G to look at: one of these, or the largest whose plan fits the memory",
        [LARGEST, *names.values()],
        default=LARGEST,
        required=True,
        key="size_g",
        bind="query-params",
    )
    by_name = {name: g for g, name in names.items()}
    return by_name.get(picked or LARGEST) or grid.largest_or_own(grid.job.kv_bits)


def choose_wished(job: ServingJob) -> int | None:
    """The G that the ways to fit are asked about: 8 to begin with, where the model allows it."""
    choices = [str(g) for g in allowed_kv_heads(job.model, job.tensor_parallel)]
    if not choices:
        return None
    usual = "8" if "8" in choices else choices[-1]
    picked = st.segmented_control(
        "Make this G fit", choices, default=usual, required=True, key="size_wish", bind="query-params"
    )
    return int(picked or usual)


def accelerator_names() -> list[str]:
    names = [device.name for device in catalogue().values()]
    return [*names, *([HOST] if cached.host_accelerator() else []), CUSTOM]


def _custom_accelerator_inputs() -> None:
    inputs = (
        ("Memory that it reports, MiB", "size_own_mib", 1_024),
        ("Bandwidth, GB/s (0: unknown)", "size_own_bandwidth", 50.0),
        ("Dense BF16, TFLOP/s (0: unknown)", "size_own_flops", 10.0),
    )
    for column, (label, key, step) in zip(st.columns(3), inputs, strict=True):
        column.number_input(label, value=OF_AN_OWN_ACCELERATOR[key], step=step, key=key, bind="query-params")


def _accelerator(name: str, state: Any) -> Accelerator | str:
    if name == CUSTOM:
        return Accelerator(
            id="custom",
            name="accelerator of your own",
            memory_reported_bytes=state["size_own_mib"] * MIB,
            bandwidth_bytes_per_s=state["size_own_bandwidth"] * 1e9 or None,
            bf16_dense_flops=state["size_own_flops"] * 1e12 or None,
            sources=AcceleratorSources(memory="typed in", memory_reported="typed in"),
        )
    host = cached.host_accelerator()
    if name == HOST and host is not None:
        return host.accelerator
    return next(device.id for device in catalogue().values() if device.name == name)


def _window_pattern(state: Any) -> WindowPattern | None:
    if state["size_windows"] == OWN_WINDOWS:
        return None
    return WindowPattern(
        global_layers=state["size_global"], local_layers=state["size_local"], window=state["size_window"]
    )
