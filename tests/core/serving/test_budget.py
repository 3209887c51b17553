"""What an accelerator gives a job: the payload's share of the device's reading, an engine's of what torch sees."""

import pytest

from core.models.spec import read_config
from core.serving.budget import budget_bytes
from core.serving.job import ServingJob
from core.serving.memory_plan import plan

QWEN3_32B = {
    "model_type": "qwen3", "num_hidden_layers": 64, "num_attention_heads": 64, "num_key_value_heads": 8,
    "head_dim": 128, "hidden_size": 5120, "intermediate_size": 25600, "vocab_size": 151936,
}  # fmt: skip


def job(**changes: object) -> ServingJob:
    asked = {"batch_size": 1, "context_length": 1024, "accelerator": "h100-sxm"}
    return ServingJob(model=read_config(QWEN3_32B), **{**asked, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("accelerator", "engine", "expected"),
    [
        ("h100-sxm", "payload", 76_968_728_985),  # 0.9 x 81,559 x 2^20 = 76,968,728,985.6
        ("h100-sxm", "vllm", 76_449_344_127),  # 0.9 x round(79.11 x 2^30) = 0.9 x 84,943,715,697
        ("l20", "vllm", 43_475_219_251),  # no reading of torch's: 0.9 x 46,068 x 2^20, as the payload
        ("dgx-spark", "payload", 117_597_278_306),  # 0.9 x round(121.69 x 2^30)
        ("dgx-spark", "vllm", 109_521_666_048),  # the 102 GiB that are free, less than nine tenths
    ],
)
def test_whose_memory_the_share_is_of(accelerator: str, engine: str, expected: int) -> None:
    assert budget_bytes(job(accelerator=accelerator, engine=engine)) == expected


def test_a_job_may_keep_the_devices_own_reading() -> None:
    assert budget_bytes(job(engine="vllm", memory_reading="device")) == 76_968_728_985


def test_the_plan_says_which_reading() -> None:
    line = next(line for line in plan(job(engine="vllm")).lines if line.key == "budget")
    assert line.substituted == "84,943,715,697 × 0.9"
    assert line.provenance.startswith("A server counts the 79.11 GiB that torch sees (vllm#27508")


def test_the_plan_says_what_the_system_leaves() -> None:
    line = next(line for line in plan(job(engine="vllm", accelerator="dgx-spark")).lines if line.key == "budget")
    assert line.formula == "memory × utilisation, rounded down, or what the system leaves"
    assert line.substituted == "109,521,666,048"
