"""Why this many requests, and where the log says more than people can count on: word for word."""

from typing import Any

import pytest

from core.models.registry import load_registry
from core.models.spec import read_config
from core.serving.calibrated import calibrated
from core.serving.engine_why import misleading, prompts_kept, why_sentence
from core.serving.inverse import largest_batch
from core.serving.job import ServingJob
from core.serving.memory_plan import MemoryPlan, plan
from core.serving.weights import typed_count

GIB = 2**30


def planned(name: str, engine: str, **changes: object) -> MemoryPlan:
    """A job with 40 GiB for the cache."""
    spec = read_config(next(model.config for model in load_registry() if model.name == name))
    given = {"batch_size": 1, "context_length": 32_768, "parameter_count": typed_count(1_000_000)}
    return plan(calibrated(ServingJob(model=spec, engine=engine, **{**given, **changes}), 40 * GIB))


def test_why_qwen3_next_serves_52_requests_on_sglang():
    """36 states of 77,266,944 bytes a slot: 40 GiB x 0.9 / 1.9 hold 262 beside the padding; 262 / 5 = 52."""
    made = planned("Qwen3-Next 80B-A3B", "sglang", context_length=512)
    assert why_sentence(made) == (
        "Why 52 requests at once: the states' share of the memory has 262 slots, and 5 slots are set aside for each "
        "request, however short it is."
    )
    (found,) = misleading(made)
    assert found.logged == "max_total_num_tokens=920,754, max_mamba_cache_size: 262"
    assert found.count_on == "52 requests, not the 1,798 that the tokens would hold"
    assert "--mamba-full-memory-ratio" in found.knob


def test_why_vllm_serves_45_and_how_many_prompts_stay_cached():
    """3,034 blocks / (3 x 3 + 57) = 45.97; with a state at every block 3 x 57 + 57 = 228 pages a prompt: 13."""
    made = planned("Qwen3-Next 80B-A3B", "vllm")
    assert why_sentence(made) == (
        "Why 45 requests at once: 42.9 GB are 3,034 blocks of 14.2 MB, and a request of 32,768 tokens takes 66 of "
        "them, so 45.97 fit."
    )
    assert prompts_kept(made.engine_plan, 32_768) == 13
    (found,) = misleading(made)
    assert "13 prompts of 32,768 tokens" in found.count_on
    assert "171 pages a prompt" in found.why
    assert misleading(planned("Qwen3-Next 80B-A3B", "vllm", engine_settings=(("prefix_caching", False),))) == ()
    assert misleading(planned("Llama-3.1 8B", "vllm")) == ()


def test_why_a_window_pool_is_full_first():
    """gpt-oss: 12 full layers x 2 x 8 x 64 x 2 bytes a token, and 0.8 of as many for windows: 44,236.8 bytes."""
    made = planned("gpt-oss-20b", "sglang", context_length=32_768)
    assert why_sentence(made) == (
        "Why 29 requests at once: the pool has 970,903 tokens of 44.2 kB, with the window tokens that are set aside "
        "for each, and each request takes 32,768 of them."
    )
    assert misleading(made) == ()


def test_why_llama_cpp_serves_its_slots():
    made = planned("Llama-3.1 8B", "llama.cpp", batch_size=4, context_length=4096)
    assert why_sentence(made).startswith(
        "Why 4 requests at once: llama.cpp allocates the context of all 4 slots at its start"
    )
    (found,) = misleading(made)
    assert (found.logged, found.count_on) == ("n_ctx = 16,384", "4,096 tokens a slot, whatever the others leave empty")
    shared = planned("Llama-3.1 8B", "llama.cpp", batch_size=4, engine_settings=(("kv_unified", True),))
    assert "one long request leaves the others none" in misleading(shared)[0].count_on


@pytest.mark.parametrize("engine", ["payload", "mlx", "transformers"])
def test_why_by_bytes(engine: str):
    """8,192 tokens of Llama-3.1 8B are 1 GiB, whoever keeps them in full."""
    said = why_sentence(planned("Llama-3.1 8B", engine, context_length=8192))
    assert said.startswith("Why 40 requests at once: 42.9 GB are left for the cache and")
    assert misleading(planned("Llama-3.1 8B", engine)) == ()


def test_none_is_said_too():
    made = planned("Llama-3.1 8B", "vllm", context_length=1_000_000)
    assert why_sentence(made) == (
        "Why none: 42.9 GB are left for the cache, and a request of 1,000,000 tokens does not fit."
    )


def test_none_is_said_where_sglang_has_no_memory_left():
    """159.3 GB of weights on one H100: it was "0 requests: the pool has 0 tokens, and each request takes 512"."""
    spec = read_config(next(model.config for model in load_registry() if model.name == "Qwen3-Next 80B-A3B"))
    made = plan(ServingJob(model=spec, engine="sglang", batch_size=1, context_length=512))
    assert why_sentence(made) == "Why none: 0 B are left for the cache, and a request of 512 tokens does not fit."


def test_why_says_on_which_of_several_copies():
    made = planned("Qwen3 32B", "vllm", num_accelerators=2)
    assert " at once on each of 2 copies: " in why_sentence(made)


def test_why_a_rank_of_data_parallel_attention_serves_its_share():
    """SGLang gives each of 8 ranks 64 // 8 requests; each has 40 GiB, room for 80 of 4,096 tokens."""
    split = {"num_accelerators": 8, "data_parallel": 8, "context_length": 4_096, "batch_size": 8}
    named = (("max_running_requests", 64),)
    made = planned("Llama-3.1 8B", "sglang", engine_settings=named, **split)
    assert made.engine_plan.max_running_requests == 8
    assert why_sentence(made) == (
        "Why 8 requests at once on each of 8 ranks of requests: a rank takes no more than its share of "
        "max_running_requests, 8."
    )
    assert int(largest_batch(made.job)) == 64
    copies = planned("Llama-3.1 8B", "sglang", engine_settings=named, **{**split, "data_parallel": 1})
    assert int(largest_batch(copies.job)) == 8 * 64


@pytest.mark.parametrize(
    ("name", "asked", "said"),
    [
        (
            "Llama-3 8B",
            {"batch_size": 32, "context_length": 4_096, "shared_prefix": 3_968},
            "Why 3,480 requests at once: 58.9 GB are left for the cache and so many of 4,096 tokens take 58.9 GB; one "
            "more does not fit.",
        ),
        (
            "Qwen3-Next 80B-A3B",
            {"context_length": 131_072, "weight_bits": 4, "kv_bits": 4, "accelerator": "m3-ultra", "engine": "mlx"},
            "Why 1 request at once: 419.0 GB are left for the cache and a request of 131,072 tokens takes 983.2 MB; "
            "mlx-lm 0.32.2 takes no more at once.",
        ),
    ],
)
def test_the_number_is_the_largest_batch_s(name: str, asked: dict[str, Any], said: str) -> None:
    """Of a shared prefix 58,908,206,489 / 131,072 = 449,434 tokens are 3,968 and 128 of each of 3,480 requests (divided
    by the average of 32 requests 1,783 were said); mlx-lm reads one request at a time under kv_bits (426 were said)."""
    config = next(known.config for known in load_registry() if known.name == name)
    job = ServingJob(**{"model": read_config(config), "batch_size": 1, "memory_reading": "device", **asked})
    assert why_sentence(plan(job)) == said
    assert f"Why {int(largest_batch(job)):,} request" in said
