"""The bar of one accelerator's memory: its words lie beside the budget's line, never under it."""

import pytest

from core.figures.serve_memory import part_rows
from core.serving.job import ServingJob
from core.serving.model_shapes import LLAMA_2_13B
from core.serving.serve import serve


@pytest.mark.parametrize(
    ("utilization", "left", "right"),
    # 13,015,864,320 weights of 2 bytes are 26.03 GB, and the budget is a share of 81,559 MiB.
    [(0.9, 0.0, 26.03), (0.25, 0.0, 21.38), (0.1, 8.55, 26.03)],
    ids=["whole", "before the line", "behind it"],
)
def test_words_take_the_longer_piece_beside_the_budget(utilization: float, left: float, right: float) -> None:
    job = ServingJob(model=LLAMA_2_13B, batch_size=1, context_length=4_096, memory_utilization=utilization)
    row = next(row for row in part_rows(serve(job)) if row["part"] == "weights")
    assert (row["words_left"], row["words_right"]) == pytest.approx((left, right), abs=0.01)
    assert (row["left"], row["right"]) == pytest.approx((0.0, 26.03), abs=0.01)
