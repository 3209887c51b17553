"""Tensor parallel as a picture: which rank holds which KV head, and where splitting stops saving memory."""

import streamlit as st

from core.evidence.studies import findings_for
from core.figures.sizing_ranks import node_bytes_per_token, ranks_alt_text, ranks_chart, splits
from core.models.attention import CompressedAttention, GroupedAttention, LatentAttention
from core.models.spec import ModelSpec
from core.serving.job import ServingJob
from core.serving.model_shapes import llama_shape
from core.serving.options import Option
from core.serving.tensor_parallel import divisors
from core.serving.what_if import allowed_kv_heads, query_heads
from pages.shell import cached, style

THIS_JOB = "This job"
OF_ALL_HEADS = {
    LatentAttention: "one latent vector for all heads (MLA)",
    CompressedAttention: "one key, which is the value too, for all heads",
}
LLAMA_70B = "Llama-2 70B"
LLAMA_2_70B = llama_shape(
    num_layers=80,
    num_query_heads=64,
    num_kv_heads=8,
    head_dim=128,
    hidden_size=8192,
    intermediate_size=28672,
    vocab_size=32000,
)


def ranks_inputs() -> None:
    """Whose heads are drawn, and over how many accelerators; both are in the URL whatever tab is open."""
    left, right = st.columns(2)
    left.segmented_control(
        "Heads of", [LLAMA_70B, THIS_JOB], default=LLAMA_70B, required=True, key="size_ranks_of", bind="query-params"
    )
    right.segmented_control(
        "Split over", [2, 4, 8, 16], default=8, required=True, key="size_ranks", bind="query-params",
        format_func=lambda ranks: f"{ranks} GPUs",
    )  # fmt: skip


def show_ranks(option: Option) -> None:
    """The matrix of ranks, its sentence, and what is published about it."""
    of_job = st.session_state["size_ranks_of"] == THIS_JOB
    job, ranks = option.plan.job, st.session_state["size_ranks"]
    model = job.model if of_job else LLAMA_2_70B
    for kind, kept in OF_ALL_HEADS.items():
        if any(isinstance(layer, kind) for layer in model.layers):
            st.info(
                f"This model keeps {kept}. It cannot be split by head: every rank keeps all "
                "of it, so tensor parallel saves weights and no cache."
            )
            return
    heads = query_heads(model)
    choices = allowed_kv_heads(model, ranks)
    if heads % ranks or not choices:
        st.warning(
            f"{heads} query heads do not divide over {ranks} ranks, so engines refuse this split. {heads} divides over "
            f"{', '.join(str(number) for number in divisors(heads) if number > 1)}."
        )
        return
    found = splits(heads, choices, ranks)
    chosen = option.num_kv_heads if of_job else 8
    per_head = bytes_per_head(model, job)
    spec = cached.chart_spec(
        f"ranks {heads} {choices} {ranks} {per_head} {chosen}",
        st.context.theme.type or "light",
        lambda palette: ranks_chart(found, palette, bytes_per_head=per_head, chosen=chosen),
    )
    totals = {split.num_kv_heads: node_bytes_per_token(split, bytes_per_head=per_head) for split in found}
    same = [g for g, total in totals.items() if total == min(totals.values())]
    sentence = f"{heads} query heads over {ranks} GPUs: {_cheapest(same, ranks)} {_why(of_job, max(same), ranks)}"
    style.draw_spec(
        spec, sentence=sentence, alt_text=ranks_alt_text(found, bytes_per_head=per_head), key="size_ranks_chart"
    )
    for finding in findings_for("tensor_parallel"):
        st.caption(f"{finding.statement} {finding.caveat} [{finding.paper}, {finding.where}]({finding.link})")


def bytes_per_head(model: ModelSpec, job: ServingJob) -> int:
    """Bytes per token of one KV head over all layers, at the job's KV bits."""
    widths = sum(layer.head_dim + layer.value_dim for layer in model.layers if isinstance(layer, GroupedAttention))
    return int(widths * job.kv_bits_per_element / 8)


def _listed(kv_heads: list[int]) -> str:
    *most, last = map(str, kv_heads)
    return f"{', '.join(most)} and {last}" if most else last


def _cheapest(kv_heads: list[int], ranks: int) -> str:
    if len(kv_heads) == 1:
        return f"**G = {kv_heads[0]} costs the fewest bytes.**"
    return (
        f"**G = {_listed(kv_heads)} cost the same bytes**, because below G = {ranks} every KV head is copied to "
        "several GPUs (outlined)."
    )


def _why(of_job: bool, largest: int, ranks: int) -> str:
    if of_job:
        return f"G = {largest} is the most distinct heads for that price."
    if ranks == 8:
        return "Llama-2 70B has G = 8 and is served on eight GPUs: the most distinct heads without a copy."
    return f"On {ranks} GPUs that is G = {largest}; Llama-2 70B's G = 8 was chosen for eight."
