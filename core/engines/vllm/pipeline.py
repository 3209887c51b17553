"""The groups of one stage of a pipeline: those of the whole model, with the stage's own layers left in them.

States _project_kv_cache_groups_to_worker and get_kv_cache_configs of vllm/v1/core/kv_cache_planning.py, vLLM 0.33.0. A
request pins as many blocks of every group as without a pipeline; a block is as large as the stage's layers of its
longest group, and every stage takes as many blocks as the stage that has the fewest. A draft runs on the last stage
(v1/worker/gpu/model_runner.py builds the speculator where is_last_pp_rank), so its layers stand behind that stage's.
"""

from collections.abc import Sequence

from core.engines.plan import EngineError
from core.engines.stage_layers import stage_layers
from core.engines.vllm.caches import Kind, LayerCache
from core.engines.vllm.groups import Group, counted, grouped, with_equal_pages


def stage_groups(
    by_layer: Sequence[Sequence[LayerCache]], stages: int, stage: int | None, drafted: Sequence[LayerCache] = ()
) -> tuple[Group, ...]:
    """The groups of a stage; None: of the stage whose blocks are the largest. Raises EngineError for a stage that
    caches nothing, whose blocks vLLM does not count, or holds no layer. drafted: layers of a draft, on the last."""
    if stages > len(by_layer):
        raise EngineError(
            f"pipeline_parallel is {stages}, and the model has {len(by_layer)} layers. Give fewer stages."
        )
    bounds = stage_layers(len(by_layer), stages, last_takes_more=False)
    asked = range(stages) if stage is None else (stage,)
    layers = (*by_layer, tuple(drafted))
    if any(cache.kind is Kind.STATE for caches in by_layer for cache in caches):
        _check_attends(by_layer, bounds)
    ends = [(first, last + (one == stages - 1)) for one, (first, last) in enumerate(bounds)]
    found = [_projected(layers, *ends[one]) for one in asked]
    made = max(found, key=lambda groups: max((group.page_bytes for group in groups), default=0))
    if not made or not max(group.page_bytes for group in made):
        raise EngineError(
            "No layer of this stage caches anything, so vLLM 0.33 plans no block for it. Give fewer stages."
        )
    return made


def _check_attends(by_layer: Sequence[Sequence[LayerCache]], bounds: Sequence[tuple[int, int]]) -> None:
    """Raises EngineError where recurrent layers lie on a stage that has none that attends, though the model has some:
    its worker finds no page to align the states with, so that they form groups of their own (platforms/interface.py).
    """
    attends = [any(cache.kind is not Kind.STATE for cache in caches) for caches in by_layer]
    without = [one for one, (first, last) in enumerate(bounds) if not any(attends[first:last])]
    if any(attends) and without:
        raise EngineError(
            f"Stage {without[0]} of {len(bounds)} has recurrent layers and none that attends: what vLLM 0.33 keeps "
            "there is not stated here. Give fewer stages."
        )


def _projected(by_layer: Sequence[Sequence[LayerCache]], first: int, last: int) -> tuple[Group, ...]:
    """A kind of layer that is cut into several groups gives each group every n-th of its layers."""
    every = [cache for caches in by_layer for cache in caches]
    here = [first <= number < last for number, caches in enumerate(by_layer) for _ in caches]
    whole = grouped(every)
    if len(whole) < 2:
        left = counted([cache for cache, held in zip(every, here, strict=True) if held])
        return (Group(layers=tuple(left)),) if left else ()
    caches = with_equal_pages(every)
    made: list[Group] = []
    for cache, _ in counted(caches):
        held = [is_here for one, is_here in zip(caches, here, strict=True) if one == cache]
        parts = sum(group.layers[0][0] == cache for group in whole)
        made += [Group(layers=((cache, sum(held[part::parts])),)) for part in range(parts)]
    return tuple(made)
