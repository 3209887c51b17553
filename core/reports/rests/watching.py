"""Watch it decode: the bytes of every G's cache at the step on screen, factor by factor."""

from collections.abc import Iterator

from core.reports.closing import Rests
from core.uptraining.small_decoder import Step, Watched
from core.uptraining.small_text import KV_HEADS, SHAPE

ASSUMED = (
    f"A transformer of {SHAPE.num_layers} layers, {SHAPE.num_query_heads} query heads and head_dim {SHAPE.head_dim}, "
    "trained on this dashboard's own texts. For G = 2 and 1 its key and value heads were merged by their mean and "
    "trained on for a tenth as long.",
    "Bytes are those of its cache arrays, 16 bits; arithmetic is in numpy, at 32.",
)


def watch_rests(watched: Watched, number: int) -> Rests:
    """Cache, what the step wrote and read, and FLOPs for each byte of cache, of every G."""
    steps = watched.at(number)
    written = "; ".join(f"G = {g}: {watched.written(g, number)!r}" for g in KV_HEADS)
    return Rests(
        said=f"Prompt {watched.prompt!r}, step {number:,}. Written so far: {written}.",
        formulas=tuple(formula for g in KV_HEADS for formula in _formulas(g, steps[g])),
        assumed=ASSUMED,
    )


def _formulas(num_kv_heads: int, step: Step) -> Iterator[tuple[str, str, str]]:
    name, row = f"G = {num_kv_heads}", f"2 × {SHAPE.num_layers} layers × {num_kv_heads} × {SHAPE.head_dim}"
    yield f"{name}: the cache", f"{row} × {step.tokens} tokens × 2 B", f"{step.cache_bytes:,} B"
    yield f"{name}: this step writes", f"{row} × {step.new_tokens} tokens × 2 B", f"{step.written_bytes:,} B"
    yield (f"{name}: FLOPs a byte of cache", f"{step.attention_flops:,} FLOPs / {step.read_bytes:,} B",
           f"{step.attention_intensity:.3g}")  # fmt: skip
