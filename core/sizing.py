"""Sizing: a serving job in, a memory plan out, and the questions that come after it. This is the face for scripts.

job = ServingJob(model=spec, num_kv_heads=8, batch_size=32, context_length=65_536)
plan(job).fits                  does it fit, and what takes the memory, line by line
largest_batch(job)              and the other inverse questions: ints that explain themselves
ways_to_fit(job)                what would make it fit, with the cost in quality and speed
"""

from core.errors import SizingError
from core.hardware.accelerators import Accelerator
from core.serving.inverse import (
    Answer,
    fewest_accelerators,
    fewest_accelerators_with_copies,
    fewest_kv_bits,
    largest_batch,
    largest_kv_heads,
    longest_context,
)
from core.serving.job import ServingJob
from core.serving.memory_plan import MemoryPlan, PlanLine, plan
from core.serving.model_shapes import LLAMA_2_13B
from core.serving.ways_to_fit import Change, WayToFit, ways_to_fit
from core.serving.weights import ParameterCount
from core.serving.what_if import WindowPattern, allowed_kv_heads, own_kv_heads

__all__ = [
    "LLAMA_2_13B",
    "Accelerator",
    "Answer",
    "Change",
    "MemoryPlan",
    "ParameterCount",
    "PlanLine",
    "ServingJob",
    "SizingError",
    "WayToFit",
    "WindowPattern",
    "allowed_kv_heads",
    "fewest_accelerators",
    "fewest_accelerators_with_copies",
    "fewest_kv_bits",
    "largest_batch",
    "largest_kv_heads",
    "longest_context",
    "own_kv_heads",
    "plan",
    "ways_to_fit",
]
