"""Drafts in SGLang's pools: cases of its own configurator, asked with --speculative-algorithm and a draft's config."""

import gzip
import json
from pathlib import Path

import pytest

from core.engines.face import plan_cache
from core.engines.plan import EngineError
from core.models.spec import read_config
from core.serving.draft import Draft
from core.serving.job import ServingJob
from core.serving.memory_plan import plan

DATA = Path(__file__).parents[2] / "data" / "engines" / "sglang_draft_cases.json.gz"
LLAMA = {
    "model_type": "llama", "architectures": ["LlamaForCausalLM"], "hidden_size": 4096, "num_hidden_layers": 32,
    "num_attention_heads": 32, "num_key_value_heads": 8, "intermediate_size": 14336, "vocab_size": 128_256,
}  # fmt: skip
SMALL = {**LLAMA, "hidden_size": 2048, "num_hidden_layers": 16, "head_dim": 64, "intermediate_size": 8192}


def test_every_draft_is_met_to_the_byte():
    """Plain drafts, EAGLE, EAGLE-3 and MTP (NEXTN) beside dense, latent, indexed and hybrid models and window pools;
    with two ranks, 8 bits, fewer requests, no radix cache, and layers announced or not."""
    with gzip.open(DATA, "rt") as file:
        held = json.load(file)
    specs = [read_config(config) for config in held["configs"]]
    wrong = []
    for case in held["cases"]:
        job = dict(case["job"])
        if case["draft"] is not None:
            job["draft"] = specs[case["draft"]]
        made = plan_cache(specs[case["config"]], engine="sglang", available_bytes=held["available_bytes"], **job)
        said = {key: getattr(made, key) for key in case["truth"]}
        if said != case["truth"]:
            wrong.append((case["id"], said, case["truth"]))
    assert wrong == []
    assert len(held["cases"]) == 97


def test_a_draft_costs_what_the_models_layers_do():
    """Sixteen layers of the 1B draft count as sixteen of the 8B's 4,096 bytes, though their own take 2,048."""
    made = plan_cache(read_config(LLAMA), engine="sglang", draft=read_config(SMALL), draft_method="draft_model",
                      speculative_tokens=3)  # fmt: skip
    assert made.bytes_per_token == (32 + 16) * 4096
    job = ServingJob(
        model=read_config(LLAMA), batch_size=4, context_length=8192, engine="sglang", accelerator="h200-sxm",
        draft=Draft(method="draft_model", model=read_config(SMALL)),
    )  # fmt: skip
    served = plan(job)
    assert served.kv_reserved_bytes == 4 * 8192 * 48 * 4096
    assert served.draft_cache_bytes == 0
    assert served.engine_plan is not None
    assert served.engine_plan.max_running_requests == 48
    assert any(note.name == "draft" for note in served.engine_plan.notes)


@pytest.mark.parametrize(
    ("job", "says"),
    [
        ({"draft_method": "mtp", "speculative_tokens": 3}, "beside LlamaForCausalLM is not stated here"),
        ({"draft_method": "eagle", "speculative_tokens": 3}, "give its ModelSpec as draft"),
        ({"draft_method": "medusa", "speculative_tokens": 3}, "draft_method is 'medusa'"),
        ({"speculative_tokens": 3}, "needs its draft_method"),
        ({"draft_method": "mtp", "speculative_tokens": 0}, "speculative_tokens is 0"),
    ],
)
def test_what_cannot_be_is_refused(job, says):
    with pytest.raises(EngineError, match=says):
        plan_cache(read_config(LLAMA), engine="sglang", **job)
