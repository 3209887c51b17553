"""Traffic on a named engine: what a request in flight takes of its memory."""

import pytest

from core.models.registry import load_registry
from core.models.spec import read_config
from core.serving.draft import Draft
from core.serving.inverse import largest_batch
from core.serving.job import ServingJob
from core.serving.traffic import constant_traffic, lognormal_traffic
from core.serving.traffic_fit import TrafficFit, fit_traffic
from tests.core.serving.test_engine_why import planned


def fitted(name: str, engine: str, batch: int, **changes: object) -> TrafficFit:
    """Requests that end at 2,000 tokens on average, at most 8,192, in 40 GiB."""
    traffic = lognormal_traffic(mean=2_000, p95=5_000, longest_context=8_192, output_share=0.5)
    return fit_traffic(planned(name, engine, batch_size=batch, context_length=8_192, **changes).job, traffic)


def test_slots_of_states_bound_sglang_however_short_its_requests():
    """262 slots / 5 = 52; 60 requests in flight are more than it has slots for."""
    found = fitted("Qwen3-Next 80B-A3B", "sglang", 60)
    assert found.occupancy.holding_batch == 52
    assert found.occupancy.overflow_probability == 1
    assert found.fill > 1


def test_llama_cpp_sets_the_whole_slot_aside():
    """40 slots of 8,192 tokens are 40 GiB, whatever the requests hold."""
    assert fitted("Llama-3.1 8B", "llama.cpp", 4).occupancy.holding_batch == 40


def test_plain_blocks_are_the_payload_s():
    assert fitted("Llama-3.1 8B", "vllm", 16) == fitted("Llama-3.1 8B", "payload", 16, block_size=16)


def held(job: ServingJob) -> tuple[int, int, int]:
    """Of requests that all have the job's length: what holds, what static allocation holds, what the plan says."""
    found = fit_traffic(job, constant_traffic(job.context_length)).occupancy
    return found.holding_batch, found.static_batch, int(largest_batch(job))


@pytest.mark.parametrize("batch", [1, 400])
@pytest.mark.parametrize(
    ("name", "requests"),
    [
        ("Qwen3-Next 80B-A3B", 474),  # 40 GiB / (512 x 24,576 + 77,856,768)
        ("Mamba-Codestral 7B", 156),  # 40 GiB / 273,678,336
    ],
)
def test_each_request_in_flight_has_states_of_its_own(name: str, requests: int, batch: int):
    assert held(planned(name, "payload", batch_size=batch, context_length=512).job) == (requests,) * 3


@pytest.mark.parametrize("engine", ["payload", "vllm", "llama.cpp", "transformers"])
def test_a_draft_keeps_a_cache_of_each_request_in_flight(engine: str):
    """8,192 tokens take 1 GiB, and 16 layers x 2 x 8 heads x 64 x 2 bytes of the draft 0.25: 40 / 1.25."""
    small = read_config(next(model.config for model in load_registry() if model.name == "Llama-3.2 1B"))
    draft = Draft(method="draft_model", model=small)
    for batch in (1, 30):
        made = planned("Llama-3.1 8B", engine, batch_size=batch, context_length=8_192, draft=draft)
        assert held(made.job) == (32, 32, 32)


@pytest.mark.parametrize(
    ("engine", "limit"),
    [
        ("llama.cpp", 256),  # LLAMA_MAX_SEQ; the memory has 1,280 slots of 256 tokens
        ("sglang", 2_048),  # its least; the memory has 327,680 tokens
    ],
)
def test_an_engine_serves_no_more_requests_than_its_limit_however_short_they_are(engine: str, limit: int):
    assert held(planned("Llama-3.1 8B", engine, context_length=64).job) == (limit,) * 3


def test_rows_of_logits_leave_less_room_to_more_requests():
    """Of 135,679,338,086 bytes 16,060,522,496 are weights; each takes 100 x 131,072 of cache and 128,256 x 4 of logits,
    which pass the reserve of 2 GB: 8,782.4."""
    spec = read_config(next(model.config for model in load_registry() if model.name == "Llama-3 8B"))
    job = ServingJob(model=spec, batch_size=4, context_length=100, accelerator="h200-sxm")
    assert held(job) == (8_782, 8_782, 8_782)


def test_a_request_in_flight_takes_whole_blocks_of_its_engine():
    """100 tokens are 7 blocks of 16: 40 GiB / (112 x 131,072) = 2,925; of the payload, 40 GiB / (100 x 131,072)."""
    assert held(planned("Llama-3.1 8B", "vllm", context_length=100).job) == (2_925, 2_925, 2_925)
    assert held(planned("Llama-3.1 8B", "payload", context_length=100).job) == (3_276, 3_276, 3_276)
