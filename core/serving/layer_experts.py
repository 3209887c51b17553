"""How many experts a layer has: as the count of the model tells them apart, else as its config names them.

A file may say nothing of them where the count knows (DBRX names them inside ffn_config), and a class may bring a number
that none of its layers has (Nemotron-H 8B: 8 by default, and no layer of experts in its pattern).
"""

from core.errors import SizingError
from core.models.spec import ModelSpec, UnsupportedConfig
from core.parameters import ParameterCount
from core.serving.rank_weights import experts_told_apart
from core.serving.weights import analytic_count


def layer_experts(model: ModelSpec, count: ParameterCount | None) -> int:
    """Experts of the layer that has most, 0 without any; count is the model's own where one was given. Nothing is
    built for it."""
    named = model.dimensions.num_experts or 0
    known = count if count is not None and experts_told_apart(count) else _by_rule(model)
    if known is None:
        return named
    if not known.routed_experts:
        return 0
    return max((group.num_experts for group in known.expert_groups), default=named)


def _by_rule(model: ModelSpec) -> ParameterCount | None:
    """The config's own count; None where it is not added up, or tells no experts apart."""
    try:
        count = analytic_count(model)
    except (SizingError, UnsupportedConfig):
        return None
    return count if experts_told_apart(count) else None
