"""The headline: a 13B at 65,536 tokens, batch 32, on one H100 80 GB. Expected values are hand arithmetic.

KV bytes per token = 2 x 40 layers x 128 x 2 bytes x G = 20,480 G; 2,097,152 tokens make 42,949,672,960 G = 40 GiB x G.
Budget = floor(81,559 x 2^20 x 0.9) = 76,968,728,985 bytes.
"""

import pytest

from core.serving.inverse import largest_kv_heads
from core.serving.job import ServingJob
from core.serving.memory_plan import MemoryPlan, plan
from core.units import GIB
from tests.core.serving.sizing_models import LLAMA_2_13B

DIVISORS_OF_40 = (1, 2, 4, 5, 8, 10, 20, 40)


def headline(num_kv_heads: int, kv_bits: int) -> MemoryPlan:
    return plan(
        ServingJob(
            model=LLAMA_2_13B, num_kv_heads=num_kv_heads, batch_size=32, context_length=65_536, kv_bits=kv_bits,
            weight_bits=16, accelerator="h100-sxm", num_accelerators=1, tensor_parallel=1, memory_utilization=0.9,
            runtime_reserve_bytes=2e9, freed_parameters="dropped",
        )
    )  # fmt: skip


@pytest.mark.parametrize("num_kv_heads", DIVISORS_OF_40)
def test_cache_is_forty_gib_per_kv_head_in_bf16(num_kv_heads: int) -> None:
    found = headline(num_kv_heads, 16)
    assert found.kv_payload_bytes == found.kv_reserved_bytes == 40 * GIB * num_kv_heads


def test_parameters_at_the_models_own_g() -> None:
    found = headline(40, 16)
    assert found.parameters.total == 13_015_864_320
    assert found.weight_bytes == 26_031_728_640


def test_budget_and_reserve() -> None:
    found = headline(8, 16)
    assert found.budget_bytes == 76_968_728_985
    assert found.runtime_bytes == 2_000_000_000
    # 8,192 tokens x (2 x 5,120 + 3 x (13,824)) x 2 bytes: below the reserve, so the 2 GB hold
    assert found.workspace_bytes == 847_249_408


@pytest.mark.parametrize(("kv_bits", "fitting"), [(16, {1}), (8, {1, 2}), (4, {1, 2, 4})])
def test_which_g_fit(kv_bits: int, fitting: set[int]) -> None:
    assert {g for g in DIVISORS_OF_40 if headline(g, kv_bits).fits} == fitting
    assert largest_kv_heads(headline(1, kv_bits).job) == max(fitting)


def test_g5_misses_by_about_one_gb_at_four_bits() -> None:
    """22,361,712,640 + 53,687,091,200 + 2,000,000,000 - 76,968,728,985."""
    assert headline(5, 4).headroom_bytes == -1_080_074_855


def test_total_at_g1() -> None:
    """10,971,141,120 x 2 + 40 x 2^30 + 2 x 10^9 = 66.89 GB; headroom 10.08 GB."""
    found = headline(1, 16)
    assert found.total_bytes == 66_891_955_200
    assert found.headroom_bytes == 10_076_773_785
