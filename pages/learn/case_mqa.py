"""Case: your team wants MQA. Four questions in the order that settles it soonest, then the verdict from conditions."""

from core.learning.verdicts import CONDITIONS, MqaPlan, verdict_on_mqa
from pages.learn.screens.lesson import Stage, run, thousands
from pages.learn.screens.quality import choose_dots

BATCHES = (1, 2, 4, 8, 16, 32, 64, 128, 256)
CONTEXTS = (1_024, 4_096, 16_384, 65_536)
KV_HEADS = (1, 2, 4, 5, 8, 10, 20, 40)


def situation(stage: Stage) -> None:
    """What is proposed, drawn: the 13B's 40 heads with the G of the control."""
    (first,) = stage.controls(1)
    kv_heads = first.select_slider(
        "KV heads G of 40", (1, 2, 4, 5, 8, 10, 20, 40), 1, key=stage.key("g"), bind="query-params"
    )
    stage.layout(40, kv_heads)


def traffic(stage: Stage) -> None:
    """Bytes of a step for MHA, G = 8 and MQA."""
    first, second = stage.controls(1, 1)
    batch = first.select_slider("Batch", BATCHES, 8, key=stage.key("batch"), bind="query-params")
    context = second.select_slider(
        "Context, tokens", CONTEXTS, 4_096, format_func=thousands, key=stage.key("context"), bind="query-params"
    )
    stage.picture("traffic", batch_size=batch, context_length=context)


def shards(stage: Stage) -> None:
    """Copies over the chosen number of GPUs."""
    (first,) = stage.controls(1)
    ranks = first.select_slider("GPUs, split by heads", (1, 2, 4, 8), 8, key=stage.key("ranks"), bind="query-params")
    stage.picture("copies", shape="13B", ranks=ranks, chosen=1)


def budget(stage: Stage) -> None:
    """One price, several cells."""
    first, second = stage.controls(1, 1)
    heads = first.select_slider("KV heads G", (1, 2, 4, 8), 1, key=stage.key("cell_g"), bind="query-params")
    bits = second.select_slider("Bits", (2, 4, 8, 16), 16, key=stage.key("cell_bits"), bind="query-params")
    stage.picture("heads_and_bits", num_kv_heads=heads, bits=bits)


def answer(stage: Stage) -> None:
    """Conditions to tick, and the verdict that follows."""
    stage.said_before()
    right = stage.right
    right.markdown("Tick what holds for the team.")
    plan = MqaPlan(
        split_by_heads=right.toggle(CONDITIONS["split_by_heads"], key=stage.key("split"), bind="query-params"),
        more_than_a_few_billion=right.toggle(
            CONDITIONS["more_than_a_few_billion"], value=True, key=stage.key("large"), bind="query-params"
        ),
        reasoning_or_long_inputs=right.toggle(
            CONDITIONS["reasoning_or_long_inputs"], key=stage.key("hard"), bind="query-params"
        ),
        low_bit_cache=right.toggle(CONDITIONS["low_bit_cache"], key=stage.key("bits"), bind="query-params"),
    )
    verdict, reasons = verdict_on_mqa(plan)
    say = {"Push back": right.warning, "Agree": right.success}.get(verdict, right.info)
    say(f"**{verdict}.**\n\n" + "\n".join(f"- {reason}" for reason in reasons))


run(
    "case-mqa",
    {
        "situation": situation,
        "traffic": traffic,
        "shards": shards,
        "quality": lambda stage: choose_dots(stage, only_kind=True),
        "budget": budget,
        "answer": answer,
    },
)
