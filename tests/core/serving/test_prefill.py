"""The least time to a first token: arithmetic by hand, and a window's sum against counting it out."""

import pytest

from core.models.spec import read_config
from core.serving.job import ServingJob
from core.serving.layer_groups import LayerGroup
from core.serving.memory_plan import plan
from core.serving.model_shapes import LLAMA_2_13B
from core.serving.offload import Offload
from core.serving.prefill import prefill_bound, read_while_prefilling
from core.serving.roofline import decode_bound
from core.serving.speed_aid_bounds import offload_of

QWEN3_32B = {
    "model_type": "qwen3", "num_hidden_layers": 64, "num_attention_heads": 64, "num_key_value_heads": 8,
    "head_dim": 128, "hidden_size": 5120, "intermediate_size": 25600, "vocab_size": 151936,
}  # fmt: skip


def test_arithmetic_by_hand():
    """32,762,123,264 less two tables of 151,936 x 5,120; 64 layers x 2 x 64 x 256 x 32,768 x 32,769 / 2. Read are all
    but the rows of the input table that no token looks up."""
    bound = prefill_bound(ServingJob(model=read_config(QWEN3_32B), batch_size=1, context_length=32_768))
    assert bound.parameters == 31_206_298_624
    assert bound.weight_flops == 2 * 31_206_298_624 * 32_768 + 2 * 777_912_320 == 2_045_137_542_447_104
    assert bound.attention_flops == 64 * 32_768 * 536_887_296 == 1_125_934_266_580_992
    assert bound.compute_seconds == pytest.approx(3.205, abs=0.001)
    assert bound.weight_read_bytes == 65_524_246_528 - 2 * (151_936 - 32_768) * 5_120
    assert bound.memory_seconds == pytest.approx(64_303_966_208 / 3.35e12)
    assert bound.seconds == bound.compute_seconds


def test_an_unknown_rate_leaves_the_memory_side():
    bound = prefill_bound(ServingJob(model=read_config(QWEN3_32B), batch_size=1, context_length=8, accelerator="t4"))
    assert bound.compute_seconds is None
    assert bound.seconds == pytest.approx((65_524_246_528 - 2 * (151_936 - 8) * 5_120) / 320e9)


def test_one_token_behind_a_cache_reads_what_a_step_reads():
    """The least time to it cannot be more than that of a step of one sequence, whatever table the model has."""
    job = ServingJob(model=read_config(QWEN3_32B), batch_size=1, context_length=4_096)
    one = prefill_bound(job, cached_tokens=4_095)
    assert one.weight_read_bytes == decode_bound(job).weight_read_bytes == 65_524_246_528 - 2 * 151_935 * 5_120


@pytest.mark.parametrize(("window", "chosen"), [(None, None), (4, None), (None, 3), (7, 5), (100, None)])
def test_what_is_read_is_the_sum_over_tokens(window, chosen):
    group = LayerGroup(
        part="keys and values", window=window, chosen=chosen, width_per_head=1, payload_width=1, rank_width=1
    )
    most = min(limit for limit in (window, chosen, 20) if limit is not None)
    assert read_while_prefilling(group, 20) == sum(min(t, most) for t in range(1, 21))


def test_a_prompt_through_narrow_weights_may_be_faster_on_some_engines():
    job = ServingJob(model=LLAMA_2_13B, num_kv_heads=8, batch_size=1, context_length=4_096)
    assert prefill_bound(job).caveat == ""
    assert prefill_bound(job.where(weight_bits=8)).caveat.startswith("At the dense BF16 rate: an engine that multi")
    assert prefill_bound(job.where(weight_bits=8, context_length=16)).caveat == ""  # reading the weights takes longer


def test_an_unknown_rate_is_said_and_gives_no_time_to_work_a_cache_out_again():
    asked = {"batch_size": 1, "context_length": 4_096, "engine": "vllm", "tensor_parallel": 4, "num_accelerators": 4}
    offload = Offload(num_bytes=10**11, bandwidth_bytes_per_s=64e9)
    unknown = ServingJob(model=read_config(QWEN3_32B), accelerator="v100-32", offload=offload, **asked)
    assert prefill_bound(unknown).caveat == "The BF16 rate is unknown: only reading the weights once is bounded."
    assert offload_of(plan(unknown)).recompute_seconds is None
    assert offload_of(plan(unknown.where(accelerator="h100-sxm"))).recompute_seconds > 0
