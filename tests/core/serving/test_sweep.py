"""Sweeps equal plan(job) row by row; the frontier equals largest_batch."""

from typing import Any

import pytest

from core.errors import SizingError
from core.hardware.accelerators import Accelerator
from core.models.registry import load_registry
from core.models.spec import read_config
from core.serving.job import ServingJob, WindowPattern
from core.serving.memory_plan import plan
from core.serving.sweep import CONTEXTS, frontier, holds_any, sweep
from core.serving.weights import ParameterCount
from tests.core.serving.sizing_models import HYBRID, LLAMA_2_13B, LLAMA_2_70B, MISTRAL_7B, MLA

COUNT = ParameterCount(total=1_000_000_007, source="typed", sentence="Typed in.")
PATTERN = WindowPattern(global_layers=10, local_layers=30, window=1000)
BYTES = (
    "weight_bytes", "kv_payload_bytes", "kv_reserved_bytes", "state_bytes", "runtime_bytes", "total_bytes",
    "budget_bytes", "headroom_bytes", "fits",
)  # fmt: skip
JOBS = {
    "headline": ServingJob(model=LLAMA_2_13B, batch_size=1, context_length=1, kv_scale_overhead_bits=16),
    "spent": ServingJob(
        model=LLAMA_2_13B, batch_size=1, context_length=1, freed_parameters="spent", window_pattern=PATTERN
    ),
    "ranks": ServingJob(
        model=LLAMA_2_70B, batch_size=1, context_length=1, tensor_parallel=8, num_accelerators=24, block_size=100
    ),
}


@pytest.mark.parametrize("name", sorted(JOBS))
def test_every_row_equals_its_plan(name: str) -> None:
    job = JOBS[name]
    frame = sweep(
        job, num_kv_heads=(1, 2, 8), kv_bits=(16, 4), batch_size=(1, 7, 100_000), context_length=(1, 17, 4097, 131_072),
        accelerator=("h100-sxm", Accelerator(id="mine", name="Mine", memory_nominal_bytes=10**12)),
    )  # fmt: skip
    assert len(frame) == 3 * 2 * 3 * 4 * 2
    for row in frame.to_dict("records"):
        device = "h100-sxm" if row["accelerator"] == "h100-sxm" else Accelerator(
            id="mine", name="Mine", memory_nominal_bytes=10**12
        )  # fmt: skip
        at = job.where(
            num_kv_heads=row["num_kv_heads"], kv_bits=row["kv_bits"], batch_size=row["batch_size"],
            context_length=row["context_length"], accelerator=device,
        )  # fmt: skip
        found = plan(at)
        assert {column: row[column] for column in BYTES} == {column: getattr(found, column) for column in BYTES}


@pytest.mark.parametrize("model", [MLA, HYBRID, MISTRAL_7B])
def test_other_kinds_of_layers_sweep_too(model: Any) -> None:
    job = ServingJob(model=model, batch_size=3, context_length=5000, parameter_count=COUNT)
    frame = sweep(job, context_length=(100, 5000))
    assert frame["num_kv_heads"].tolist() == [{"deepseek_v3": 0, "falcon_h1": 2, "llama": 8}[model.model_type]] * 2
    assert frame["total_bytes"].tolist() == [plan(job.where(context_length=100)).total_bytes, plan(job).total_bytes]


def test_ten_thousand_jobs_in_one_frame() -> None:
    """8 G x 3 KV widths x 5 accelerators x 12 batches x 7 contexts, and the headline among them."""
    frame = sweep(
        ServingJob(model=LLAMA_2_13B, batch_size=1, context_length=1),
        num_kv_heads=(1, 2, 4, 5, 8, 10, 20, 40), kv_bits=(16, 8, 4),
        accelerator=("a100-80-sxm", "h100-sxm", "h200-sxm", "b200-sxm", "mi300x"),
        batch_size=(1, 2, 4, 8, 16, 24, 32, 48, 64, 96, 128, 256),
        context_length=(1024, 4096, 8192, 16_384, 32_768, 65_536, 131_072),
    )  # fmt: skip
    assert len(frame) == 10_080
    headline = frame.query("accelerator == 'h100-sxm' and batch_size == 32 and context_length == 65536 and fits")
    assert set(zip(headline["num_kv_heads"], headline["kv_bits"], strict=True)) == {
        (1, 16), (1, 8), (2, 8), (1, 4), (2, 4), (4, 4),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        ({"num_kv_heads": (1, 3)}, "num_kv_heads is 3"),
        ({"batch_size": (1, 0)}, "batch_size is 0"),
        ({"context_length": (2**31,)}, "context_length is 2147483648"),
        ({"accelerator": ("h100-sxm", "h1")}, "accelerator is 'h1'"),
        ({"batch_size": (2**20,), "context_length": (2**30,)}, "too large for a sweep"),
    ],
)
def test_values_that_are_not_possible_are_refused(chosen: dict[str, Any], message: str) -> None:
    with pytest.raises(SizingError, match=message):
        sweep(JOBS["headline"], **chosen)


def test_an_axis_without_values_has_no_rows() -> None:
    assert sweep(JOBS["headline"], kv_bits=()).empty
    assert sweep(JOBS["headline"], batch_size=()).empty


def test_frontier_of_the_headline() -> None:
    """Parameters held, 65,536 tokens: 36, 18, 9, 7, 4, 3, 1 and 0 sequences; half the context holds twice as many."""
    job = ServingJob(model=LLAMA_2_13B, batch_size=32, context_length=65_536, freed_parameters="spent")
    points = {(point.num_kv_heads, point.context_length): point.largest_batch for point in frontier(job)}
    assert len(points) == 8 * len(CONTEXTS)
    at_64k = [points[kv_heads, 65_536] for kv_heads in (1, 2, 4, 5, 8, 10, 20, 40)]
    assert at_64k == [36, 18, 9, 7, 4, 3, 1, 0]
    assert points[1, 32_768] == 72


def test_frontier_of_a_model_without_g_is_empty() -> None:
    job = ServingJob(model=MLA, batch_size=1, context_length=100, parameter_count=COUNT)
    assert frontier(job) == ()
    assert frontier(job, num_kv_heads=()) == ()


@pytest.mark.parametrize(("gigabytes", "holds"), [(80, True), (24, False)])  # its weights alone take 26.03 GB
def test_a_frontier_without_a_point_is_known_before_it_is_reckoned(gigabytes: int, holds: bool) -> None:
    device = Accelerator(id="mine", name="Mine", memory_nominal_bytes=gigabytes * 10**9)
    job = ServingJob(model=LLAMA_2_13B, batch_size=1, context_length=1_024, accelerator=device)
    assert holds_any(job) is holds
    assert any(point.largest_batch for point in frontier(job, contexts=CONTEXTS[:2])) is holds


def test_a_frontier_has_the_g_that_the_engine_can_be_asked_for() -> None:
    """A gptj config declares no G but its 16 heads'. 76.97 GB less 12.10 of weights and 2 hold so many sequences of
    1,024 tokens at 2 x 28 layers x 4,096 x 2 = 458,752 bytes."""
    config = next(known.config for known in load_registry() if known.name == "GPT-J 6B")
    job = ServingJob(
        model=read_config(config), batch_size=1, context_length=1_024, engine="vllm", memory_reading="device"
    )
    budget = 9 * 85_520_809_984 // 10
    points = frontier(job, contexts=(1_024,))
    most = (budget - 2 * 6_050_882_784 - 2_000_000_000) // (1_024 * 458_752)
    assert [(point.num_kv_heads, point.largest_batch) for point in points] == [(16, most)]
    assert most == 133
    assert holds_any(job)
