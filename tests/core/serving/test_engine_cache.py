"""A job on a named engine: its bytes and limits are the engine's own, G as a what-if reaches it, refusals are words."""

import gzip
import json
from math import floor

import pytest

from core.engines.face import plan_cache
from core.engines.plan import EngineError
from core.errors import SizingError
from core.models.registry import load_registry
from core.models.spec import read_config
from core.serving.budget import budget_bytes
from core.serving.engine_cache import engine_spec
from core.serving.inverse import fewest_kv_bits, largest_batch, longest_context
from core.serving.job import ServingJob, WindowPattern
from core.serving.memory_plan import plan
from core.serving.model_shapes import LLAMA_2_13B
from core.serving.options import option_grid, verdict
from core.serving.sweep import sweep
from core.serving.ways_to_fit import ways_to_fit
from core.serving.weights import typed_count
from tests.dashboard import ROOT

HEADLINE = ServingJob(model=LLAMA_2_13B, num_kv_heads=8, batch_size=32, context_length=65_536)
# 2 x 40 layers x 8 heads x 128 x 65,536 tokens x 2 bytes
REQUEST_BYTES = 10_737_418_240


def registered(name):
    return read_config(next(model.config for model in load_registry() if model.name == name))


def test_the_payload_is_what_it_was():
    assert plan(HEADLINE).engine_plan is None
    assert plan(HEADLINE).kv_reserved_bytes == 32 * REQUEST_BYTES


def test_on_vllm_a_plain_model_takes_whole_blocks_and_nothing_more():
    found = plan(HEADLINE.where(engine="vllm"))
    assert found.kv_reserved_bytes == 32 * REQUEST_BYTES
    assert found.engine_plan.version == "vLLM 0.33.0"
    assert not found.fits


def test_the_largest_batch_is_the_concurrency_that_the_engine_prints():
    job = HEADLINE.where(engine="vllm", batch_size=1)
    made = plan(job)
    left = budget_bytes(job) - made.weight_bytes - made.runtime_bytes
    asked = plan_cache(
        engine_spec(LLAMA_2_13B, 8), engine="vllm", context_length=65_536, available_bytes=left, cache_bits=16
    )
    assert largest_batch(job) == floor(asked.max_concurrency) == 4


def test_vllm_keeps_one_block_back():
    """The payload's longest context is 319,167 tokens: 19,947 whole blocks of 16, of which the null block is one."""
    one = HEADLINE.where(batch_size=1)
    assert longest_context(one) == 319_167
    assert longest_context(one.where(engine="vllm", memory_reading="device")) == 319_152 - 16


def test_a_hybrid_request_costs_what_its_states_pin():
    """Nemotron-H 8B at 512 tokens, a case of vLLM's own planner: 38.6 times its keys and values."""
    with gzip.open(ROOT / "tests/data/engines/vllm_cases.json.gz", "rt") as text:
        case = next(c for c in json.load(text) if c["model_type"] == "nemotron_h" and c["job"]["context_length"] == 512)
    job = ServingJob(
        model=read_config(case["config"]), batch_size=2, context_length=512, parameter_count=typed_count(8_000_000_000),
        engine="vllm",
        engine_settings=tuple((k, v) for k, v in case["job"].items() if k in ("max_batched_tokens", "prefix_caching")),
    )  # fmt: skip
    if case["job"].get("cache_type", "auto") == "auto" and case["job"].get("tensor_parallel", 1) == 1:
        assert plan(job).kv_reserved_bytes == 2 * case["truth"]["request_bytes"]
    assert plan(job).state_bytes == 0  # the engine's own figure has the states
    assert plan(job).kv_reserved_bytes > 30 * plan(job).kv_payload_bytes


@pytest.mark.parametrize("name", ["Llama-3.1 8B", "Falcon-7B", "Falcon-40B", "Qwen3 32B"])
def test_another_g_reaches_the_engine_by_the_config_s_own_key(name):
    model = registered(name)
    heads = model.layers[0].num_query_heads
    spec = engine_spec(model, heads)
    assert {layer.num_kv_heads for layer in spec.layers} == {heads}


def test_a_class_is_named_where_recorded_facts_leave_it_out():
    model = registered("Qwen3 32B")
    assert "architectures" not in model.config
    assert engine_spec(model, None).config["architectures"] == ["Qwen3ForCausalLM"]


def test_a_pattern_of_windows_is_no_model_that_an_engine_serves():
    pattern = WindowPattern(global_layers=10, local_layers=30, window=1_024)
    with pytest.raises(EngineError, match="window_pattern is a what-if"):
        plan(HEADLINE.where(engine="vllm", window_pattern=pattern))


def test_a_width_that_the_engine_lacks_is_counted_as_payload_and_says_so():
    grid = option_grid(HEADLINE.where(engine="vllm"))
    assert verdict(grid) == (
        "Only G = 1 fits in bf16; 8-bit cache also allows G = 2; 4-bit also G = 4. G = 8 fits at none of the three."
    )
    assert grid.at(8, 16).engine_refusal == ""
    assert grid.at(8, 4).engine_refusal.startswith(
        "cache_bits is 4: vLLM 0.33 has a cache of 16 bits (auto) or 8 (fp8)"
    )
    assert grid.at(8, 4).plan.engine_plan is None


def test_ways_to_fit_offer_only_what_the_engine_takes():
    ways = ways_to_fit(HEADLINE.where(engine="vllm"))
    assert ways
    changed = {change.axis for way in ways for change in way.changes}
    assert "window" not in changed
    assert all(way.job.kv_bits in (8, 16) for way in ways)


def test_the_fewest_bits_are_of_the_widths_that_the_engine_has():
    answer = fewest_kv_bits(HEADLINE.where(engine="vllm", num_kv_heads=2))
    assert (int(answer), answer.sentence) == (8, "8 bits an element fit; 16 bits do not.")


def test_a_model_that_the_engine_does_not_serve_is_refused_by_name():
    job = ServingJob(
        model=registered("MPT-7B"), batch_size=1, context_length=1_024, engine="vllm",
        parameter_count=typed_count(7_000_000_000),
    )  # fmt: skip
    with pytest.raises(EngineError, match="MptForCausalLM"):
        plan(job)


def test_an_engine_that_is_none_is_refused():
    with pytest.raises(SizingError, match="engine is 'vLLM': use one of payload, vllm"):
        HEADLINE.where(engine="vLLM")


def test_a_sweep_equals_the_plans_on_an_engine_too():
    job = HEADLINE.where(engine="vllm")
    rows = sweep(job, batch_size=[1, 4, 5], context_length=[512, 65_536])
    for row in rows.itertuples():
        made = plan(job.where(batch_size=row.batch_size, context_length=row.context_length))
        assert (row.kv_reserved_bytes, row.total_bytes, row.fits) == (
            made.kv_reserved_bytes, made.total_bytes, made.fits,
        )  # fmt: skip


def test_sglang_says_how_many_requests_its_slots_allow():
    """Qwen3-Next on SGLang: states cap the requests however short they are."""
    model = registered("Qwen3-Next 80B-A3B")
    job = ServingJob(
        model=model, batch_size=1, context_length=16, engine="sglang", num_accelerators=4, tensor_parallel=4,
        parameter_count=typed_count(80_000_000_000),
    )  # fmt: skip
    short, shorter = largest_batch(job), largest_batch(job.where(context_length=8))
    assert short == shorter == plan(job).engine_plan.max_running_requests
