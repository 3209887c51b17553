"""Case: Falcon-7B shipped MQA. What it bought, what that was worth, which doors it closed, what its makers did next."""

from pages.learn.screens.lesson import Stage, run, thousands

BATCHES = (1, 2, 4, 8, 16, 32, 64, 128, 256)
GPUS = tuple(range(2, 17))


def worth(stage: Stage) -> None:
    """Weights and cache at the chosen batch and length."""
    first, second = stage.controls(1, 1)
    batch = first.select_slider("Batch", BATCHES, 1, key=stage.key("batch"), bind="query-params")
    context = second.select_slider(
        "Tokens", (256, 512, 1_024, 2_048), 2_048, format_func=thousands, key=stage.key("tokens"), bind="query-params"
    )
    stage.picture("worth", batch_size=batch, context_length=context)


def shards(stage: Stage) -> None:
    """The query heads of each Falcon over the chosen number of GPUs."""
    (first,) = stage.controls(1)
    gpus = first.select_slider("GPUs, split by heads", GPUS, 8, key=stage.key("gpus"), bind="query-params")
    stage.picture("divides", num_gpus=gpus)


def bits(stage: Stage) -> None:
    """KV heads against bits: what one head in few bits would cost, and what else costs the same."""
    first, second = stage.controls(1, 1)
    heads = first.select_slider("KV heads G", (1, 2, 4, 8), 1, key=stage.key("g"), bind="query-params")
    width = second.select_slider("Bits", (2, 4, 8, 16), 4, key=stage.key("bits"), bind="query-params")
    stage.picture("heads_and_bits", num_kv_heads=heads, bits=width)


def answer(stage: Stage) -> None:
    """The bet again, at the reader's batch."""
    stage.said_before()
    worth(stage)


run(
    "case-falcon",
    {
        "situation": lambda stage: stage.layout(71, 1, 64),
        "worth": worth,
        "shards": shards,
        "bits": bits,
        "family": lambda stage: stage.picture("falcons"),
        "answer": answer,
    },
)
