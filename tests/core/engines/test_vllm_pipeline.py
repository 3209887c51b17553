"""Stages of a pipeline in vLLM's plan: cases of its own planner, which was given each stage's layers apart."""

import gzip
import json
from pathlib import Path

import pytest

from core.engines.face import plan_cache
from core.engines.plan import EngineError
from core.models.spec import read_config

DATA = Path(__file__).parents[2] / "data" / "engines" / "vllm_pipeline_cases.json.gz"
LLAMA = {
    "model_type": "llama", "architectures": ["LlamaForCausalLM"], "hidden_size": 4096, "num_hidden_layers": 32,
    "num_attention_heads": 32, "num_key_value_heads": 8, "intermediate_size": 14336, "vocab_size": 128_256,
}  # fmt: skip


def test_every_stage_of_the_planner_is_met_to_the_byte():
    """Dense, sliding, chunked, latent, indexed and hybrid models over two to four stages: a request's bytes on each
    stage, and the capacity, which the stage with the fewest blocks decides."""
    with gzip.open(DATA, "rt") as file:
        held = json.load(file)
    specs = {name: read_config(config) for name, config in held["configs"].items()}
    wrong = []
    for case in held["cases"]:
        job = {"context_length": case["context"], "tensor_parallel": case["tp"], "pipeline_parallel": case["stages"]}
        spec = specs[case["id"].split("+")[0]]
        plans = [plan_cache(spec, engine="vllm", **job, pipeline_stage=stage) for stage in range(case["stages"])]
        rules = plan_cache(spec, engine="vllm", **job, available_bytes=held["available_bytes"])
        said = ([plan.request_bytes for plan in plans], rules.capacity_tokens, rules.block_size)
        if said != tuple(case["truth"][key] for key in ("request_bytes", "capacity_tokens", "block_size")):
            wrong.append((case["id"], said, case["truth"]))
    assert wrong == []
    assert len(held["cases"]) == 39


@pytest.mark.parametrize(
    ("job", "says"),
    [
        ({"pipeline_parallel": 33}, "the model has 32 layers"),
        ({"pipeline_parallel": 2, "pipeline_stage": 2}, "pipeline_stage is 2"),
        ({"pipeline_parallel": 2, "draft_method": "mtp", "speculative_tokens": 1}, "mtp"),  # the file announces none
    ],
)
def test_what_cannot_be_is_refused(job, says):
    with pytest.raises(EngineError, match=says):
        plan_cache(read_config(LLAMA), engine="vllm", context_length=4096, **job)


GPT_OSS = {
    "model_type": "gpt_oss", "architectures": ["GptOssForCausalLM"], "num_hidden_layers": 24, "hidden_size": 2880,
    "num_attention_heads": 64, "num_key_value_heads": 8, "head_dim": 64, "intermediate_size": 2880,
    "vocab_size": 201_088, "sliding_window": 128, "layer_types": ["sliding_attention", "full_attention"] * 12,
    "num_local_experts": 32, "num_experts_per_tok": 4,
}  # fmt: skip
DEEPSEEK = {
    "model_type": "deepseek_v3", "architectures": ["DeepseekV3ForCausalLM"], "vocab_size": 129_280,
    "hidden_size": 7168, "intermediate_size": 18_432, "moe_intermediate_size": 2048, "num_hidden_layers": 6,
    "num_attention_heads": 128, "num_key_value_heads": 128, "n_shared_experts": 1, "n_routed_experts": 8,
    "num_experts_per_tok": 2, "first_k_dense_replace": 1, "kv_lora_rank": 512, "q_lora_rank": 1536,
    "qk_nope_head_dim": 128, "qk_rope_head_dim": 64, "v_head_dim": 128, "num_nextn_predict_layers": 1,
}  # fmt: skip


def drafting(method: str, layers: int, **like: object) -> dict[str, object]:
    """A draft of its own file: the shape of LLAMA but for so many layers and what is named."""
    shape = {key: value for key, value in LLAMA.items() if key != "num_hidden_layers"}
    draft = read_config({**shape, **like, "num_hidden_layers": layers})
    return {"draft_method": method, "speculative_tokens": 1, "draft": draft}


LIKE_GPT_OSS = {"hidden_size": 2880, "num_attention_heads": 64, "head_dim": 64, "vocab_size": 201_088}
MTP = {"draft_method": "mtp", "speculative_tokens": 1}


@pytest.mark.parametrize(
    ("config", "draft", "request_bytes", "tokens"),
    [
        (LLAMA, drafting("eagle3", 1), [2_147_483_648, 2_281_701_376], 616_800),
        (LLAMA, drafting("eagle3", 2), [1_073_741_824] * 3 + [1_342_177_280], 1_048_576),
        (GPT_OSS, drafting("eagle3", 1, **LIKE_GPT_OSS), [479_920_128, 559_906_816], 2_513_578),
        (GPT_OSS, drafting("eagle3", 2, **LIKE_GPT_OSS), [265_125_888] * 3 + [441_876_480], 3_184_996),
        (DEEPSEEK, MTP, [113_246_208, 150_994_944], 9_320_672),
        (DEEPSEEK, MTP, [37_748_736] + [75_497_472] * 3, 18_641_344),
    ],
)
def test_a_draft_lies_on_the_last_stage(config, draft, request_bytes, tokens):
    """Figures of vLLM 0.33's planner, given each stage's layers apart and the draft's behind the last one's: 32,768
    tokens on each stage, and the capacity of 40 GiB."""
    spec, stages = read_config(config), len(request_bytes)
    job = {"engine": "vllm", "context_length": 32_768, "pipeline_parallel": stages, **draft}
    assert [plan_cache(spec, **job, pipeline_stage=stage).request_bytes for stage in range(stages)] == request_bytes
    assert plan_cache(spec, **job, available_bytes=40 * 2**30).capacity_tokens == tokens


NEMOTRON_H = {  # a recurrent layer, one of experts and one that attends, eight of them recurrent in front
    "model_type": "nemotron_h", "architectures": ["NemotronHForCausalLM"], "num_hidden_layers": 12,
    "hybrid_override_pattern": "MMMMMMMM*-*-", "hidden_size": 4096, "num_attention_heads": 32,
    "num_key_value_heads": 8, "head_dim": 128, "intermediate_size": 21_504, "ssm_state_size": 128,
    "mamba_num_heads": 128, "mamba_head_dim": 64, "n_groups": 8, "conv_kernel": 4, "vocab_size": 131_072,
}  # fmt: skip
MAMBA_2 = {
    "model_type": "mamba2", "architectures": ["Mamba2ForCausalLM"], "num_hidden_layers": 24, "hidden_size": 768,
    "state_size": 128, "num_heads": 24, "head_dim": 64, "n_groups": 1, "conv_kernel": 4, "expand": 2,
    "vocab_size": 50_288,
}  # fmt: skip
ERNIE = {
    **LLAMA, "model_type": "ernie4_5_moe", "architectures": ["Ernie4_5_MoeForCausalLM"], "moe_num_experts": 4,
    "moe_k": 2, "moe_intermediate_size": 1024,
}  # fmt: skip


@pytest.mark.parametrize(
    ("config", "job", "says"),
    [
        (LLAMA, {"cache_type": "turboquant_4bit_nc"}, "blocks of a size of its own"),
        (MAMBA_2, {}, "serves no Mamba2ForCausalLM in stages"),
        ({**ERNIE, "tie_word_embeddings": True}, {}, "serves no Ernie4_5_MoeForCausalLM with tied embeddings"),
        (NEMOTRON_H, {}, "Stage 0 of 2 has recurrent layers and none that attends"),
        (LLAMA, drafting("draft_model", 1), "cuts such a draft over the stages"),
        (LLAMA, drafting("eagle", 1), "over 2 stages its layers take names of the model's"),
    ],
)
def test_what_vllm_does_not_serve_in_stages_is_refused(config, job, says):
    """As vLLM 0.33.0 ends, or plans in a way that is not followed here; on one rank each of them has its plan."""
    with pytest.raises(EngineError, match=says):
        plan_cache(read_config(config), engine="vllm", context_length=4096, pipeline_parallel=2, **job)
    assert plan_cache(read_config(config), engine="vllm", context_length=4096, **job).request_bytes > 0


@pytest.mark.parametrize(
    ("config", "job"),
    [({**ERNIE, "tie_word_embeddings": False}, {}), ({**NEMOTRON_H, "hybrid_override_pattern": "M*M*M*M*M*M*"}, {})],
)
def test_what_vllm_does_serve_in_stages_is_planned(config, job):
    assert plan_cache(read_config(config), engine="vllm", context_length=4096, pipeline_parallel=2, **job).groups


def test_a_window_holds_the_tokens_of_every_batch_in_flight():
    """gpt-oss over two stages, 12 layers each, half of them slide: of 4,096 tokens a window holds those of
    min(127 + batches x 1,024, 4,096): 2 on one rank (2,175: 137 pages), 3 on two (3,199: 201), and a full layer 256."""
    one, two = (
        plan_cache(
            read_config(GPT_OSS), engine="vllm", context_length=4096, pipeline_parallel=stages, max_batched_tokens=1024
        )
        for stages in (1, 2)
    )
    assert [group.pages_per_request for group in one.groups] == [137, 256]
    assert [group.pages_per_request for group in two.groups] == [201, 256]


def test_sglang_gives_what_is_left_over_to_the_last_stages():
    """61 layers over 4: the last has 16 of 2 x 8 x 128 x 2 bytes; layers that are not alike are refused."""
    spec = read_config({**LLAMA, "num_hidden_layers": 61})
    plans = [plan_cache(spec, engine="sglang", pipeline_parallel=4, pipeline_stage=stage) for stage in range(4)]
    assert [plan.bytes_per_token for plan in plans] == [15 * 4096, 15 * 4096, 15 * 4096, 16 * 4096]
    assert plan_cache(spec, engine="sglang", pipeline_parallel=4).bytes_per_token == 16 * 4096
    gpt_oss = read_config({**LLAMA, "model_type": "gpt_oss", "architectures": ["GptOssForCausalLM"]})
    with pytest.raises(EngineError, match="for layers that are all alike"):
        plan_cache(gpt_oss, engine="sglang", pipeline_parallel=2)
