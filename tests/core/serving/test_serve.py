"""Serving a published model: the first line, the limits, what fills the memory, and another G as a what-if."""

import pytest

from core.models.spec import read_config
from core.serving.inverse import largest_batch
from core.serving.job import ServingJob
from core.serving.serve import first_line, memory_parts, model_words, other_heads, other_heads_sentence, serve

QWEN3_32B = {
    "model_type": "qwen3", "num_hidden_layers": 64, "num_attention_heads": 64, "num_key_value_heads": 8,
    "head_dim": 128, "hidden_size": 5120, "intermediate_size": 25600, "vocab_size": 151936,
}  # fmt: skip
REQUEST = 2 * 64 * 8 * 128 * 32_768 * 2  # K and V, layers, KV heads, head_dim, tokens, bytes: 8 GiB


def job(**changes):
    asked = {"batch_size": 7, "context_length": 32_768, "engine": "vllm", "accelerator": "h200-sxm"}
    return ServingJob(model=read_config(QWEN3_32B), **{**asked, **changes})


def test_the_first_line_and_the_limits_beside_it():
    """0.9 x 139.80 GiB = 135.10 GB less 65.52 of weights and 2 of reserve leave 67.57 GB: seven of 8.59 GB each."""
    served = serve(job())
    assert first_line("Qwen3 32B", served) == "Qwen3-32B on one H200 SXM 141 GB: 7 requests at 32,768 tokens"
    assert REQUEST == 8_589_934_592
    assert served.plan.kv_reserved_bytes == 7 * REQUEST
    assert served.longest > 7 * 32_768  # what is left over holds some more tokens of one
    assert served.fewest == 1


def test_one_request_and_none_are_said_as_such():
    assert first_line("Qwen3 32B", serve(job(accelerator="h100-sxm"))).endswith(": 1 request at 32,768 tokens")
    none = serve(job(accelerator="l4"))
    assert first_line("Qwen3 32B", none).endswith("on one L4: 0 requests at 32,768 tokens")
    assert not none.longest.fits
    assert none.fewest == 4  # 16.4 GB of weights a card, of 21.3 that the engine may use
    assert memory_parts(none)[-1].name == "missing"


def test_several_accelerators_are_counted_out():
    served = serve(job(accelerator="l4", num_accelerators=4, tensor_parallel=4))
    assert first_line("Qwen3 32B", served) == "Qwen3-32B on 4 × L4: 1 request at 32,768 tokens"


@pytest.mark.parametrize("accelerator", ["h200-sxm", "dgx-spark", "mi300x", "m4-max"])
def test_the_parts_add_up_to_what_the_accelerator_reports(accelerator):
    served = serve(job(accelerator=accelerator))
    assert sum(part.num_bytes for part in memory_parts(served)) == served.job.device.memory_bytes


def test_another_g_is_another_model():
    served = serve(job())
    others = other_heads(served)
    assert [other.num_kv_heads for other in others] == [1, 2, 4, 16, 32, 64]
    four = next(other for other in others if other.num_kv_heads == 4)
    assert four.requests == largest_batch(job(num_kv_heads=4))
    assert other_heads_sentence(served, others) == (
        f"Had it 4 KV heads and not 8, it would be another model, still to be trained: {four.requests} requests in "
        "place of 7."
    )


def test_an_engine_that_refuses_is_named_and_the_payload_counts():
    config = {
        "model_type": "mpt", "n_layers": 32, "n_heads": 32, "d_model": 4096, "vocab_size": 50432, "max_seq_len": 2048,
    }  # fmt: skip
    served = serve(ServingJob(model=read_config(config), batch_size=1, context_length=1_024, engine="mlx"))
    assert served.job.engine == "payload"
    assert "mpt" in served.engine_refusal


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("Qwen3 32B", "Qwen3-32B"),
        ("Gemma-4 26B-A4B", "Gemma-4-26B-A4B"),
        ("Mistral Large 2 (2407)", "Mistral Large 2 (2407)"),
        ("gpt-oss-20b", "gpt-oss-20b"),
        ("owner/name", "owner/name"),
    ],
)
def test_names_are_written_as_repositories_write_them(name, said):
    assert model_words(name) == said


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({}, "free: not enough for one more"),
        (
            {"engine": "llama.cpp", "context_length": 128},
            "free: llama.cpp build 11434 takes 256 requests at once at most",
        ),
    ],
)
def test_free_memory_says_what_keeps_the_next_request_out(changes, says):
    free = next(part for part in memory_parts(serve(job(**changes))) if part.name == "free")
    assert free.says == says
