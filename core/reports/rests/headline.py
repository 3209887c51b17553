"""The overview: the job that it opens on, each line of the plans that just fit, and what they rest on."""

from core.reports.closing import Rests
from core.reports.decision_record import assumptions
from core.serving.headline import PRECISION, headline_points, largest_fitting
from core.serving.job import ServingJob
from core.serving.memory_plan import plan
from core.serving.model_shapes import LLAMA_2_13B


def headline_rests() -> Rests:
    """For each width of the cache the largest G that fits, line by line."""
    fits = largest_fitting(headline_points())
    plans = {
        f"G = {g} in {PRECISION[bits]}": plan(
            ServingJob(model=LLAMA_2_13B, num_kv_heads=g, batch_size=32, context_length=65_536, kv_bits=bits)
        )
        for bits, g in fits.items()
    }
    formulas = [
        (f"{name}: {line.label}", line.substituted, f"{line.num_bytes:,} B")
        for name, made in plans.items()
        for line in made.lines
    ]
    first = next(iter(plans.values()))
    return Rests(
        said="Llama-2 13B's shape with another G, 64k context, batch 32, one H100 80 GB: which G fits?",
        formulas=tuple(formulas),
        assumed=tuple(assumptions(first).split("\n\n")),
    )
