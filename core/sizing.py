"""Sizing: a serving job in, a memory plan out, and the questions that come after it.

job = ServingJob(model=spec, num_kv_heads=8, batch_size=32, context_length=65_536)
plan(job).fits                  does it fit, and what takes the memory, line by line
"""

from core.accelerators import Accelerator
from core.memory_plan import MemoryPlan, plan
from core.plan_lines import PlanLine
from core.serving_job import ServingJob, WindowPattern, allowed_kv_heads, own_kv_heads
from core.sizing_error import SizingError
from core.weights import ParameterCount

__all__ = [
    "Accelerator",
    "MemoryPlan",
    "ParameterCount",
    "PlanLine",
    "ServingJob",
    "SizingError",
    "WindowPattern",
    "allowed_kv_heads",
    "own_kv_heads",
    "plan",
]
