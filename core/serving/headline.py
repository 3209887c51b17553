"""The question Headroom opens on: a 13B model, 64k context, batch 32, one 80 GB accelerator. Which G fits?"""

from dataclasses import dataclass

from core.serving.job import ServingJob
from core.serving.memory_plan import plan
from core.serving.model_shapes import LLAMA_2_13B
from core.serving.tensor_parallel import divisors

KV_BITS = (16, 8, 4)
PRECISION = {16: "bf16", 8: "8 bits", 4: "4 bits"}


@dataclass(frozen=True, kw_only=True)
class HeadlinePoint:
    """One G at one precision of the cache: bytes on the accelerator, and whether they fit its budget."""

    num_kv_heads: int
    kv_bits: int
    total_bytes: int
    budget_bytes: int
    fits: bool


def headline_points() -> list[HeadlinePoint]:
    """Every divisor of 40 at every precision, G ascending, bits descending."""
    points = []
    for num_kv_heads in divisors(LLAMA_2_13B.layers[0].num_query_heads):  # type: ignore[union-attr]
        for bits in KV_BITS:
            job = ServingJob(
                model=LLAMA_2_13B, num_kv_heads=num_kv_heads, batch_size=32, context_length=65_536, kv_bits=bits
            )
            result = plan(job)
            points.append(
                HeadlinePoint(
                    num_kv_heads=num_kv_heads,
                    kv_bits=bits,
                    total_bytes=result.total_bytes,
                    budget_bytes=result.budget_bytes,
                    fits=result.fits,
                )
            )
    return points


def largest_fitting(points: list[HeadlinePoint]) -> dict[int, int]:
    """KV bits to the largest G that fits; a precision at which none fits is left out."""
    fitting = [point for point in points if point.fits]
    return {
        bits: max(p.num_kv_heads for p in fitting if p.kv_bits == bits)
        for bits in KV_BITS
        if any(p.kv_bits == bits for p in fitting)
    }


def headline_sentence(points: list[HeadlinePoint]) -> str:
    """The verdict in one sentence."""
    largest = largest_fitting(points)
    parts = [f"G = {g} in {PRECISION[bits]}" for bits, g in largest.items()]
    return f"At most {', '.join(parts)}." if parts else "No G fits."
