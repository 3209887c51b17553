"""Which layers each stage of a pipeline holds, where they do not divide: the one thing in which engines differ.

vLLM 0.33 (distributed/utils.py, get_pp_indices) gives the layers that are left over to the stages before the last, from
the back; SGLang 0.5.23 (its file of the same name) gives them to the last ones.
"""


def stage_layers(num_layers: int, stages: int, *, last_takes_more: bool) -> list[tuple[int, int]]:
    """First layer of each stage and the one after its last; stages is at most num_layers."""
    each, left = divmod(num_layers, stages)
    end = stages if last_takes_more else stages - 1
    found, first = [], 0
    for stage in range(stages):
        after = first + each + (end - left <= stage < end)
        found.append((first, after))
        first = after
    return found
