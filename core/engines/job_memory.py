"""What a whole job takes of an engine's memory: batch_size requests of one length, on one rank."""

from core.engines.plan import EnginePlan


def pool_share_bytes(plan: EnginePlan, *, context_length: int) -> float | None:
    """What one request of that length takes away from SGLang's pools: its tokens with the window tokens that are set
    aside beside each of them whether it fills them or not, and its slots; None for an engine without such pools."""
    if plan.engine != "sglang" or plan.bytes_per_token is None:
        return None
    slots = sum(
        (group.page_bytes or 0) * (group.pages_per_request or 0) for group in plan.groups if group.kind == "state"
    )
    return plan.bytes_per_token * context_length + slots


def held_bytes(plan: EnginePlan, *, batch_size: int) -> int:
    """Bytes that the batch takes, states included, for a plan that was asked with the job's context_length.

    llama.cpp allocates all slots at the start and mlx-lm answers for a whole batch, so their plans are the job; SGLang
    hands out pages of its pools and slots of its states; the others take request_bytes for each request.
    """
    if plan.engine == "mlx":  # of the whole batch, at its fullest moment
        return plan.request_bytes or 0
    if plan.engine == "llama.cpp":
        states = sum(group.filled_bytes or 0 for group in plan.groups if group.kind == "state")
        return (plan.request_bytes or 0) + states
    if plan.request_bytes is not None:
        return plan.request_bytes * batch_size - (plan.shared_bytes or 0) * (batch_size - 1)
    return batch_size * sum((group.page_bytes or 0) * (group.pages_per_request or 0) for group in plan.groups)
