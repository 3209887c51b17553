"""The pictures of the sizing page, from their rows: geometry that can be checked by hand, and words for every mark."""

from itertools import combinations
from math import log2, log10

import pytest

from core.figures.palette import DARK, LIGHT
from core.figures.sizing import CELL, CELL_BUDGETS, label_rows, option_rows, options_alt_text, options_chart
from core.figures.sizing_limits import frontier_chart, frontier_rows, hold_chart
from core.figures.sizing_ranks import node_bytes_per_token, rank_rows, ranks_alt_text, ranks_chart, splits
from core.figures.sizing_speed import step_chart, step_rows
from core.models.attention import LatentAttention
from core.serving.job import ServingJob
from core.serving.model_shapes import LLAMA_2_13B
from core.serving.options import option_grid
from core.serving.roofline import decode_bound
from core.serving.sweep import FrontierPoint, frontier
from core.serving.traffic import lognormal_traffic
from core.serving.traffic_fit import fit_traffic

JOB = ServingJob(model=LLAMA_2_13B, batch_size=32, context_length=65_536)
GRID = option_grid(JOB)


def test_segments_follow_each_other_and_end_where_the_total_ends():
    rows = [row for row in option_rows(GRID) if row["g"] == "G = 1 · MQA" and row["cache"] == "bf16 cache"]
    assert [row["part"] for row in rows] == ["weights", "KV cache", "reserve"]
    assert rows[0]["right"] == rows[1]["left"]
    assert rows[1]["right"] == rows[2]["left"]
    plan = GRID.at(1, 16).plan
    assert rows[2]["right"] == pytest.approx(plan.total_bytes / plan.budget_bytes / CELL_BUDGETS)
    assert [row["size"] for row in rows] == ["21.9 GB", "42.9 GB", "2.0 GB"]
    assert all(row["fits"] for row in rows)


def test_bars_far_beyond_the_budget_are_cut_at_the_cell():
    rows = [row for row in option_rows(GRID) if row["g"] == "G = 40 · MHA" and row["cache"] == "bf16 cache"]
    assert rows[-1]["right"] == CELL  # 1,746 GB against 77
    labels = [row for row in label_rows(GRID) if row["g"] == "G = 40 · MHA"]
    assert [row["says"] for row in labels] == ["1.75 TB →", "887.0 GB →", "457.5 GB →"]
    assert all(row["inside"] for row in labels)


def test_what_fits_is_ticked_right_of_the_budget_line():
    labels = label_rows(GRID)
    ticked = [(row["g"], row["says"]) for row in labels if row["fits"]]
    assert ticked == [
        ("G = 1 · MQA", "✓ 66.9 GB"), ("G = 1 · MQA", "✓ 45.4 GB"), ("G = 1 · MQA", "✓ 34.7 GB"),
        ("G = 2", "✓ 67.0 GB"), ("G = 2", "✓ 45.5 GB"), ("G = 4", "✓ 67.2 GB"),
    ]  # fmt: skip
    assert labels[0]["place"] > 1 / CELL_BUDGETS


@pytest.mark.parametrize("palette", [LIGHT, DARK])
def test_the_options_chart_marks_the_choice_and_names_the_budget(palette):
    spec = options_chart(GRID, palette, chosen=1, width_bits=16).to_dict()
    words = str(spec)
    assert "budget 81,559 MiB × 0.9 = 77.0 GB" in words
    marked, bare = (
        len(options_chart(GRID, palette, **kind).to_dict()["layer"]) for kind in ({"chosen": 1, "width_bits": 16}, {})
    )
    assert marked == bare + 1
    assert "configure" not in spec


def test_the_options_in_words():
    said = options_alt_text(GRID)
    assert said.startswith("Memory of each G against the budget of 76.97 GB. bf16 cache: G = 1 · MQA 66.9 GB fits")
    assert "4-bit" not in said
    assert "G = 5 78.0 GB does not fit" in said


def test_the_frontier_has_a_label_for_every_g_and_the_job_as_a_dot():
    points = frontier(JOB)
    rows = frontier_rows(points, 40)
    between = [f"G = {g}" for g in (2, 4, 5, 8, 10, 20)]
    assert [row["label"] for row in rows if "label" in row] == ["G = 1 · MQA", *between, "G = 40 · MHA"]
    assert all(row["batch"] > 0 for row in rows)
    at = {row["g"]: row["batch"] for row in rows if row["context"] == 65_536}
    assert at == {1: 39, 2: 19, 4: 9, 5: 7, 8: 4, 10: 3, 20: 1}  # parameters dropped, so one more than 36, 18, 9, 7, 4
    spec = frontier_chart(
        points, LIGHT, num_query_heads=40, chosen=8, context_length=65_536, batch_size=32, fits=False
    ).to_dict()
    assert "this job: 32 × 65,536" in str(spec)
    assert {layer["encoding"]["y"]["scale"]["type"] for layer in spec["layer"] if "y" in layer["encoding"]} == {"log"}


def test_g_that_hold_the_same_share_a_line():
    # on eight ranks G = 1, 2, 4 and 8 each keep one KV head a rank; only their K and V projections differ
    points = frontier(JOB.where(num_accelerators=8, tensor_parallel=8))
    assert [row["label"] for row in frontier_rows(points, 40, 8) if "label" in row] == [
        "G = 1, 2, 4, 8",
        "G = 40 · MHA",
    ]


def test_the_hold_chart_marks_three_batches():
    traffic = lognormal_traffic(mean=16_384, p95=40_000, output_share=0.25, longest_context=65_536)
    found = fit_traffic(JOB.where(num_kv_heads=8, kv_bits=8), traffic).occupancy
    words = str(hold_chart(found, LIGHT).to_dict())
    assert f"{found.holding_batch} hold at 99%" in words
    assert "this job: 32" in words
    assert f"static: {found.static_batch}" in words


def test_llama_2_70b_costs_the_same_at_g_1_to_8_on_eight_gpus():
    # 80 layers x 2 x 128 x 2 bytes = 40,960 bytes per token of one KV head; node bytes of section 3's table
    found = splits(64, (1, 2, 4, 8, 16, 64), 8)
    totals = [node_bytes_per_token(split, bytes_per_head=40_960) for split in found]
    assert totals == [327_680, 327_680, 327_680, 327_680, 655_360, 2_621_440]
    first = [row for row in rank_rows(found) if row["g"] == "G = 2" and row["first"]]
    assert [row["label"] for row in first] == ["1", "2"]
    copies = [row for row in rank_rows(found) if row["g"] == "G = 1" and not row["first"]]
    assert len(copies) == 7
    assert "G = 8: KV heads on each 1, copies of each 1, 320 KiB" in ranks_alt_text(found, bytes_per_head=40_960)
    assert "KV per token, all GPUs" in str(ranks_chart(found, LIGHT, bytes_per_head=40_960, chosen=8).to_dict())


def test_more_heads_than_can_be_drawn_are_counted():
    rows = rank_rows(splits(64, (64,), 2))
    assert [row["label"] for row in rows] == ["32 heads", "32 heads"]


def test_the_step_is_two_bars_and_the_longer_is_the_bound():
    # 25.70 GB (26.03 less the embedding's unread rows) + 42.95 GB over 3.35 TB/s = 7.67 + 12.82 ms
    bound = decode_bound(JOB.where(num_kv_heads=1, freed_parameters="spent"))
    rows = step_rows(bound)
    reading = [row for row in rows if row["side"] == "read memory"]
    assert [round(row["right"], 1) for row in reading] == [7.7, 20.5]
    assert reading[1]["total"] == "20.5 ms"
    assert "KV cache 12.8 ms" in str(step_chart(bound, LIGHT).to_dict())


def test_a_side_whose_rate_is_unknown_is_left_out():
    bound = decode_bound(JOB.where(num_kv_heads=1, accelerator="m4-max", num_accelerators=1))
    assert {row["side"] for row in step_rows(bound)} == {"read memory"}


def test_a_model_without_the_dial_is_one_row():
    from core.models.spec import ModelDimensions, ModelSpec
    from core.serving.weights import ParameterCount

    latent = ModelSpec(
        model_type="deepseek_v2",
        layers=(LatentAttention(num_query_heads=16, latent_dim=512, rope_dim=64),) * 27,
        dimensions=ModelDimensions(hidden_size=2_048),
    )
    count = ParameterCount(total=15_706_484_224, source="typed", sentence="Typed in.")
    grid = option_grid(ServingJob(model=latent, batch_size=8, context_length=8_192, parameter_count=count))
    assert {row["g"] for row in option_rows(grid)} == {"as published"}
    assert options_chart(grid, LIGHT).to_dict()["layer"]


def test_names_of_lines_that_run_flat_and_close_stand_apart():
    """States rule at short contexts: all G hold about 180 there, and part from each other at long ones."""
    batches = {1: (182, 181, 181, 178, 172, 150), 8: (180, 170, 160, 120, 80, 40), 16: (176, 150, 120, 70, 30, 15),
               32: (165, 150, 80, 40, 18, 8)}  # fmt: skip
    points = [
        FrontierPoint(num_kv_heads=g, context_length=1024 * 2**at, largest_batch=batch)
        for g, line in batches.items() for at, batch in enumerate(line)
    ]  # fmt: skip
    named = [(row["context"], row["batch"]) for row in frontier_rows(points, 32) if "label" in row]
    assert len(named) == 4
    for (context, batch), (other, there) in combinations(named, 2):
        if abs(log2(context / other)) <= 1:  # neighbours: 17 of 380 px, on an axis from 0.8 to 1.5 x 182
            assert abs(log10(batch / there)) >= 17 / 380 * log10(1.5 * 182 / 0.8)
