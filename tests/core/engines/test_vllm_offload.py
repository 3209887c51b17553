"""What vLLM's own offload keeps: figures of its CPUOffloadingSpec, asked with --kv-offloading-size 64."""

import gzip
import json
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest

from core.engines.face import plan_cache
from core.engines.plan import EnginePlan
from core.engines.vllm.offload import chunk_bytes
from core.models.spec import read_config
from core.serving.job import ServingJob
from core.serving.memory_plan import plan
from core.serving.offload import Offload
from core.serving.speed_aid_bounds import offload_of

DATA = Path(__file__).parents[2] / "data" / "engines" / "vllm_cases.json.gz"
SIZE_BYTES = 64 * 2**30
# vLLM 0.33.0: the first config of each type among the cases, 32,768 tokens. kv_bytes_per_chunk and num_chunks as it
# says them; of a request, whole blocks of its full groups and sliding_window_size_in_chunks of the others
SEEN = [
    ("llama", 1, 6_225_920, 11_037, 2_048, False),
    ("gemma3_text", 1, 1_310_720, 52_428, 2_432, False),
    ("phi3", 1, 3_276_800, 20_971, 128, False),
    ("nemotron_h", 1, 17_039_360, 4_032, 37, False),
    ("gemma2", 1, 851_968, 80_659, 2_304, False),
    ("mistral", 1, 2_097_152, 32_768, 256, False),
    ("deepseek_v3", 1, 1_126_400, 61_008, 2_048, False),
    ("deepseek_v32", 1, 5_013_504, 13_706, 512, False),
    ("qwen3_next", 1, 14_155_776, 4_854, 59, False),
    ("llama4_text", 1, 786_432, 87_381, 3_584, False),
    ("gpt_oss", 1, 589_824, 116_508, 2_056, False),
    ("deepseek_v3", 2, 1_126_400, 61_008, 2_048, True),
    ("gpt_oss", 2, 589_824, 116_508, 2_056, False),
    ("qwen3_next", 2, 14_155_776, 4_854, 59, False),
]  # fmt: skip


@lru_cache(maxsize=1)
def configs() -> dict[str, Any]:
    found: dict[str, Any] = {}
    with gzip.open(DATA, "rt") as file:
        for case in json.load(file):
            found.setdefault(case["model_type"], case["config"])
    return found


def planned(model_type: str, ranks: int, **job: Any) -> EnginePlan:
    job = {"context_length": 32_768, "tensor_parallel": ranks, **job}
    return plan_cache(read_config(configs()[model_type]), engine="vllm", **job)


@pytest.mark.parametrize(("model_type", "ranks", "one", "number", "chunks", "once"), SEEN)
def test_chunks_are_as_large_and_as_many_as_vllm_says(model_type, ranks, one, number, chunks, once):
    kept = planned(model_type, ranks).offloaded
    assert kept is not None
    assert (chunk_bytes(kept, ranks), SIZE_BYTES // chunk_bytes(kept, ranks)) == (one, number)
    assert (kept.chunks, kept.same_on_every_rank) == (chunks, once)


def test_a_window_brings_back_what_it_reaches_and_a_short_request_its_whole_blocks():
    """Gemma-3-27B: ten full layers in one group, 52 that slide in six; 1,000 tokens are 62 whole blocks in each."""
    kept = planned("gemma3_text", 1, context_length=1_000).offloaded
    assert kept is not None
    assert kept.chunks == 7 * 62
    assert planned("nemotron_h", 1, prefix_caching=False).offloaded is None


def test_latents_lie_outside_once_for_all_ranks():
    """DeepSeek-V3 on two ranks with 32 GiB each: the 61,008 chunks of 64 GiB, 29 requests of 2,048."""
    spec = read_config(configs()["deepseek_v3"])
    offload = Offload(num_bytes=SIZE_BYTES // 2, bandwidth_bytes_per_s=64e9)
    job = ServingJob(model=spec, batch_size=1, context_length=32_768, engine="vllm", num_accelerators=2,
                     tensor_parallel=2, offload=offload)  # fmt: skip
    found = offload_of(plan(job))
    assert found is not None
    assert (found.chunks_kept, found.chunks_of_a_request, found.requests_kept) == (61_008, 2_048, 29)
    assert found.load_seconds == pytest.approx(2_302_672_896 / 64e9)
