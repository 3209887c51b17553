"""What to measure: the shape, the contexts and the dtype of a decode step, all of it in the page's link."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import streamlit as st

from core.decode.plan import DEVICES, MAX_EXPERTS, DecodeJob, StepShape
from core.units import number_of

if TYPE_CHECKING:
    from core.serving.traffic import Traffic

EQUAL, TRAFFIC = "All equal", "Drawn from traffic"
DTYPES = {
    "bf16": "bfloat16", "fp16": "float16", "fp32": "float32", "fp8 cache": "float8_e4m3fn",
    "int8 cache (q8_0)": "int8", "int4 cache (q4_0)": "int4",
}  # fmt: skip
TRAFFIC_SEED = 0  # the same link draws the same contexts
SECONDS_LIMIT = int(DecodeJob.seconds_limit)  # its default


@dataclass(frozen=True, kw_only=True)
class Asked:
    job: DecodeJob
    num_layers: int


def asked() -> Asked:
    """The inputs, drawn and read. Raises InvalidJob or TrafficError for a job that cannot be."""
    first = st.columns(5)
    heads = first[0].number_input("H, query heads", 1, 1024, 40, key="bench_heads", bind="query-params")
    head_dim = first[1].number_input("head_dim", 16, 1024, 128, step=16, key="bench_head_dim", bind="query-params")
    context = first[2].number_input(
        "Context, tokens", 1, 16 * 2**20, 16_384, step=1024, key="bench_context", bind="query-params"
    )
    batch = first[3].number_input("Batch, sequences", 1, 65_536, 1, key="bench_batch", bind="query-params")
    layers = first[4].number_input("L, layers", 1, 1000, 40, key="bench_layers", bind="query-params")
    second = st.columns([6, 3, 4, 2, 3])
    left_out = _kept_heads(heads)
    kv_heads = second[0].multiselect(
        "G, KV heads (divisors of H)",
        divisors(heads),
        default=_usual(heads),
        key="bench_kv_heads",
        bind="query-params",
        select_all=False,  # Enter after a number takes that number
    )
    if left_out:
        st.caption(f"{_listed(left_out)} of {heads} query heads: left out of G.")
    dtype = second[1].selectbox("Number format", tuple(DTYPES), key="bench_dtype", bind="query-params")
    contexts = second[2].selectbox("Context lengths", (EQUAL, TRAFFIC), key="bench_contexts", bind="query-params")
    device = second[3].selectbox("Device", DEVICES, key="bench_device", bind="query-params")
    seconds_limit = second[4].number_input(
        "Time limit, s", value=SECONDS_LIMIT, step=60, key="bench_seconds", bind="query-params"
    )
    spread = _spread(context) if contexts == TRAFFIC else None
    drawn = st.container()
    step = _step(layers)
    with drawn:  # after every input: what they ask for may be impossible, and none of them is lost by it
        lengths = () if spread is None else _drawn_lengths(spread, batch, context)
    job = DecodeJob(
        num_query_heads=heads, kv_heads=tuple(sorted(kv_heads, reverse=True)), head_dim=head_dim,
        context_length=context, batch_size=batch, dtype=DTYPES[dtype], device=device, lengths=lengths, step=step,
        seconds_limit=seconds_limit,
    )  # fmt: skip
    return Asked(job=job, num_layers=layers)


def _kept_heads(heads: int) -> list[int]:
    """Before G is drawn, after another H: the usual three become its own; what no longer divides is returned."""
    state: Any = st.session_state
    before, chosen = state.get("bench_heads_of", heads), state.get("bench_kv_heads") or []
    state["bench_heads_of"] = heads
    if "bench_kv_heads" not in state:  # a link's own, of which the input takes what divides
        linked = [int(text) for text in st.query_params.get_all("bench_kv_heads") if text.isdecimal() and int(text)]
        return [g for g in linked if heads % g]
    if before != heads and sorted(chosen) == sorted(_usual(before)):
        state["bench_kv_heads"] = _usual(heads)
        return []
    return [g for g in chosen if heads % g]


def _listed(numbers: list[int]) -> str:
    named = " and ".join(filter(None, [", ".join(str(n) for n in numbers[:-1]), str(numbers[-1])]))
    return f"{named} {'is no divisor' if len(numbers) == 1 else 'are no divisors'}"


def divisors(number: int) -> list[int]:
    return [n for n in range(number, 0, -1) if number % n == 0]


def _usual(heads: int) -> list[int]:
    """MHA, the nearest to eight KV heads, and MQA."""
    between = min(divisors(heads), key=lambda g: abs(g - 8))
    return list(dict.fromkeys((heads, between, 1)))


def drawn_lengths(traffic: "Traffic", batch_size: int) -> tuple[int, ...]:
    """One live context per sequence in flight, in tokens; the same traffic and batch draw the same ones."""
    import numpy as np  # noqa: PLC0415  only a ragged batch needs it

    return tuple(int(n) for n in traffic.sample(batch_size, np.random.default_rng(TRAFFIC_SEED)))


@dataclass(frozen=True, kw_only=True)
class Spread:
    """Contexts at the end of a request, in tokens, and the share of each that is generated."""

    mean: int
    p95: int
    output_share: float


def _spread(context: int) -> Spread:
    columns = st.columns(3)
    mean = columns[0].number_input(
        "Mean context at the end", value=max(2, context // 4), key="bench_mean", bind="query-params"
    )
    p95 = columns[1].number_input(
        "95 % end below", value=max(2, int(context / 1.5)), key="bench_p95", bind="query-params"
    )
    share = columns[2].number_input("Share generated", value=0.25, step=0.05, key="bench_share", bind="query-params")
    return Spread(mean=mean, p95=p95, output_share=share)


def _drawn_lengths(spread: Spread, batch: int, context: int) -> tuple[int, ...]:
    """The contexts, and in words which they are. Raises TrafficError."""
    from core.serving.traffic import lognormal_traffic  # noqa: PLC0415  numpy loads with it

    traffic = lognormal_traffic(
        mean=spread.mean, p95=spread.p95, output_share=spread.output_share, longest_context=context
    )
    lengths = drawn_lengths(traffic, batch)
    st.caption(f"{traffic.sentence} {drawn_in_words(lengths, 'this traffic')}")
    return lengths


def drawn_in_words(lengths: tuple[int, ...], traffic: str) -> str:
    """How many contexts were drawn from what, the shortest and the longest, and that the seed is fixed."""
    drawn = f"drawn from {traffic} with a fixed seed ({TRAFFIC_SEED}), the same every time"
    return f"The {hold_in_words(lengths)}, {drawn}."


def hold_in_words(lengths: tuple[int, ...]) -> str:
    """'32 sequences hold 2,578 to 52,931 tokens', without an article before and a full stop after."""
    shortest, longest = min(lengths), max(lengths)
    if len(lengths) == 1:
        return f"one sequence holds {number_of(longest, 'token')}"
    if shortest == longest:
        return f"{len(lengths):,} sequences hold {number_of(longest, 'token')} each"
    return f"{len(lengths):,} sequences hold {shortest:,} to {longest:,} tokens"


def _step(num_layers: int) -> StepShape | None:
    """The model's other widths, when a whole decode step is to be timed as well."""
    if not st.toggle("Time a whole decode step too", key="bench_whole", bind="query-params"):
        return None
    columns = st.columns(5)
    hidden = columns[0].number_input("Hidden size", 16, 65_536, 5120, key="bench_hidden", bind="query-params")
    ffn = columns[1].number_input("FFN size", 16, 262_144, 13_824, key="bench_ffn", bind="query-params")
    vocabulary = columns[2].number_input("Vocabulary", 16, 1_000_000, 32_000, key="bench_vocab", bind="query-params")
    experts = columns[3].number_input(
        "Experts, 0: none", 0, MAX_EXPERTS, 0, key="bench_experts", bind="query-params",
        help="FFNs of a layer, each of the FFN size; drawn at random for every token, evenly.",
    )  # fmt: skip
    taken = columns[4].number_input(
        "Experts a token", 1, MAX_EXPERTS, 2, key="bench_experts_taken", bind="query-params", disabled=not experts
    )
    return StepShape(
        num_layers=num_layers, hidden_size=hidden, intermediate_size=ffn, vocab_size=vocabulary,
        num_experts=experts, experts_per_token=taken if experts else 0,
    )  # fmt: skip
