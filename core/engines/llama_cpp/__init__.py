"""llama.cpp: cells of one token for the whole context of all slots, allocated at the start.

What it keeps follows from the GGUF header and the settings alone (core.models.gguf reads the header). Rules:
create_memory and the caches of llama.cpp build 11434, held against 68 headers of 37 architectures from builds 11434
and 11549.
"""

from core.engines.llama_cpp.plan import VERSION, compute_buffer, plan, translated

__all__ = ["VERSION", "compute_buffer", "plan", "translated"]
