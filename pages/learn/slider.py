"""G is a slider from 1 to H: slide it, see what moves with it, and read what is published along the way."""

from core.models.head_sharing import divisors
from pages.learn.screens.lesson import Stage, run
from pages.learn.screens.quality import choose_dots

HEADS = (8, 12, 32, 40, 64)


def slide(stage: Stage) -> None:
    """The layout itself, for the H and G of the two sliders."""
    first, second = stage.controls(1, 2)
    heads = first.select_slider("Query heads H", HEADS, 32, key=stage.key("h"), bind="query-params")
    options = divisors(heads)
    between = options[len(options) // 2]
    kv_heads = second.select_slider("KV heads G", options, between, key=stage.key(f"g{heads}"), bind="query-params")
    stage.layout(heads, kv_heads)


def moves(stage: Stage) -> None:
    """Four small curves, and the dot of the chosen G on each."""
    first, second = stage.controls(2, 1)
    kv_heads = first.select_slider("KV heads G of 40", divisors(40), 8, key=stage.key("g"), bind="query-params")
    ranks = second.select_slider("GPUs", (1, 2, 4, 8), 8, key=stage.key("ranks"), bind="query-params")
    stage.picture("what_moves", num_kv_heads=kv_heads, ranks=ranks)


run("slider", {"slide": slide, "moves": moves, "quality": lambda stage: choose_dots(stage, only_kind=False)})
