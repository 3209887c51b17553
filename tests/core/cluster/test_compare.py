"""Devices beside each other: the arithmetic of time, bandwidth and money, with figures reckoned by hand."""

from dataclasses import replace

import pytest

from core.cluster.compare import cheapest, compared, cost_per_million
from core.cluster.points import Sweep
from core.cluster.store import DONE, KeptPoint
from core.decode.plan import InvalidJob, StepShape
from core.decode.records import RunRecord
from tests.core.decode.records import STEPS, result, run_record

SWEEP = Sweep(
    num_query_heads=8, head_dim=64, kv_heads=(8, 1), contexts=(1024,), batches=(2,), devices=("H100", "L4")
)  # fmt: skip
PRICES = {"H100": 3.6, "L4": 0.36}


def measured(kv_heads: int, milliseconds: float, **changes: object) -> RunRecord:
    """8 MB of KV bytes a KV head, on a host that reads 32 GB/s."""
    return run_record(results=(result(kv_heads, "host_kernel", milliseconds, best=True),), **changes)


def points(**changes: object) -> list[KeptPoint]:
    times = {("H100", 8): 4.0, ("H100", 1): 1.0, ("L4", 8): 20.0, ("L4", 1): 16.0}
    return [
        KeptPoint(
            point=p, state=DONE, place={"host": "n1"},
            record=measured(p.job.kv_heads[0], times[p.device, p.job.kv_heads[0]], **changes),
        )
        for p in SWEEP.points()
    ]  # fmt: skip


def test_a_million_tokens_cost_their_share_of_an_hour():
    # 3.60 an hour is 0.001 a second; a step of 0.02 s gives 2 tokens: 500,000 steps = 10,000 s
    assert cost_per_million(3.6, 0.02, 2) == pytest.approx(10.0)


def test_rows_have_time_bandwidth_and_cost():
    rows = compared(points(), prices=PRICES, num_layers=10)
    assert [(r.device, r.kv_heads, r.what) for r in rows] == [
        ("H100", 1, "attention of every layer"), ("L4", 1, "attention of every layer"),
        ("H100", 8, "attention of every layer"), ("L4", 8, "attention of every layer"),
    ]  # fmt: skip
    # 64 MB in 4 ms are 16 GB/s of 32; ten layers take 40 ms, so 500,000 steps 20,000 s at 0.001
    h100 = rows[2]
    assert h100.step_seconds == pytest.approx(0.040)
    assert h100.bandwidth_fraction == pytest.approx(0.5)
    assert h100.cost_per_million == pytest.approx(20.0)
    assert h100.sentence == (
        "H100 at G = 8, 2 × 1,024 tokens, bfloat16: 40.000 ms (attention of every layer), 50% of the bandwidth, "
        "20 a million tokens"
    )


def test_the_cheapest_is_over_devices_and_g():
    # H100 G = 1: 10 ms x 500,000 x 0.001 = 5; L4 G = 1: 160 ms x 0.0001 = 8; L4 G = 8: 200 ms, 10; H100 G = 8: 20
    rows = compared(points(), prices=PRICES, num_layers=10)
    assert [round(r.cost_per_million or 0, 6) for r in rows] == [5.0, 8.0, 20.0, 10.0]
    assert [(r.device, r.kv_heads) for r in cheapest(rows)] == [("H100", 1)]
    assert [(r.device, r.kv_heads) for r in cheapest([r for r in rows if r.kv_heads == 8])] == [("L4", 8)]


def test_of_equal_costs_more_kv_heads_are_named():
    row = compared(points(), prices=PRICES)[0]
    same = replace(row, kv_heads=8)
    assert cheapest([row, same]) == cheapest([same, row]) == [same]


def test_without_a_price_there_is_a_time_and_no_cost():
    rows = compared(points(), prices={"L4": 0.36})
    assert {(r.device, r.cost_per_million is None, r.why_no_cost) for r in rows} == {
        ("H100", True, "no price given"), ("L4", False, ""),
    }  # fmt: skip
    assert {r.device for r in cheapest(rows)} == {"L4"}


def test_a_whole_step_counts_where_one_was_timed_and_no_cost_where_it_was_scaled():
    whole = next(r for r in compared(points(steps=STEPS), prices=PRICES) if (r.device, r.kv_heads) == ("H100", 8))
    # ten layers of 12 ms and ends of 5 ms
    assert (whole.what, whole.step_seconds) == ("whole step", pytest.approx(0.125))
    scaled = compared(points(steps=STEPS, scale=4.0), prices=PRICES)
    assert {r.cost_per_million for r in scaled} == {None}
    assert "scaled down to fit" in scaled[0].why_no_cost
    attention = compared(points(scale=4.0), prices=PRICES)
    assert attention[0].step_seconds == pytest.approx(0.004)


def test_attention_alone_is_no_rival_of_a_whole_step():
    """A whole step was timed at G = 8 alone: attention of the ten layers at G = 1 is not what a token costs."""
    shape = StepShape(num_layers=10, hidden_size=512, intermediate_size=1024, vocab_size=1000)
    found = [replace(p, point=replace(p.point, job=replace(p.point.job, step=shape))) for p in points()]
    whole = [replace(p, record=replace(p.record, steps=STEPS)) if p.point.job.kv_heads == (8,) else p for p in found]
    rows = compared(whole, prices=PRICES)
    assert {(r.kv_heads, r.what) for r in rows} == {(8, "whole step"), (1, "attention of every layer")}
    assert {r.kv_heads: round(r.step_seconds, 6) for r in rows if r.device == "H100"} == {1: 0.01, 8: 0.125}
    assert [r.kv_heads for r in cheapest(rows)] == [8]


def test_more_than_the_bandwidth_is_a_limit_that_was_measured_too_low():
    row = replace(compared(points(), prices={})[0], bandwidth_fraction=1.79)
    assert row.share == "limit measured too low"
    assert "179" not in row.sentence


@pytest.mark.parametrize("price", [0.0, -1.0, float("nan"), float("inf")])
def test_a_price_is_a_positive_number(price: float):
    with pytest.raises(InvalidJob, match="the price of H100 is"):
        compared(points(), prices={"H100": price})
