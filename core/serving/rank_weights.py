"""The weights of one rank where a copy is split over stages, ranks of requests and experts.

    bits of a rank = sum over parts of parameters of its stage x bits / ranks that the part is cut over

Experts are cut over tensor parallel x data parallel, or given out whole (stages.py); everything else over tensor
parallel. How much of a part lies on a stage is counted: the same rule counts the config with its first layers alone,
and a stage is the difference. Where no rule counts such a config, the layers weigh alike.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Any

from core.engines.class_names import Keyed
from core.models.spec import ModelSpec, UnsupportedConfig, read_config
from core.parameters import NotByRule, ParameterCount, count_by_rule
from core.parameters.storage import Storage
from core.serving.stages import Stage, local_experts

EXPERTS, REST = "routed_experts", "rest"
AT_THE_FRONT = ("embedding", "towers")
NESTED = ("text_config", "llm_config", "language_config")
LAYER_COUNTS = ("num_hidden_layers", "n_layer", "num_layers", "n_layers")
KEPT_SHARES = 256


@dataclass(frozen=True, kw_only=True)
class ExpertSplit:
    """How experts lie: over `ranks`, whole ones where whole says so; num_experts of the widest layer."""

    ranks: int
    whole: bool
    num_experts: int

    def share(self, rank: int) -> Fraction:
        """What one rank holds of a layer's experts."""
        if not self.whole:
            return Fraction(1, self.ranks)
        return Fraction(local_experts(self.num_experts, self.ranks, rank), self.num_experts)


def parts_of(count: ParameterCount) -> Mapping[str, int]:
    """The parts of a count; where it has none, its experts, embedding and head as far as they are told apart."""
    if count.parts:
        return count.parts
    named = {EXPERTS: count.routed_experts or 0, "embedding": count.embedding or 0, "head": count.head or 0}
    return {REST: count.total - sum(named.values()), **{name: number for name, number in named.items() if number}}


def experts_told_apart(count: ParameterCount) -> bool:
    """Whether the count says how many parameters are experts."""
    return bool(count.parts) or count.routed_experts is not None


def rank_bits(
    count: ParameterCount,
    how: Storage,
    stored_bits: Fraction,
    shares: Mapping[str, Fraction],
    *,
    tensor_parallel: int,
    experts: ExpertSplit,
    rank: int = 0,
) -> Fraction:
    """Bits of one rank. shares: of each part, what its stage holds; stored_bits: of the whole model, which its files
    may say otherwise than the parts. rank is the number of the rank among those that share the experts."""
    if not count.routed_experts:
        experts = ExpertSplit(ranks=tensor_parallel, whole=False, num_experts=1)
    wide = {part: number * _bits(how, count, part) for part, number in parts_of(count).items()}
    whole = sum(wide.values(), Fraction(0))
    held = sum(
        bits
        * shares.get(part, shares[REST])
        * (experts.share(rank) if part == EXPERTS else Fraction(1, tensor_parallel))
        for part, bits in wide.items()
    )
    return held * stored_bits / whole


def _bits(how: Storage, count: ParameterCount, part: str) -> Fraction:
    return how.bits_of(part, count) if count.parts else how.usual_bits


@lru_cache(maxsize=KEPT_SHARES)
def stage_shares(read: Keyed, count: ParameterCount, stages: tuple[Stage, ...]) -> tuple[Mapping[str, Fraction], ...]:
    """Of each part, what each stage holds; REST is what any part has that is not named."""
    if len(stages) == 1:
        return ({REST: Fraction(1)},)
    upto = _counted_upto(read.model, stages)
    found: list[Mapping[str, Fraction]] = []
    for stage in stages:
        shares: dict[str, Fraction] = {REST: Fraction(stage.last - stage.first, stages[-1].last)}
        if upto is not None:
            before, after, whole = upto[stage.index], upto[stage.index + 1], upto[-1]
            shares |= {part: Fraction(after.get(part, 0) - before.get(part, 0), whole[part]) for part in whole}
        shares |= {part: Fraction(stage.leads) for part in AT_THE_FRONT} | {"head": Fraction(stage.ends)}
        if count.tied and stage.ends:
            shares["embedding"] = Fraction(1)
        found.append(shares)
    return tuple(found)


def _counted_upto(model: ModelSpec, stages: tuple[Stage, ...]) -> list[Mapping[str, int]] | None:
    """Parts of the model with the layers before each stage, and of all of it; None where a rule counts no such config.

    A config of fewer layers counts only where it reads as just the first layers of the whole. Its norm behind the last
    layer goes with the first stage.
    """
    found: list[Mapping[str, int]] = [{}]
    try:
        for stage in stages:
            config = first_layers(model.config, len(model.layers), stage.last)
            if stage.last < len(model.layers) and read_config(config).layers != model.layers[: stage.last]:
                return None
            found.append(count_by_rule(config).parts)
    except (NotByRule, UnsupportedConfig):
        return None
    return found


def first_layers(config: Mapping[str, Any], layers: int, kept: int) -> dict[str, Any]:
    """The config with its first layers alone: the number, and every list or pattern that names each layer."""
    made = dict(config)
    for name in NESTED:
        if isinstance(made.get(name), Mapping):
            made[name] = first_layers(made[name], layers, kept)
            return made
    for key, value in made.items():
        if key in LAYER_COUNTS and value == layers:
            made[key] = kept
        elif isinstance(value, list | tuple | str) and len(value) == layers and key not in ("model_type", "hidden_act"):
            made[key] = value[:kept]
    return made


def weight_share_sentence(count: ParameterCount, model: ModelSpec, stages: tuple[Stage, ...]) -> str:
    """Whether the stages' parts are counted or reckoned alike; empty for one stage."""
    if len(stages) == 1:
        return ""
    counted = bool(count.parts) and _counted_upto(model, stages) is not None
    return "" if counted else "No rule counts its first layers alone, so that its layers weigh alike here."
