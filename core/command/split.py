"""One copy over more than tensor parallel, as `core size` asks and answers it: the plan of every rank."""

import argparse
from typing import Any

from core.serving.memory_plan import MemoryPlan
from core.serving.ranks import RankPlan, is_split, kind_words, kinds_of_rank, rank_plans, ranks_sentence
from core.units import format_both


def add_split_arguments(parser: argparse.ArgumentParser) -> None:
    """Each left out splits nothing."""
    parser.add_argument("--pipeline-parallel", type=int, default=1, help="stages of layers of one copy (1)")
    parser.add_argument("--data-parallel", type=int, default=1,
                        help="copies of the attention that share one set of experts (1)")  # fmt: skip
    parser.add_argument("--expert-parallel", action="store_true",
                        help="whole experts on each rank, in place of a slice of each")  # fmt: skip


def split_fields(options: argparse.Namespace) -> dict[str, Any]:
    """The job's fields that they ask for."""
    names = ("pipeline_parallel", "data_parallel", "expert_parallel")
    return {name: getattr(options, name) for name in names}


def split_answer(made: MemoryPlan) -> dict[str, Any] | None:
    """The JSON object's ranks of one copy; null where a copy is one accelerator."""
    if not is_split(made.job):
        return None
    ranks, job = rank_plans(made), made.job
    return {
        "tensor_parallel": job.tensor_parallel,
        "pipeline_parallel": job.pipeline_parallel,
        "data_parallel": job.data_parallel,
        "expert_parallel": job.expert_parallel,
        "fullest_rank": next(rank.index for rank in ranks if rank.is_fullest),
        "ranks": [_rank(rank) for rank in ranks],
    }


def _rank(rank: RankPlan) -> dict[str, Any]:
    names = ("data_rank", "stage", "tensor_rank", "kv_heads", "experts", "requests", "weight_bytes", "cache_bytes",
             "runtime_bytes", "total_bytes", "budget_bytes")  # fmt: skip
    return {"layers": [rank.first_layer, rank.last_layer], **{name: getattr(rank, name) for name in names}}


def split_words(made: MemoryPlan) -> list[str]:
    """Lines of the answer in words: which rank rules, and what each kind of rank holds."""
    if not is_split(made.job):
        return []
    ranks = rank_plans(made)
    said = [f"  {ranks_sentence(ranks, made.job)}"]
    for kind in kinds_of_rank(ranks):
        name, holds = kind_words(kind)
        mark = ", the fullest" if any(rank.is_fullest for rank in kind) else ""
        said.append(f"    {name}: {holds}, {format_both(kind[0].total_bytes, 2)}{mark}")
    return said
