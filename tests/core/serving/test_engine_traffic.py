"""Traffic on a named engine: what a request in flight takes of its memory."""

from core.serving.traffic import lognormal_traffic
from core.serving.traffic_fit import TrafficFit, fit_traffic
from tests.core.serving.test_engine_why import planned


def fitted(name: str, engine: str, batch: int) -> TrafficFit:
    """Requests that end at 2,000 tokens on average, at most 8,192, in 40 GiB."""
    traffic = lognormal_traffic(mean=2_000, p95=5_000, longest_context=8_192, output_share=0.5)
    return fit_traffic(planned(name, engine, batch_size=batch, context_length=8_192).job, traffic)


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
    assert fitted("Llama-3.1 8B", "vllm", 16) == fitted("Llama-3.1 8B", "payload", 16)
