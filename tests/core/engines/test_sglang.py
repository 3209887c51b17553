"""SGLang's pools against its own planner, and against arithmetic by hand.

tests/data/engines: sglang_cases.json.gz, 315 jobs of 45 model shapes, and sglang_more_cases.json.gz, 2,987 jobs of 111
classes with other pages, ranks, ratios, requests and memories; all planned by SGLang 0.5.23, asked as on an H100. At
78 of the latter it stops.
"""

import contextlib
import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.api import EngineError, plan_cache, read_config
from core.engines import sglang
from core.models.registry import load_registry
from core.models.spec import ModelSpec

DATA = Path(__file__).resolve().parents[2] / "data" / "engines"
GIB = 2**30
LLAMA = {  # Llama-3-8B
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "hidden_size": 4096,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "vocab_size": 128256,
    "max_position_embeddings": 8192,
}
GPT_OSS = {  # gpt-oss-20b
    "architectures": ["GptOssForCausalLM"],
    "model_type": "gpt_oss",
    "hidden_size": 2880,
    "num_hidden_layers": 24,
    "num_attention_heads": 64,
    "num_key_value_heads": 8,
    "head_dim": 64,
    "sliding_window": 128,
    "layer_types": ["sliding_attention", "full_attention"] * 12,
    "vocab_size": 201088,
    "max_position_embeddings": 131072,
}
QWEN3_NEXT = {  # Qwen3-Next-80B-A3B
    "architectures": ["Qwen3NextForCausalLM"],
    "model_type": "qwen3_next",
    "hidden_size": 2048,
    "num_hidden_layers": 48,
    "num_attention_heads": 16,
    "num_key_value_heads": 2,
    "head_dim": 256,
    "full_attention_interval": 4,
    "linear_conv_kernel_dim": 4,
    "linear_key_head_dim": 128,
    "linear_num_key_heads": 16,
    "linear_num_value_heads": 32,
    "linear_value_head_dim": 128,
    "vocab_size": 151936,
    "max_position_embeddings": 262144,
}


def cases(name: str) -> list[dict[str, Any]]:
    with gzip.open(DATA / name, "rt", encoding="utf-8") as file:
        loaded: list[dict[str, Any]] = json.load(file)
    return loaded


def wrong(case: dict[str, Any]) -> dict[str, Any]:
    """What our plan says otherwise than SGLang's own; a share of a window pool may be off by float rounding alone."""
    plan = plan_cache(read_config(case["config"]), engine="sglang", **case["job"])
    said = {name: getattr(plan, name) for name in case["truth"]}
    return {
        name: (said[name], true)
        for name, true in case["truth"].items()
        if said[name] != (pytest.approx(true) if isinstance(true, float) else true)
    }


@pytest.mark.parametrize(
    ("name", "number"),
    [("sglang_cases.json.gz", 315), ("sglang_more_cases.json.gz", 2909), ("sglang_own_cases.json.gz", 75)],
)
def test_pools_are_those_of_sglangs_own_planner(name: str, number: int) -> None:
    planned = [case for case in cases(name) if "truth" in case]
    assert {case["id"]: found for case in planned if (found := wrong(case))} == {}
    assert len(planned) == number


def test_where_sglang_stops_the_plan_does_not_fit_or_is_refused() -> None:
    stopped = [case for case in cases("sglang_more_cases.json.gz") if "stops" in case]
    assert [case["id"] for case in stopped if not stops(case)] == []
    assert len(stopped) == 78


def stops(case: dict[str, Any]) -> bool:
    try:
        return plan_cache(read_config(case["config"]), engine="sglang", **case["job"]).fits is False
    except EngineError:
        return True


def test_a_dense_model_by_hand() -> None:
    plan = plan_cache(read_config(LLAMA), engine="sglang", available_bytes=40 * GIB)
    assert plan.bytes_per_token == 131_072  # 32 layers x 8 heads x (128 + 128) x 2 bytes
    assert plan.capacity_tokens == 327_680  # 40 GiB / 131,072
    assert plan.max_running_requests == 4096  # 327,680 / 8,192 x 512 = 20,480, at most 4,096
    assert plan.window_capacity_tokens is None
    assert plan.state_slots is None


def test_a_window_pool_by_hand() -> None:
    plan = plan_cache(read_config(GPT_OSS), engine="sglang", available_bytes=40 * GIB)
    # 12 layers x 8 heads x 128 x 2 = 24,576 bytes in each pool; 24,576 x 1.8 a token
    assert plan.bytes_per_token == pytest.approx(44_236.8)
    assert plan.capacity_tokens == 970_903
    assert plan.window_capacity_tokens == 776_722  # 0.8 of the tokens


def test_a_window_pool_is_sized_by_requests_where_no_prefix_is_cached() -> None:
    plan = plan_cache(
        read_config(GPT_OSS), engine="sglang", available_bytes=40 * GIB, prefix_caching=False, max_running_requests=64
    )
    assert plan.window_capacity_tokens == 64 * (128 + 128 + 1 + 1) + 2 * 8192 + 1  # 32,897
    assert plan.capacity_tokens == (40 * GIB - 32_897 * 24_576) // 24_576


def test_states_take_about_half_and_cap_the_requests() -> None:
    plan = plan_cache(read_config(QWEN3_NEXT), engine="sglang", available_bytes=40 * GIB)
    slot = 36 * ((8192 * 3) * 2 + 32 * 128 * 128 * 4)  # convolution of 8,192 channels, 32 heads of 128 x 128 in float32
    assert plan.state_slots == 40 * GIB * 9 // 19 // slot - 1 == 262
    assert plan.slots_per_request == 5
    assert plan.max_running_requests == 52
    requests = next(note for note in plan.notes if note.name == "requests")
    assert requests.result == "52 at once, by state slots"
    assert "--mamba-full-memory-ratio" in requests.reason


def test_how_many_requests_of_a_length_the_pools_hold() -> None:
    job = {"engine": "sglang", "available_bytes": 40 * GIB, "context_length": 32_768}
    plan = plan_cache(read_config(LLAMA), batch_size=10, **job)
    assert plan.max_concurrency == 10  # 327,680 / 32,768
    assert plan.fits
    assert plan_cache(read_config(LLAMA), batch_size=11, **job).fits is False
    assert plan_cache(read_config(LLAMA), batch_size=11, cache_bits=8, **job).fits
    assert plan_cache(read_config(QWEN3_NEXT), batch_size=53, **job).fits is False  # states
    assert plan_cache(read_config(GPT_OSS), batch_size=29, **job).max_concurrency == 29  # 970,903 / 32,768


def test_too_little_memory_is_a_plan_that_does_not_fit() -> None:
    plan = plan_cache(read_config(QWEN3_NEXT), engine="sglang", available_bytes=10**6)
    assert plan.fits is False
    assert plan.capacity_tokens is None
    assert [note.name for note in plan.notes] == ["tokens", "does not start"]


def test_without_memory_the_rates_alone_are_said() -> None:
    plan = plan_cache(read_config(LLAMA), engine="sglang", tensor_parallel=16)
    assert plan.bytes_per_token == 32 * 1 * 256 * 2  # a KV head is not split further
    assert plan.fits is None
    assert plan.capacity_tokens is None


def test_a_class_without_code_of_sglangs_own_is_refused_by_name() -> None:
    config = {
        "architectures": ["GPTNeoXForCausalLM"],
        "model_type": "gpt_neox",
        "hidden_size": 6144,
        "num_hidden_layers": 44,
        "num_attention_heads": 64,
    }
    with pytest.raises(EngineError, match="GPTNeoXForCausalLM has no code of its own in SGLang"):
        plan_cache(read_config(config), engine="sglang", available_bytes=40 * GIB)


@pytest.mark.parametrize(
    ("job", "message"),
    [
        ({"utilisation": 0.9}, "has no setting 'utilisation'"),
        ({"tensor_parallel": 0}, "tensor_parallel is 0"),
        ({"cache_type": "int4"}, "cache_type is 'int4'"),
        ({"swa_full_tokens_ratio": 1.5}, "swa_full_tokens_ratio is 1.5"),
        ({"cache_bits": 4}, "cache_bits is 4"),
        ({"prefix_caching": 1}, "prefix_caching is 1"),
    ],
)
def test_a_job_that_cannot_be_is_refused(job: dict[str, Any], message: str) -> None:
    with pytest.raises(EngineError, match=message):
        plan_cache(read_config(LLAMA), engine="sglang", available_bytes=40 * GIB, **job)


def test_states_ask_for_pages_that_fit_them() -> None:
    with pytest.raises(EngineError, match="block_size is 48"):
        plan_cache(read_config(QWEN3_NEXT), engine="sglang", available_bytes=40 * GIB, block_size=48)
    with pytest.raises(EngineError, match="tensor_parallel 3 does not divide"):
        plan_cache(read_config(QWEN3_NEXT), engine="sglang", available_bytes=40 * GIB, tensor_parallel=3)


def test_many_jobs_of_one_model_are_those_of_a_plan_each() -> None:
    spec = read_config(QWEN3_NEXT)
    jobs = [{"available_bytes": n * GIB, "tensor_parallel": 2**t} for n in (8, 24, 40) for t in range(4)]
    for sizes, job in zip(sglang.jobs_of(spec, jobs), jobs, strict=True):
        plan = plan_cache(spec, engine="sglang", **job)
        assert (sizes.capacity_tokens, sizes.state_slots) == (plan.capacity_tokens, plan.state_slots)


MODELS = [read_config(config) for config in (LLAMA, GPT_OSS, QWEN3_NEXT)]
JOBS = st.fixed_dictionaries(
    {},
    optional={
        "tensor_parallel": st.integers(-1, 64) | st.none(),
        "cache_type": st.sampled_from(["auto", "fp8_e4m3", "fp8_e5m2", "bfloat16", "mxfp8", ""]),
        "block_size": st.integers(-1, 300) | st.none(),
        "prefix_caching": st.booleans(),
        "max_running_requests": st.integers(0, 10**6) | st.none(),
        "swa_full_tokens_ratio": st.floats() | st.integers(-1, 2) | st.none(),
        "mamba_full_memory_ratio": st.floats() | st.integers(-1, 9) | st.none(),
        "context_length": st.integers(-1, 10**7),
        "batch_size": st.integers(0, 10**4),
    },
)


@given(spec=st.sampled_from(MODELS), job=JOBS, memory=st.integers(-1, 10**13), more=st.integers(0, 10**12))
@settings(deadline=None, max_examples=150)
def test_nothing_but_engine_error_and_more_memory_holds_more_tokens(
    spec: ModelSpec, job: dict[str, Any], memory: int, more: int
) -> None:
    try:
        first = plan_cache(spec, engine="sglang", available_bytes=memory, **job)
    except EngineError:
        return
    second = plan_cache(spec, engine="sglang", available_bytes=memory + more, **job)
    if first.state_slots is None and second.state_slots is None:
        assert (second.capacity_tokens or 0) >= (first.capacity_tokens or 0)
    assert (second.state_slots or 0) >= (first.state_slots or 0)


@given(
    config=st.dictionaries(
        st.sampled_from(sorted(QWEN3_NEXT)), st.none() | st.integers() | st.text() | st.lists(st.text())
    )
)
@settings(deadline=None, max_examples=150)
def test_a_broken_file_is_an_engine_error_too(config: dict[str, Any]) -> None:
    spec = MODELS[2]
    broken = ModelSpec(
        model_type=spec.model_type,
        layers=spec.layers,
        dimensions=spec.dimensions,
        config=QWEN3_NEXT | config,
    )
    with contextlib.suppress(EngineError):
        plan_cache(broken, engine="sglang", available_bytes=40 * GIB)


def test_a_pooled_index_by_hand_and_its_refusals() -> None:
    """Qwen3.8-Flash-Next: 12 layers x (2 heads x 512 x 2 B + 128 x 2 B / 4) = 25,344 B a token, pages of 64, its states
    in 36 layers of 48 x 128 x 128 x 4 B + 10,240 x 3 x 2 B = 3,207,168 B."""
    config = next(case["config"] for case in cases("sglang_own_cases.json.gz") if case["id"] == "qwen4-exp|base")
    plan = plan_cache(read_config(config), engine="sglang", available_bytes=40 * GIB)
    assert (plan.bytes_per_token, plan.block_size) == (25_344, 64)
    assert plan.state_slots == int((40 * GIB * 0.9 / 1.9 - 36 * 3_207_168) // (36 * 3_207_168))
    changed = read_config({**config, "text_config": {**config["text_config"], "indexer_compress_ratio": 8}})
    with pytest.raises(EngineError, match="chooses 256 keys"):
        plan_cache(changed, engine="sglang", available_bytes=40 * GIB)
    with pytest.raises(EngineError, match="draft_method is 'mtp'"):
        plan_cache(read_config(config), engine="sglang", draft_method="mtp", speculative_tokens=2)


def shared_out(config: dict[str, Any], **job: Any) -> tuple[int | None, ...]:
    """Tokens, window tokens, state slots and requests of one of eight ranks of data-parallel attention in 40 GiB."""
    made = plan_cache(read_config(config), engine="sglang", available_bytes=40 * GIB, data_parallel=8, **job)
    return made.capacity_tokens, made.window_capacity_tokens, made.state_slots, made.max_running_requests


def registered(name: str, architecture: str) -> dict[str, Any]:
    known = next(model for model in load_registry() if model.name == name)
    return {**known.config, "architectures": [architecture]}


@pytest.mark.parametrize(
    ("name", "architecture", "job", "planned"),
    [
        ("Llama-3.1 8B", "LlamaForCausalLM", {"max_running_requests": 64}, (327_680, None, None, 8)),
        ("Llama-3.1 8B", "LlamaForCausalLM", {"max_running_requests": 4}, (327_680, None, None, 1)),
        ("Llama-3.1 8B", "LlamaForCausalLM", {}, (327_680, None, None, 2_048)),  # the estimate is a rank's own
        ("gpt-oss-20b", "GptOssForCausalLM", {"max_running_requests": 64, "prefix_caching": False},
         (1_743_513, 4_113, None, 8)),
        ("Qwen3-Next 80B-A3B", "Qwen3NextForCausalLM", {"max_running_requests": 64, "prefix_caching": False},
         (1_719_330, None, 8, 8)),
        ("DeepSeek-V4-Pro", "DeepseekV4ForCausalLM", {}, (4_189_696, 418_816, None, 32)),  # 256 by default
        ("DeepSeek-V4-Pro", "DeepseekV4ForCausalLM", {"max_running_requests": 100}, (4_221_696, 422_144, None, 12)),
    ],
)  # fmt: skip
def test_ranks_of_data_parallel_attention_share_out_the_requests(
    name: str, architecture: str, job: dict[str, Any], planned: tuple[int | None, ...]
) -> None:
    """As SGLang 0.5.23's own planner says with --tp 8 --dp 8 --enable-dp-attention, asked as on an H100."""
    assert shared_out(registered(name, architecture), **job) == planned


def test_whose_limit_it_is_is_told() -> None:
    job = {"max_running_requests": 64, "available_bytes": 40 * GIB}
    notes = plan_cache(read_config(LLAMA), engine="sglang", data_parallel=8, **job).notes
    told = next(note for note in notes if note.name == "requests")
    assert told.numbers == "max_running_requests 8, the server's over 8 ranks, tokens 163,840"
    assert told.result == "8 at once, by max_running_requests, the server's over 8 ranks"
    alone = next(n for n in plan_cache(read_config(LLAMA), engine="sglang", **job).notes if n.name == "requests")
    assert alone.numbers == "max_running_requests 64, tokens 163,840"


@pytest.mark.parametrize("ranks", [0, None, 2.5, True])
def test_a_number_of_ranks_that_cannot_be_is_refused(ranks: Any) -> None:
    with pytest.raises(EngineError, match="data_parallel"):
        plan_cache(read_config(LLAMA), engine="sglang", data_parallel=ranks)
