"""Lines, block rounding, copies, the workspace, what 80 GB means, and the properties that every plan has."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import SizingError
from core.hardware.accelerators import Accelerator, find_accelerator
from core.models.spec import ModelSpec
from core.serving.job import ServingJob, WindowPattern
from core.serving.kv_ledger import kv_ledger
from core.serving.memory_plan import plan
from core.serving.weights import ParameterCount
from core.serving.what_if import allowed_kv_heads
from core.units import GIB
from tests.core.serving.sizing_models import (
    FALCON_7B,
    HYBRID,
    LLAMA_2_13B,
    LLAMA_2_70B,
    MISTRAL_7B,
    MLA,
    SHARED,
    UNHURRIED,
)

SOME_COUNT = ParameterCount(total=1_000_000_007, source="typed", sentence="Typed in.")


def job(**changes: Any) -> ServingJob:
    return ServingJob(**({"model": LLAMA_2_13B, "batch_size": 32, "context_length": 65_536} | changes))


@st.composite
def jobs(draw: st.DrawFn) -> ServingJob:
    """Jobs over every kind of layer, with ranks, copies, windows, scales and blocks."""
    model = draw(st.sampled_from([LLAMA_2_13B, LLAMA_2_70B, MISTRAL_7B, FALCON_7B, MLA, HYBRID, SHARED]))
    ranks = draw(st.sampled_from([1, 2, 4, 8])) if model is not FALCON_7B else 1
    choices = [None, *allowed_kv_heads(model, ranks)]
    if model in (HYBRID, SHARED) and ranks > 2:
        choices = [ranks]
    context = draw(st.integers(1, 200_000))
    return ServingJob(
        model=model,
        num_kv_heads=draw(st.sampled_from(choices)),
        batch_size=draw(st.integers(1, 300)),
        context_length=context,
        weight_bits=draw(st.sampled_from([16, 8, 4, 4.25])),
        kv_bits=draw(st.sampled_from([16, 8, 4, 3])),
        kv_scale_overhead_bits=draw(st.sampled_from([0, 16, 32])),
        kv_elements_per_scale=draw(st.sampled_from([32, 100])),
        accelerator=draw(st.sampled_from(["h100-sxm", "l4", "mi300x"])),
        tensor_parallel=ranks,
        num_accelerators=ranks * draw(st.integers(1, 3)),
        memory_utilization=draw(st.floats(0.05, 1)),
        runtime_reserve_bytes=draw(st.floats(0, 4e9)),
        block_size=draw(st.sampled_from([1, 16, 100])),
        prefill_chunk=draw(st.integers(1, 20_000)),
        shared_prefix=min(draw(st.sampled_from([0, 0, 1, 1_000, 5_003])), context),
        parameter_count=SOME_COUNT if model in (MLA, FALCON_7B, HYBRID, SHARED) else None,
    )


@UNHURRIED
@given(jobs())
def test_lines_add_up_to_the_byte(serving: ServingJob) -> None:
    found = plan(serving)
    by_key = {line.key: line.num_bytes for line in found.lines}
    assert sum(line.num_bytes for line in found.lines if line.counted) == by_key["total"] == found.total_bytes
    assert by_key["headroom"] == by_key["budget"] - by_key["total"] == found.headroom_bytes
    assert found.fits == (found.headroom_bytes >= 0)
    assert by_key["kv_payload"] == found.kv_payload_bytes
    assert by_key["runtime"] == found.runtime_bytes == max(found.workspace_bytes or 0, found.runtime_bytes)


@UNHURRIED
@given(jobs())
def test_substituted_numbers_give_the_bytes(serving: ServingJob) -> None:
    """What is printed is what was computed: each substituted expression, evaluated, rounds to the line's bytes."""
    for line in plan(serving).lines:
        # ", " stands between arguments of max, "," between thousands
        expression = line.substituted.replace(", ", ";").replace(",", "").replace(";", ", ")
        expression = expression.replace("×", "*").replace("−", "-")
        value = eval(expression, {"__builtins__": {}, "max": max})  # noqa: S307 - digits and operators of our own line
        assert line.num_bytes == pytest.approx(value, rel=1e-5, abs=1), line


@UNHURRIED
@given(jobs())
def test_payload_is_the_models_own_cache(serving: ServingJob) -> None:
    """ModelSpec adds up the layers one by one; the plan's groups must give the same elements."""
    elements = sum(layer.cached_elements(serving.context_length) for layer in serving.served_model.layers)
    ledger = kv_ledger(serving.served_model, serving.tensor_parallel)
    assert ledger.payload_elements(serving.context_length) == elements
    found = plan(serving)
    assert found.kv_reserved_bytes >= found.kv_payload_bytes


@UNHURRIED
@given(jobs(), st.integers(1, 10**12))
def test_more_memory_never_fits_less(serving: ServingJob, more: int) -> None:
    memory = serving.device.memory_bytes
    assert memory is not None
    larger = Accelerator(id="larger", name="Larger", memory_reported_bytes=memory + more)
    assert plan(serving.where(accelerator=larger)).headroom_bytes >= plan(serving).headroom_bytes


@UNHURRIED
@given(jobs())
def test_monotone_in_batch_context_bits_and_utilisation(serving: ServingJob) -> None:
    total = plan(serving).total_bytes
    assert plan(serving.where(batch_size=serving.batch_size + 1)).total_bytes >= total
    assert plan(serving.where(context_length=serving.context_length + 1)).total_bytes >= total
    assert plan(serving.where(kv_bits=serving.kv_bits + 1)).total_bytes >= total
    assert plan(serving.where(weight_bits=serving.weight_bits + 0.5)).total_bytes > total
    assert plan(serving.where(memory_utilization=1)).budget_bytes >= plan(serving).budget_bytes


@UNHURRIED
@given(jobs())
def test_monotone_in_g_when_parameters_are_dropped(serving: ServingJob) -> None:
    choices = allowed_kv_heads(serving.model, serving.tensor_parallel)
    totals = [plan(serving.where(num_kv_heads=kv_heads)).total_bytes for kv_heads in choices]
    assert totals == sorted(totals)


def test_whole_blocks_are_reserved() -> None:
    """17 tokens take two blocks of 16: 32 tokens of 819,200 bytes. Without blocks, which is the default, 17."""
    found = plan(job(batch_size=1, context_length=17, block_size=16))
    assert found.kv_payload_bytes == 17 * 819_200
    assert found.kv_reserved_bytes == 32 * 819_200
    assert plan(job(batch_size=1, context_length=17)).kv_reserved_bytes == 17 * 819_200


def test_a_window_touches_one_block_more() -> None:
    """4,096 tokens at any offset touch at most 4,095 / 16 rounded up + 1 = 257 blocks of 16 = 4,112 tokens."""
    found = plan(ServingJob(model=MISTRAL_7B, batch_size=1, context_length=32_768, block_size=16))
    assert found.kv_payload_bytes == 4_096 * 131_072
    assert found.kv_reserved_bytes == 4_112 * 131_072
    # until the window is full, the blocks of the context alone
    few = ServingJob(model=MISTRAL_7B, batch_size=1, context_length=100, block_size=16)
    assert plan(few).kv_reserved_bytes == 112 * 131_072


def test_latent_cache_is_on_every_rank() -> None:
    """61 layers x 576 x 2 bytes = 70,272 bytes per token, on each of 8 ranks."""
    found = plan(
        ServingJob(
            model=MLA,
            batch_size=1,
            context_length=1600,
            tensor_parallel=8,
            num_accelerators=8,
            parameter_count=SOME_COUNT,
        )
    )
    assert found.kv_reserved_bytes == 1600 * 70_272
    assert found.kv_payload_bytes == 1600 * 70_272 // 8


def test_copies_of_the_model_share_the_batch() -> None:
    """33 sequences over 4 copies: the fullest has 9."""
    shared = plan(job(batch_size=33, num_accelerators=4, num_kv_heads=8))
    assert shared.kv_reserved_bytes == plan(job(batch_size=9, num_kv_heads=8)).kv_reserved_bytes
    assert shared.weight_bytes == plan(job(num_kv_heads=8)).weight_bytes
    total = next(line for line in shared.lines if line.key == "total")
    assert (
        total.provenance == "4 copies of the model, one accelerator each; the fullest copy decodes 9 of 33 sequences."
    )


def test_scales_of_a_quantised_cache_are_counted() -> None:
    """A 16-bit scale and a 16-bit zero-point for every 32 elements add one bit: 5 / 4 of a plain 4-bit cache."""
    plain = plan(job(num_kv_heads=8, kv_bits=4))
    scaled = plan(job(num_kv_heads=8, kv_bits=4, kv_scale_overhead_bits=32, kv_elements_per_scale=32))
    assert scaled.kv_payload_bytes * 4 == plain.kv_payload_bytes * 5


def test_recurrent_state_is_a_line_of_its_own() -> None:
    """Three mixers of 4,096 elements at 2 bytes, for 10 sequences: 245,760 bytes."""
    found = plan(ServingJob(model=HYBRID, batch_size=10, context_length=100, parameter_count=SOME_COUNT))
    assert found.state_bytes == 245_760
    assert [line.key for line in found.lines] == [
        "weights", "kv_payload", "kv_reserved", "state", "runtime", "total", "budget", "headroom",
    ]  # fmt: skip
    assert all(line.key != "state" for line in plan(job()).lines)


def test_a_shared_cache_is_kept_once_and_read_by_both() -> None:
    """Two layers of 2 x 128 elements, the second read twice."""
    ledger = kv_ledger(SHARED, 1)
    assert ledger.payload_elements(10) == 2 * 2 * 128 * 10
    assert ledger.read_elements(10) == 3 * 2 * 128 * 10


def test_a_shared_cache_without_a_source_is_refused() -> None:
    broken = ModelSpec(model_type="broken", layers=SHARED.layers[2:], dimensions=SHARED.dimensions)
    with pytest.raises(SizingError, match="layer 0 shares the cache of layer 1, which keeps none"):
        kv_ledger(broken, 1)


def test_prefill_workspace_counts_where_it_is_larger() -> None:
    """32,768 tokens x (2 x 5,120 + 3 x 13,824) x 2 bytes = 3,388,997,632."""
    found = plan(job(prefill_chunk=32_768))
    assert found.workspace_bytes == found.runtime_bytes == 3_388_997_632
    assert next(line for line in found.lines if line.key == "runtime").provenance.endswith("the workspace is larger.")


def test_logits_of_many_sequences_count() -> None:
    """100,000 sequences x 32,000 x 4 bytes = 12.8 GB, at one token of context each."""
    found = plan(job(batch_size=100_000, context_length=1))
    assert found.workspace_bytes == 12_800_000_000


def test_workspace_of_unknown_architectures_is_left_to_the_reserve() -> None:
    found = plan(ServingJob(model=MLA, batch_size=1, context_length=100, parameter_count=SOME_COUNT))
    assert found.workspace_bytes is None
    line = next(line for line in found.lines if line.key == "runtime")
    assert line.provenance == "The workspace is not computed for this architecture: the reserve stands alone."


# --- what 80 GB means: 80 x 10^9 bytes are 74.51 GiB, an H100 reports 81,559 MiB = 79.65 GiB


def needing(num_bytes: int, **changes: Any) -> ServingJob:
    """A job that needs so many bytes exactly: weights of one KV head and one layer, the rest reserve."""
    small = job(batch_size=1, context_length=16, num_kv_heads=1, memory_utilization=1.0, **changes)
    found = plan(small)
    return small.where(runtime_reserve_bytes=float(num_bytes - found.total_bytes + found.runtime_bytes))


@pytest.mark.parametrize(
    ("num_bytes", "fits", "decides"),
    [
        (80_000_000_000, True, False),  # 74.51 GiB: fits by either reading
        (80_000_000_001, True, True),  # one byte above the name's GB: only the device's own reading holds it
        (77 * GIB, True, True),
        (85_520_809_984, True, True),  # 81,559 MiB to the byte
        (85_520_809_985, False, False),
        (80 * GIB, False, False),  # what "80 GB" does not mean
    ],
)
def test_between_the_name_and_the_devices_own_reading(num_bytes: int, fits: bool, decides: bool) -> None:
    found = plan(needing(num_bytes))
    assert found.total_bytes == num_bytes
    assert (found.fits, found.memory_reading_decides) == (fits, decides)


def test_without_a_reading_the_name_decides() -> None:
    found = plan(needing(123 * GIB, accelerator="gaudi3"))
    assert not found.fits
    assert "No public reading" in next(line for line in found.lines if line.key == "budget").provenance


def test_the_boundary_is_explained() -> None:
    explained = plan(needing(77 * GIB)).memory_sentence
    assert explained == (
        "Which 80 GB decides here: the job needs 82.68 GB (77.00 GiB). 80 x 10^9 bytes x 1 would be 80.00 GB "
        "(74.51 GiB) and hold too little; the device reports 81,559 MiB, so the budget is 85.52 GB (79.65 GiB) and it "
        "fits."
    )
    assert plan(needing(60 * GIB)).memory_sentence == (
        "Both readings of 80 GB agree: 80 x 10^9 bytes x 1 would be 80.00 GB (74.51 GiB), and the device reports "
        "81,559 MiB, so the budget is 85.52 GB (79.65 GiB)."
    )
    assert plan(needing(77 * GIB, accelerator="gaudi3")).memory_sentence == (
        "No public reading of its reported memory was found: judged on 128 x 10^9 bytes, which may be low. "
        "The budget is 128.00 GB (119.21 GiB)."
    )


def test_utilisation_is_exact() -> None:
    """0.9 of 85,520,809,984 is 76,968,728,985.6, rounded down."""
    assert plan(job()).budget_bytes == 76_968_728_985
    assert find_accelerator("h100-sxm").memory_bytes == 85_520_809_984


def test_tensor_parallel_lines_name_the_copies() -> None:
    found = plan(
        ServingJob(
            model=LLAMA_2_70B, num_kv_heads=2, batch_size=1, context_length=16, tensor_parallel=8, num_accelerators=8
        )
    )
    line = next(line for line in found.lines if line.key == "kv_reserved")
    none = "The payload of one accelerator, in no blocks: name an engine for what it reserves."
    assert line.provenance == f"{none} 2 KV head(s) over 8 accelerators: 4 copies of each."


def test_copied_projections_are_said_and_not_counted() -> None:
    """Llama-2 70B, G = 1: 80 x 8,192 x 256 parameters x 2 bytes, held whole on each of 8 ranks: 7/8 of 335.5 MB
    more."""
    job_70b = ServingJob(
        model=LLAMA_2_70B, num_kv_heads=1, batch_size=1, context_length=16, tensor_parallel=8, num_accelerators=8
    )
    found = plan(job_70b)
    assert "copied heads too: 293.6 MB more on each accelerator" in found.lines[0].provenance
    assert found.weight_bytes == -(-found.parameters.total * 2 // 8)
    assert "copied heads" not in plan(job_70b.where(num_kv_heads=8)).lines[0].provenance


def test_windows_are_named_in_the_payload_line() -> None:
    pattern = WindowPattern(global_layers=10, local_layers=30, window=4096)
    line = plan(job(num_kv_heads=8, window_pattern=pattern)).lines[1]
    assert line.provenance.endswith("30 layers keep the last 4,096 tokens.")
    assert line.substituted == "(30 × 8 × 256 × 4,096 + 10 × 8 × 256 × 65,536) × 32 × 16 / 8 / 1"


def test_a_shared_prefix_is_in_the_equations() -> None:
    """40 layers x 8 heads x 256 x (4,096 x 32 less 2,048 x 31) x 2 bytes; of blocks of 16 tokens, the whole ones."""
    shared = plan(job(num_kv_heads=8, context_length=4_096, shared_prefix=2_050, block_size=16))
    payload, reserved = shared.lines[1:3]
    assert payload.substituted == "(40 × 8 × 256 × 4,096 × 32 − 40 × 8 × 256 × 2,050 × 31) × 16 / 8 / 1"
    assert payload.num_bytes == 40 * 8 * 256 * (4_096 * 32 - 2_050 * 31) * 2
    assert reserved.substituted == "(40 × 2048 × 4,096 × 32 − 40 × 2048 × 2,048 × 31) × 16 / 8"
    assert reserved.num_bytes == 11_072_962_560
    for line in (payload, reserved):
        assert line.formula.startswith("the shared prefix once, the rest of each sequence: ")
    by_engine = plan(job(num_kv_heads=8, context_length=4_096, shared_prefix=2_048, engine="vllm")).lines[2]
    assert by_engine.substituted == "671,088,640 a request × 32 − 335,544,320 of the shared prefix × 31"
    assert by_engine.num_bytes == 671_088_640 * 32 - 335_544_320 * 31


def test_what_an_engine_refuses_is_not_said_to_be_missing() -> None:
    """SGLang told to run 16 requests at once: the bytes of 64 would be there."""
    asked = {"num_kv_heads": 8, "batch_size": 64, "context_length": 2_048, "engine": "sglang"}
    made = plan(job(**asked, engine_settings=(("max_running_requests", 16),)))
    assert not made.fits
    assert made.headroom_bytes > 0
    assert made.refusal_words == "SGLang 0.5.23 serves 16 of 64 requests at once from what is left"
    last = made.lines[-1]
    assert (last.label, last.provenance) == ("Headroom", f"The job does not fit: {made.refusal_words}.")
    assert plan(job(**asked)).refusal_words == ""
    assert plan(job(num_kv_heads=40)).lines[-1].label == "Missing"
