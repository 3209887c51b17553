"""Drafts and shared prefixes in vLLM's plan: cases of its own planner, with the draft's layers built."""

import gzip
import json
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest

from core.engines.face import plan_cache
from core.engines.job_memory import held_bytes
from core.engines.plan import EngineError, EnginePlan
from core.models.spec import ModelSpec, read_config

DATA = Path(__file__).parents[2] / "data" / "engines" / "vllm_draft_cases.json.gz"
LLAMA_8B = {
    "model_type": "llama", "architectures": ["LlamaForCausalLM"], "hidden_size": 4096, "num_hidden_layers": 32,
    "num_attention_heads": 32, "num_key_value_heads": 8, "intermediate_size": 14336, "vocab_size": 128_256,
}  # fmt: skip
SMALL = {**LLAMA_8B, "hidden_size": 2048, "num_hidden_layers": 16, "head_dim": 64, "intermediate_size": 8192}
GIB = 2**30


@lru_cache(maxsize=1)
def cases() -> dict[str, Any]:
    with gzip.open(DATA, "rt") as file:
        return dict(json.load(file))


@lru_cache(maxsize=128)
def spec_of(text: str) -> ModelSpec:
    return read_config(json.loads(text))


def planned(config: dict[str, Any], draft: dict[str, Any] | None = None, **job: Any) -> EnginePlan:
    if draft is not None:
        job["draft"] = spec_of(json.dumps(draft))
    return plan_cache(spec_of(json.dumps(config)), engine="vllm", **job)


def test_every_draft_of_the_planner_is_met_to_the_byte() -> None:
    """Plain drafts, EAGLE and EAGLE-3 heads and MTP beside dense, sliding, chunked, latent, indexed and hybrid models.
    Refused by name: the MTP of Nemotron-H and of EXAONE-MoE, whose layer slides."""
    wrong, refused = [], []
    for case in cases()["cases"]:
        job = {key: case[key] for key in ("context_length", "tensor_parallel", "cache_type")}
        job |= {"draft_method": case["method"], "speculative_tokens": case["tokens"]}
        try:
            plan = planned(case["config"], case["draft"], available_bytes=cases()["available_bytes"], **job)
        except EngineError:
            refused.append(case["id"])
            continue
        said = {key: getattr(plan, key) for key in ("block_size", "request_bytes", "capacity_tokens")}
        if said != {key: case["truth"][key] for key in said}:
            wrong.append((case["id"], said, case["truth"]))
    assert wrong == []
    assert refused == ["nemotron_h+mtp1", "nemotron_h+mtp3", "exaone_moe+mtp1", "exaone_moe+mtp2"]


def test_a_head_lengthens_the_group_by_a_layer() -> None:
    """33 layers x 2 x 8 heads x 128 x 2 bytes x 32,768 tokens."""
    head = {**LLAMA_8B, "num_hidden_layers": 1, "architectures": ["LlamaForCausalLMEagle3"]}
    plan = planned(LLAMA_8B, head, context_length=32_768, draft_method="eagle3", speculative_tokens=3)
    assert plan.request_bytes == 33 * 2 * 8 * 128 * 2 * 32_768
    assert [note.result for note in plan.notes if note.name == "draft"] == ["1 layer more"]


def test_a_prefix_is_held_once_in_whole_blocks() -> None:
    """8,010 tokens are 500 blocks of 16; a block of 32 layers takes 2 MiB. 20,480 blocks of 40 GiB hold n requests of
    2,048 blocks where 2,048 + (n - 1) x 1,548 do not exceed them: 12."""
    job = {"context_length": 32_768, "available_bytes": 40 * GIB, "shared_prefix": 8_010}
    plan = planned(LLAMA_8B, batch_size=12, **job)
    assert plan.shared_bytes == 500 * 2 * 2**20
    assert plan.fits is True
    assert planned(LLAMA_8B, batch_size=13, **job).fits is False
    assert held_bytes(plan, batch_size=12) == (2_048 + 11 * 1_548) * 2 * 2**20


@pytest.mark.parametrize(
    ("job", "blocks"),
    [
        ({"shared_prefix": 4_096}, 255),  # a prompt that is the prefix: its last token is worked out again
        ({"shared_prefix": 4_096, "prefix_caching": False}, 0),
        ({"shared_prefix": 15}, 0),
        ({"shared_prefix": 1_024, "draft_method": "eagle", "speculative_tokens": 3}, 63),  # a hash reads a token on
        ({"shared_prefix": 1_025, "draft_method": "eagle", "speculative_tokens": 3}, 64),
    ],
)
def test_what_of_a_prefix_is_in_the_cache(job: dict[str, Any], blocks: int) -> None:
    head = {**LLAMA_8B, "num_hidden_layers": 1} if "draft_method" in job else None
    plan = planned(LLAMA_8B, head, context_length=4_096, **job)
    layers = 33 if head else 32
    assert plan.shared_bytes == blocks * layers * 16 * 2 * 8 * 128 * 2


@pytest.mark.parametrize(
    ("job", "said"),
    [
        ({"draft_method": "eagle"}, "speculative_tokens is 0"),
        ({"draft_method": "eagle", "speculative_tokens": 2}, "drafts with a model of its own"),
        ({"draft_method": "ngram", "speculative_tokens": 2}, "one of draft_model, eagle, eagle3, mtp is expected"),
        ({"speculative_tokens": 2}, "A draft needs its draft_method"),
        ({"draft_method": "mtp", "speculative_tokens": 2}, "what vLLM 0.33 builds of it for model_type 'llama'"),
        ({"shared_prefix": -1}, "shared_prefix is -1"),
    ],
)
def test_what_cannot_be_asked_gets_a_sentence(job: dict[str, Any], said: str) -> None:
    with pytest.raises(EngineError, match=said):
        planned(LLAMA_8B, context_length=4_096, **job)


WINDOWS_AND_NONE = {
    **SMALL, "model_type": "olmo3", "architectures": ["Olmo3ForCausalLM"], "sliding_window": 1024,
    "layer_types": ["sliding_attention", "full_attention"] * 8,
}  # fmt: skip
DEEPSEEK = {
    "model_type": "deepseek_v3", "architectures": ["DeepseekV3ForCausalLM"], "vocab_size": 128_256,
    "hidden_size": 7168, "intermediate_size": 18_432, "moe_intermediate_size": 2048, "num_hidden_layers": 6,
    "num_attention_heads": 128, "num_key_value_heads": 128, "n_shared_experts": 1, "n_routed_experts": 8,
    "num_experts_per_tok": 2, "first_k_dense_replace": 1, "kv_lora_rank": 512, "q_lora_rank": 1536,
    "qk_nope_head_dim": 128, "qk_rope_head_dim": 64, "v_head_dim": 128, "num_nextn_predict_layers": 2,
}  # fmt: skip


@pytest.mark.parametrize(
    ("target", "draft", "job", "said"),
    [
        (LLAMA_8B, {**SMALL, "vocab_size": 32_000}, {}, "vocabulary has 32,000 tokens and the model's 128,256"),
        (LLAMA_8B, WINDOWS_AND_NONE, {"cache_type": "turboquant_k8v4"}, "none for the draft's windows"),
        (DEEPSEEK, WINDOWS_AND_NONE, {}, "what vLLM 0.33 makes of such layers together is not stated here"),
        (DEEPSEEK, None, {"draft_method": "mtp", "speculative_tokens": 3}, "a multiple of the 2 layers that draft"),
    ],
)
def test_a_draft_that_vllm_does_not_take_is_refused(
    target: dict[str, Any], draft: dict[str, Any] | None, job: dict[str, Any], said: str
) -> None:
    """vLLM 0.33.0 ends over the first, the second and the last; the third it keeps in full, layer by layer."""
    job = {"draft_method": "draft_model", "speculative_tokens": 2, **job}
    with pytest.raises(EngineError, match=said):
        planned(target, draft, context_length=4_096, **job)


@pytest.mark.parametrize("tokens", [1, 2, 4])
def test_mtp_takes_fewer_tokens_than_its_layers_or_a_multiple_of_them(tokens: int) -> None:
    """6 layers and 2 that draft, of 576 elements of 2 bytes; 4,096 tokens."""
    plan = planned(DEEPSEEK, context_length=4_096, draft_method="mtp", speculative_tokens=tokens)
    assert plan.request_bytes == 8 * 576 * 2 * 4_096


def test_turboquant_leaves_out_the_layers_of_a_plain_draft_that_have_its_numbers() -> None:
    """Kept in 16 bits: layers 0, 1, 30 and 31 of the model, 0 and 1 of the draft's 16. vLLM 0.33.0's planner, 32,768
    tokens and 40 GiB: 617,088 tokens of capacity."""
    draft = {**LLAMA_8B, "num_hidden_layers": 16}
    job = {"draft_method": "draft_model", "speculative_tokens": 1, "cache_type": "turboquant_4bit_nc"}
    plan = planned(LLAMA_8B, draft, context_length=32_768, available_bytes=40 * GIB, **job)
    assert plan.request_bytes == 32_768 * 8 * (6 * 512 + 42 * 134)
    assert plan.capacity_tokens == 617_088


@pytest.mark.parametrize(("declared", "said"), [(4_095, True), (4_096, False), (None, False)])
def test_a_plain_draft_with_fewer_positions_than_a_request_is_said(declared: int | None, said: bool) -> None:
    """vLLM 0.33.0 serves at most the draft's positions then; an EAGLE head shares the model's and lowers nothing."""
    draft = {**SMALL} if declared is None else {**SMALL, "max_position_embeddings": declared}
    reasons = {
        method: note.reason
        for method in ("draft_model", "eagle3")
        for note in planned(
            LLAMA_8B, draft, context_length=4_096, draft_method=method, speculative_tokens=1
        ).notes
        if note.name == "draft"
    }  # fmt: skip
    assert ("It declares 4,095 positions" in reasons["draft_model"]) == said
    assert "declares" not in reasons["eagle3"]
