"""The reasoned answers of the cases as rules: conditions that the reader sets, and what follows from them."""

from dataclasses import dataclass

CONDITIONS = {  # of MqaPlan, as they are asked
    "split_by_heads": "Split by heads over two or more GPUs",
    "more_than_a_few_billion": "More than a few billion parameters",
    "reasoning_or_long_inputs": "Reasoning or long inputs matter",
    "low_bit_cache": "A low-bit cache is planned",
}


@dataclass(frozen=True, kw_only=True)
class MqaPlan:
    """What a team says about its MQA proposal."""

    split_by_heads: bool
    more_than_a_few_billion: bool
    reasoning_or_long_inputs: bool
    low_bit_cache: bool


def verdict_on_mqa(plan: MqaPlan) -> tuple[str, tuple[str, ...]]:
    """'Push back', 'Test first' or 'Agree', and why: each reason is one condition that holds.

    A split by heads settles it alone, since it takes the saving over G = GPUs away; the other reasons are about
    quality, where one asks for the cheap test and two or more weigh against.
    """
    reasons = []
    if plan.split_by_heads:
        reasons.append("Split by heads, MQA's one head is copied to every GPU: it saves nothing over G = GPUs.")
    if plan.more_than_a_few_billion:
        reasons.append("The losses measured on larger models are not all small.")
    if plan.reasoning_or_long_inputs:
        reasons.append("Hard benchmarks and long inputs are where MQA lost most, or diverged.")
    if plan.low_bit_cache:
        reasons.append("One head leaves less room for low bits: redundancy can be spent once.")
    if plan.split_by_heads or len(reasons) >= 2:
        return "Push back", tuple(reasons)
    if reasons:
        return "Test first", tuple(reasons)
    return "Agree", ("One device, a small model, nothing else asked of the cache: the saving is real.",)
