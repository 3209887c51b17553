"""Ways to make a wished-for G fit: the headline's list, its ranking, and that no way is wrong or needless."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.engines.plan import EngineError
from core.models.registry import load_registry
from core.models.spec import read_config
from core.serving.job import PAYLOAD, ServingJob
from core.serving.memory_plan import plan
from core.serving.roofline import decode_bound
from core.serving.ways_to_fit import WayToFit, ways_to_fit
from core.serving.weights import ParameterCount
from core.serving.what_if import WindowPattern
from tests.core.serving.sizing_models import FALCON_7B, LLAMA_2_13B, MISTRAL_7B, MLA, UNHURRIED

SOME_COUNT = ParameterCount(total=40_000_000_000, source="typed", sentence="Typed in.")


def job(**changes: Any) -> ServingJob:
    return ServingJob(**({"model": LLAMA_2_13B, "batch_size": 32, "context_length": 65_536} | changes))


def headline(**changes: Any) -> dict[str, WayToFit]:
    return {way.label: way for way in ways_to_fit(job(num_kv_heads=8, freed_parameters="spent", **changes))}


def test_the_headline_at_g8_has_the_ways_of_the_review() -> None:
    """Parameters held: four users, or TP = 8, or fp8 with TP = 4, or a hybrid with fp8 cache and fp8 weights."""
    ways = headline()
    assert "batch of 4" in ways
    assert "8 accelerators, tensor parallel 8" in ways
    assert "KV cache at 8 bits + batch of 9" in ways
    assert "KV cache at 4 bits + batch of 18" in ways
    four = ways["KV cache at 8 bits + 4 accelerators, tensor parallel 4"]
    assert plan(four.job).weight_bytes + plan(four.job).kv_reserved_bytes == pytest.approx(49.5e9, abs=0.05e9)
    assert "KV cache at 8 bits + 7 global + 33 local layers, window 1,024" in ways
    assert "KV cache at 8 bits + weights at 8 bits + 10 global + 30 local layers, window 4,096" in ways


def test_a_missing_gigabyte_is_found_in_the_weights() -> None:
    """G = 5 at 4 bits misses by 4.75 GB with the parameters held: 8-bit weights alone are enough."""
    ways = ways_to_fit(job(num_kv_heads=5, kv_bits=4, freed_parameters="spent"))
    alone = [way for way in ways if way.label == "weights at 8 bits"]
    assert [way.topics for way in alone] == [("weight_quantisation",)]
    assert not any("weights at 4 bits" in way.label for way in ways)


def test_order_is_fewest_changes_then_quality_then_size() -> None:
    ways = ways_to_fit(job(num_kv_heads=8))
    keys = [(len(way.changes), len(way.topics), round(way.doublings, 9)) for way in ways]
    assert keys == sorted(keys)
    assert ways[0].quality_cost == "none"


def test_costs_in_quality_and_speed_are_named() -> None:
    """The job as wished would read 25.70 + 343.6 GB: 110.2 ms. With 8 bits and four ranks, (25.70 + 171.8) / 4 /
    3.35."""
    way = headline()["KV cache at 8 bits + 4 accelerators, tensor parallel 4"]
    assert way.topics == ("kv_quantisation",)
    assert way.step_seconds_before == pytest.approx(110.24e-3, abs=0.05e-3)
    assert way.step_seconds_after == pytest.approx(14.74e-3, abs=0.01e-3)
    assert way.tokens_per_second_after == pytest.approx(32 / 14.74e-3, rel=1e-3)
    hybrid = headline()["KV cache at 8 bits + 7 global + 33 local layers, window 1,024"]
    assert hybrid.quality_cost == "kv_quantisation + window"


def test_changes_carry_before_and_after() -> None:
    change = headline()["batch of 4"].changes[0]
    assert (change.axis, change.before, change.after, change.topic, change.doublings) == (
        "batch_size", "32", "4", "none", 3.0,
    )  # fmt: skip


def test_copies_are_listed_where_they_need_fewer() -> None:
    way = headline()["6 accelerators, tensor parallel 2, 3 copies"]
    assert (way.job.num_accelerators, way.job.tensor_parallel) == (6, 2)


def test_slower_memory_is_not_a_way() -> None:
    """A 512 GB Apple M3 Ultra would hold G = 8 in bf16, at a quarter of the bandwidth."""
    ways = ways_to_fit(job(num_kv_heads=8))
    assert not any("M3 Ultra" in way.label for way in ways)
    own = job().device.bandwidth_bytes_per_s
    assert all((way.job.device.bandwidth_bytes_per_s or 0) >= (own or 0) for way in ways)


def test_a_job_that_fits_needs_no_way() -> None:
    assert ways_to_fit(job(num_kv_heads=1)) == ()


def test_a_reserve_larger_than_the_memory_has_no_way_on_that_accelerator() -> None:
    ways = ways_to_fit(job(num_kv_heads=8, runtime_reserve_bytes=80e9))
    assert ways
    assert all(way.job.device.memory_bytes > 100e9 for way in ways)


def test_windows_are_not_offered_where_they_save_nothing() -> None:
    """Mistral's own window of 4,096 on every layer is smaller than either pattern."""
    ways = ways_to_fit(ServingJob(model=MISTRAL_7B, batch_size=500, context_length=32_768))
    assert ways
    assert not any(change.axis == "window" for way in ways for change in way.changes)


def test_latent_attention_has_ways_without_windows() -> None:
    ways = ways_to_fit(ServingJob(model=MLA, batch_size=64, context_length=65_536, parameter_count=SOME_COUNT))
    assert any(change.axis == "weight_bits" for way in ways for change in way.changes)
    assert not any(change.axis == "window" for way in ways for change in way.changes)


def test_seventy_one_heads_are_not_split_over_two() -> None:
    ways = ways_to_fit(ServingJob(model=FALCON_7B, batch_size=9000, context_length=2048, parameter_count=SOME_COUNT))
    assert {way.job.tensor_parallel for way in ways} <= {1, 71}


def test_scales_stay_when_bits_shrink() -> None:
    ways = ways_to_fit(job(num_kv_heads=8, kv_bits=8, kv_scale_overhead_bits=16, kv_elements_per_scale=64))
    smaller = [way for way in ways if any(change.axis == "kv_bits" for change in way.changes)]
    assert smaller
    assert {way.job.kv_scale_overhead_bits for way in smaller} == {16}


def test_a_cache_of_16_bits_takes_the_scales_that_fewer_bits_have() -> None:
    """G = 4 keeps 40 x 4 x 256 = 40,960 elements a token, of 32 x 65,536 tokens 42.95 GB at 4 bits, and 64.42 with a
    scale of 16 bits for 8 elements: beside 22.26 GB of weights and 2 of reserve only the first is within 76.97."""
    wished = job(num_kv_heads=4, kv_elements_per_scale=8)
    assert "KV cache at 4 bits" in {way.label for way in ways_to_fit(wished)}
    scaled = ways_to_fit(wished, scale_overhead_bits=16)
    assert "KV cache at 4 bits" not in {way.label for way in scaled}
    assert {way.job.kv_scale_overhead_bits for way in scaled if way.job.kv_bits < 16} == {16}


@settings(UNHURRIED, max_examples=25)
@given(
    kv_heads=st.sampled_from([2, 4, 5, 8, 10, 20, 40]),
    batch=st.integers(1, 256),
    context=st.integers(100, 200_000),
    bits=st.sampled_from([16, 8]),
)
def test_every_way_fits_differs_and_none_can_be_shortened(kv_heads: int, batch: int, context: int, bits: int) -> None:
    wished = job(num_kv_heads=kv_heads, batch_size=batch, context_length=context, kv_bits=bits)
    fields = {
        "kv_bits": "kv_bits", "weight_bits": "weight_bits", "window": "window_pattern", "batch_size": "batch_size",
        "context_length": "context_length", "accelerator": "accelerator",
    }  # fmt: skip
    ways = ways_to_fit(wished)
    assert len({way.label for way in ways}) == len(ways)
    for way in ways:
        found = plan(way.job)
        assert found.fits
        assert found.headroom_bytes == way.headroom_bytes
        assert way.job.num_kv_heads == kv_heads
        assert decode_bound(way.job).step_seconds == way.step_seconds_after
        for change in way.changes:
            assert change.doublings > 0
            if change.axis in fields:
                undone = way.job.where(**{fields[change.axis]: getattr(wished, fields[change.axis])})
                assert not plan(undone).fits, (way.label, change.axis)


def test_a_window_already_asked_for_can_shrink_further() -> None:
    wide = WindowPattern(global_layers=20, local_layers=20, window=8192)
    ways = ways_to_fit(job(num_kv_heads=8, kv_bits=8, window_pattern=wide))
    assert any(change.axis == "window" for way in ways for change in way.changes)


def published(name: str, **changes: Any) -> ServingJob:
    model = next(model for model in load_registry() if model.name == name)
    return ServingJob(**({"model": read_config(model.config), "memory_reading": "device"} | changes))


@pytest.mark.parametrize(
    "refused",
    [
        job(num_kv_heads=8, engine="vllm", kv_bits=4),  # no such cache
        job(num_kv_heads=8, engine="llama.cpp", batch_size=300),  # no so many slots
    ],
)
def test_a_job_that_its_engine_does_not_take_has_the_ways_of_its_payload(refused: ServingJob) -> None:
    with pytest.raises(EngineError):
        plan(refused)
    ways = ways_to_fit(refused)
    assert ways
    assert ways == ways_to_fit(refused.where(engine=PAYLOAD))


def test_what_an_engine_takes_of_one_request_alone_is_no_way_for_more() -> None:
    ways = ways_to_fit(job(num_kv_heads=8, engine="mlx"))  # mlx-lm keeps a narrow cache for one request at a time
    assert "batch of 4" in {way.label for way in ways}
    assert not any("KV cache at" in way.label and way.job.batch_size > 1 for way in ways)


@pytest.mark.parametrize(
    ("name", "batch", "context"),
    [
        ("Nemotron-H 8B", 64, 8_192), ("gpt-oss-20b", 128, 32_768), ("gpt-oss-120b", 64, 8_192),
        ("Qwen3-Next 80B-A3B", 200, 2_048),
    ],
)  # fmt: skip
def test_every_way_is_served_by_the_engine_too(name: str, batch: int, context: int) -> None:
    """SGLang's shares for states and windows leave bytes free that serve nobody: free bytes alone are no way."""
    asked = published(name, engine="sglang", batch_size=batch, context_length=context)
    ways = ways_to_fit(asked)
    assert ways
    assert all(plan(way.job).fits for way in ways)
    assert asked.device.name not in {way.job.device.name for way in ways if way.changes[0].axis == "accelerator"}


def test_the_accelerators_that_are_there_are_split_before_others_are_bought() -> None:
    """Four copies of 138 GB of weights fit no 80 GB card, two of half as much a card do."""
    ways = ways_to_fit(published("Llama-2 70B", engine="vllm", batch_size=8, context_length=4_096, num_accelerators=4))
    assert ways[0].label == "the same 4 accelerators, tensor parallel 2"
    assert (ways[0].job.num_accelerators, ways[0].job.replicas, ways[0].doublings) == (4, 2, 0)
    assert not any("accelerators, tensor parallel" in way.label for way in ways[1:])  # more of them are needless


def test_a_width_that_mlx_refuses_at_this_length_is_no_way() -> None:
    """mlx-lm converts no rotating cache, which it finds from 5,000 tokens on: at one token it takes 8 bits."""
    config = next(entry.config for entry in load_registry() if entry.name == "Gemma-3 4B")
    asked = ServingJob(
        model=read_config(config), batch_size=1_000, context_length=8_192, accelerator="m2-ultra", engine="mlx"
    )
    ways = ways_to_fit(asked)
    assert ways
    assert all(plan(way.job).fits for way in ways)
    assert not any("KV cache" in way.label for way in ways)


def test_copies_that_share_the_requests_hold_what_copied_heads_did_not() -> None:
    """SantaCoder's one KV head of 2 x 128 elements, 24 layers, 512 x 32,768 tokens at 2 bytes: 206.2 GB on each of 8
    ranks, of 128 requests a copy over 2 ranks 51.5."""
    ways = ways_to_fit(
        published("SantaCoder", batch_size=512, context_length=32_768, num_accelerators=8, tensor_parallel=8)
    )
    assert ways[0].label == "the same 8 accelerators, tensor parallel 2"
    assert plan(ways[0].job).kv_reserved_bytes == 24 * 2 * 128 * 128 * 32_768 * 2


def test_the_stages_of_a_pipeline_may_be_ranks_instead() -> None:
    """Gemma-2 27B's last of two stages has half of 26.05 billion parameters and the tied table of 1.18 again: 28.41 GB
    and 2.35 of cache and 2 are 32.76 GB, of 32.21. Two ranks have 27.23 + 2.32 + 2 = 31.54 each."""
    asked = published(
        "Gemma-2 27B", batch_size=2, context_length=8_192, accelerator="a100-40-sxm", num_accelerators=2,
        pipeline_parallel=2, memory_utilization=0.75,
    )  # fmt: skip
    assert ways_to_fit(asked)[0].label == "the same 2 accelerators, tensor parallel 2"


def test_two_of_three_accelerators_are_a_way() -> None:
    """CodeLlama 34B's 67.5 GB of weights fit no 40 GB card; two hold 33.74, 1.61 of cache and 2 within 38.65 each."""
    ways = ways_to_fit(
        published("CodeLlama 34B", batch_size=2, context_length=8_192, accelerator="a100-40-sxm", num_accelerators=3)
    )
    assert ways[0].label == "2 accelerators, tensor parallel 2"
    assert ways[0].doublings == 0
    assert ways[0].headroom_bytes == 38_654_705_664 - 33_743_970_304 - 1_610_612_736 - 2_000_000_000
