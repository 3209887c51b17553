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
        ({"pipeline_parallel": 2, "draft_method": "mtp", "speculative_tokens": 1}, "beside a draft is not stated here"),
    ],
)
def test_what_cannot_be_is_refused(job, says):
    with pytest.raises(EngineError, match=says):
        plan_cache(read_config(LLAMA), engine="vllm", context_length=4096, **job)


def test_sglang_gives_what_is_left_over_to_the_last_stages():
    """61 layers over 4: the last has 16 of 2 x 8 x 128 x 2 bytes; layers that are not alike are refused."""
    spec = read_config({**LLAMA, "num_hidden_layers": 61})
    plans = [plan_cache(spec, engine="sglang", pipeline_parallel=4, pipeline_stage=stage) for stage in range(4)]
    assert [plan.bytes_per_token for plan in plans] == [15 * 4096, 15 * 4096, 15 * 4096, 16 * 4096]
    assert plan_cache(spec, engine="sglang", pipeline_parallel=4).bytes_per_token == 16 * 4096
    gpt_oss = read_config({**LLAMA, "model_type": "gpt_oss", "architectures": ["GptOssForCausalLM"]})
    with pytest.raises(EngineError, match="for layers that are all alike"):
        plan_cache(gpt_oss, engine="sglang", pipeline_parallel=2)
