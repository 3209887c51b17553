"""One copy over several accelerators: the inputs that split it, and the plan of every rank as a picture."""

from typing import Any

import streamlit as st

from core.errors import SizingError
from core.figures.rank_plans import rank_plans_alt_text, rank_plans_chart
from core.serving.memory_plan import MemoryPlan
from core.serving.ranks import RankPlan, is_split, rank_plans, ranks_sentence
from pages.shell import cached, share, style


def split_inputs() -> None:
    """How many accelerators, and how they share one copy of the model."""
    count, ranks, stages, shared, whole = st.columns(5, vertical_alignment="bottom")
    count.number_input("Accelerators", value=1, step=1, key="size_count", bind="query-params")
    ranks.number_input("Tensor parallel", value=1, step=1, key="size_tp", bind="query-params")
    stages.number_input(
        "Pipeline parallel", value=1, step=1, key="size_pp", bind="query-params",
        help="Stages that hold layers one after the other. `--pipeline-parallel-size`.",
    )  # fmt: skip
    shared.number_input(
        "Data parallel", value=1, step=1, key="size_dp", bind="query-params",
        help="Ranks that each hold all of the attention, serve requests of their own and share one set of experts. "
        "vLLM's `--data-parallel-size`; SGLang's `--enable-dp-attention` with `--tp` as large as both together.",
    )  # fmt: skip
    whole.checkbox(
        "Expert parallel", key="size_ep", bind="query-params",
        help="Each rank holds whole experts, not a slice of each. `--enable-expert-parallel`.",
    )  # fmt: skip


def split_fields(state: Any) -> dict[str, Any]:
    """The job's fields that they ask for, beside the number of accelerators and tensor parallel."""
    return {
        "pipeline_parallel": state["size_pp"],
        "data_parallel": state["size_dp"],
        "expert_parallel": bool(state["size_ep"]),
    }


def show_where_it_rules(plan: MemoryPlan) -> None:
    """Beside the verdict: every rank, where ranks may differ."""
    if plan.job.split.goes_further:
        _show(plan)


def show_with_the_plan(plan: MemoryPlan) -> None:
    """In the plan: every rank of a copy that tensor parallel alone splits."""
    if is_split(plan.job) and not plan.job.split.goes_further:
        _show(plan)


def _show(plan: MemoryPlan) -> None:
    try:
        ranks = rank_plans(plan)
    except SizingError as error:
        st.caption(str(error))
        return
    theme = st.context.theme.type or "light"
    spec = cached.chart_spec(f"rank plans {ranks!r}", theme, lambda palette: rank_plans_chart(ranks, palette))
    sentence = f"**Each rank of a copy.** {ranks_sentence(ranks, plan.job)}"
    style.draw_spec(spec, sentence=sentence, alt_text=rank_plans_alt_text(ranks), key="size_rank_plans")
    rows = [_numbers(rank) for rank in ranks]
    remarks = plan.job.model.remarks
    share.save_csv(rows, key="size_ranks_csv", file_name="headroom-ranks.csv", label="Ranks as CSV", remarks=remarks)


def _numbers(rank: RankPlan) -> dict[str, Any]:
    return {
        "Rank": rank.index + 1, "Data parallel rank": rank.data_rank + 1, "Stage": rank.stage + 1,
        "Tensor parallel rank": rank.tensor_rank + 1, "First layer": rank.first_layer, "Last layer": rank.last_layer,
        "KV heads": rank.kv_heads, "Experts of a layer": rank.experts, "Requests": rank.requests,
        "Weights, bytes": rank.weight_bytes, "Cache, bytes": rank.cache_bytes, "Runtime, bytes": rank.runtime_bytes,
        "Total, bytes": rank.total_bytes, "Fullest": "yes" if rank.is_fullest else "no",
    }  # fmt: skip
