"""A server's start-up figures beside ours, for models of the registry and headers run here."""

from pathlib import Path

import pytest

from core.engines.logs import read_log
from core.models.gguf.metadata import read_metadata
from core.models.registry import load_registry
from core.models.spec import ModelSpec, read_config
from core.serving.job import ServingJob
from core.serving.log_compared import LogRow, available_bytes, misled, rows_of
from core.serving.memory_plan import MemoryPlan, plan
from core.serving.weights import typed_count

DATA = Path(__file__).parents[2] / "data" / "engines"
QWEN_3_5_27B = {  # 48 gated delta layers of 64, states in float32
    "model_type": "qwen3_5_text", "architectures": ["Qwen3_5ForCausalLM"], "hidden_size": 5120,
    "num_hidden_layers": 64, "num_attention_heads": 24, "num_key_value_heads": 4, "head_dim": 256,
    "intermediate_size": 17408, "vocab_size": 248320, "full_attention_interval": 4, "linear_num_key_heads": 16,
    "linear_num_value_heads": 48, "linear_key_head_dim": 128, "linear_value_head_dim": 128,
    "linear_conv_kernel_dim": 4, "max_position_embeddings": 262144, "mamba_ssm_dtype": "float32",
}  # fmt: skip


def of_registry(name: str) -> ModelSpec:
    return read_config(next(model.config for model in load_registry() if model.name == name))


def asked_for(spec: ModelSpec, **changes: object) -> MemoryPlan:
    job = ServingJob(
        **{
            "model": spec, "batch_size": 1, "context_length": 4096, "parameter_count": typed_count(1_000_000),
            "engine": "vllm", **changes,
        }
    )  # fmt: skip
    return plan(job)


def beside(spec: ModelSpec, text: str, **changes: object) -> dict[str, LogRow]:
    return {row.name: row for row in rows_of(read_log(text), asked_for(spec, **changes))}


def log(name: str) -> str:
    return (DATA / "logs" / f"{name}.log").read_text()


def test_vllm_0_33_is_ours_to_the_digit():
    rows = beside(of_registry("Qwen3-Next 80B-A3B"), log("vllm-0.33-qwen3-next"))
    assert rows["Block, tokens"].ours == "576"
    assert (rows["Requests of 32,768 tokens"].equal, rows["Tokens"].equal) == (True, True)
    assert rows["Memory for the cache"].equal is False
    assert "take its figure as the budget" in rows["Memory for the cache"].why


def test_vllm_0_19_counts_tokens_by_groups_and_it_is_said():
    """1,487 blocks / 4 groups x 784 = 290,864; 1,487 / (3 x 1 + 42) = 33.04."""
    rows = beside(read_config(QWEN_3_5_27B), log("vllm-0.19-qwen3.5-27b"))
    assert all(rows[name].equal for name in ("Block, tokens", "Requests of 32,768 tokens", "Tokens"))
    assert "blocks / groups × block (4 groups, 784 tokens)" in rows["Tokens"].why


def test_requests_follow_from_blocks_to_the_digit():
    """2 ranks: 64 layers x 16 tokens x 2 x 4 heads x 128 x 2 bytes = 2 MiB a block; 3,947 / 625 = 6.3152."""
    rows = beside(of_registry("Qwen2.5 32B"), log("vllm-0.8-qwen2.5-32b-tp2"))
    assert rows["Blocks"].equal
    assert rows["Requests of 10,000 tokens"].ours == "6.32"
    rows = beside(of_registry("Llama-3.1 8B"), log("vllm-0.6-llama-3.1-8b"))
    assert (rows["Blocks"].equal, rows["Requests of 20,000 tokens"].equal) == (True, True)


def test_another_model_than_the_log_s_does_not_agree():
    rows = beside(of_registry("Llama-3.1 8B"), log("vllm-0.8-qwen2.5-32b-tp2"))
    assert rows["Blocks"].equal is False


def test_sglang_s_pools():
    """94 layers x 1 head x (128 + 128) x 2 bytes = 48,128 a token of one rank of 4."""
    rows = beside(of_registry("Qwen3 235B-A22B"), log("sglang-0.4-qwen3-235b-tp4"))
    assert rows["Bytes of a token"].ours == "48,128"
    assert all(rows[name].equal for name in ("Bytes of a token", "Tokens", "Requests at most"))
    rows = beside(of_registry("Qwen3-Next 80B-A3B"), log("sglang-0.5.23-qwen3-next"))
    assert all(rows[name].equal for name in ("Tokens", "State slots", "Requests at most"))


@pytest.mark.parametrize(("name", "arch"), [("llama-2slots", "llama"), ("gemma3-shared", "gemma3")])
def test_llama_cpp_s_caches_are_ours(name: str, arch: str):
    keys = {"block_count": 8, "context_length": 8192, "embedding_length": 64, "attention.head_count": 4,
            "attention.head_count_kv": 2, "attention.key_length": 32, "attention.value_length": 32,
            "feed_forward_length": 128, "vocab_size": 263}  # fmt: skip
    metadata = {"general.architecture": arch, **{f"{arch}.{key}": value for key, value in keys.items()}}
    if arch == "gemma3":
        metadata["gemma3.attention.sliding_window"] = 512
    rows = beside(read_metadata(metadata), (DATA / f"llama_cpp_{name}.log").read_text(), engine="llama.cpp")
    caches = [row for title, row in rows.items() if title.startswith("Cache of")]
    assert len(caches) == (2 if arch == "gemma3" else 1)
    assert all(row.equal for row in caches)


def test_an_old_build_of_llama_cpp():
    """32 layers x 32,768 cells x 8 heads x 128 x 2 x 2 bytes = 4,096 MiB."""
    rows = beside(of_registry("Mistral-7B v0.1"), log("llama.cpp-2025-01-mistral-7b"))
    assert (rows["Keys and values"].ours, rows["Keys and values"].equal) == ("4,096.00 MiB", True)
    assert rows["Compute buffer"].equal


def test_the_log_s_memory_is_what_can_be_taken_for_the_budget():
    assert available_bytes(read_log(log("vllm-0.33-qwen3-next"))) == 40 * 2**30
    assert available_bytes(read_log(log("llama.cpp-2025-01-mistral-7b"))) is None


@pytest.mark.parametrize(
    ("name", "logged", "count_on"),
    [
        (  # 45.97 requests; 3,034 blocks / (3 groups of states x 57 blocks + 57 of attention) = 13
            "vllm-0.33-qwen3-next", "Maximum concurrency for 32,768 tokens per request: 45.97x",
            "13 prompts of 32,768 tokens that stay cached with a state at every block",
        ),
        (  # 262 slots / 5 = 52; the pool's tokens / 4,096 = 224
            "sglang-0.5.23-qwen3-next", "max_mamba_cache_size: 262",
            "52 requests, not the 224 that the tokens would hold",
        ),
    ],
)  # fmt: skip
def test_a_log_that_says_more_than_can_be_counted_on_is_set_right(name, logged, count_on):
    """Whatever engine the page's job has: memory, length and settings are the log's."""
    (found,) = misled(read_log(log(name)), asked_for(of_registry("Qwen3-Next 80B-A3B")))
    assert logged in found.logged
    assert found.count_on == count_on


def test_a_log_without_prefix_caching_or_states_misleads_in_nothing():
    assert misled(read_log(log("vllm-0.19-qwen3.5-27b")), asked_for(read_config(QWEN_3_5_27B))) == ()
    assert misled(read_log(log("vllm-0.6-llama-3.1-8b")), asked_for(of_registry("Llama-3.1 8B"))) == ()
