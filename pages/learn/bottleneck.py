"""FLOPs are not the bottleneck: a step's reads, the roof, what a batch shares, where the cache takes over, experts."""

from pages.learn.screens.lesson import Stage, run, thousands

BATCHES = (1, 2, 4, 8, 16, 32, 64, 128, 256)
CONTEXTS = (1_024, 4_096, 16_384, 65_536)
KV_HEADS = (40, 8, 4, 1)


def batch_alone(stage: Stage) -> dict[str, int]:
    """The same batch where neither context nor G matters."""
    (column,) = stage.controls(1)
    batch = column.select_slider("Batch", BATCHES, 1, key=stage.key("batch"), bind="query-params")
    return {"batch_size": batch}


def job(stage: Stage, *, kv_heads: bool) -> dict[str, int]:
    """Batch, context and, where it matters, G: the same controls on every step, so that a job stays as it was set."""
    first, second, *third = stage.controls(*((2, 2, 3) if kv_heads else (1, 1)))
    batch = first.select_slider("Batch", BATCHES, 1, key=stage.key("batch"), bind="query-params")
    context = second.select_slider(
        "Context, tokens", CONTEXTS, 4_096, format_func=thousands, key=stage.key("context"), bind="query-params"
    )
    chosen = {"batch_size": batch, "context_length": context}
    for column in third:
        chosen["num_kv_heads"] = column.segmented_control(
            "KV heads G of 40", KV_HEADS, default=40, required=True, key=stage.key("g"), bind="query-params"
        )
    return chosen


run(
    "bottleneck",
    {
        "price": lambda stage: stage.picture("price", **job(stage, kv_heads=True)),
        "roof": lambda stage: stage.picture("roof", **job(stage, kv_heads=True)),
        "share": lambda stage: stage.picture("share", **job(stage, kv_heads=True)),
        "crossing": lambda stage: stage.picture("crossing", **job(stage, kv_heads=False)),
        "experts": lambda stage: stage.picture("experts", **batch_alone(stage)),
    },
)
