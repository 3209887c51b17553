"""MLX: what the cache arrays of mlx-lm 0.32.2 take while a batch of equal requests is read and answered.

Nothing is reserved ahead. Room grows in steps of 256 tokens, a window layer keeps its whole chunk while the prompt is
read, states are constant, and a batch is as long as its longest prompt. request_bytes is the whole batch at its fullest
moment; moment="end" asks for what is left after the last token.
"""

from core.engines.mlx.planner import VERSION, plan, translated

__all__ = ["VERSION", "plan", "translated"]
