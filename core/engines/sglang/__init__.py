"""SGLang 0.5.23 on an H100: cells of one token, its window pool, its state slots, and the most requests at once.

layout.py compiles a model once, sizes.py does a job's arithmetic on it, plan.py says it in the words of every engine.
"""

from core.engines.sglang.layout import layout_of
from core.engines.sglang.plan import VERSION, jobs_of, plan, sizes_of, translated
from core.engines.sglang.shapes import Layout
from core.engines.sglang.sizes import Job, Sizes

__all__ = ["VERSION", "Job", "Layout", "Sizes", "jobs_of", "layout_of", "plan", "sizes_of", "translated"]
