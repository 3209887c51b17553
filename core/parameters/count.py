"""What a model weighs: the total, its parts, what one token uses, and where the number came from."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from core.errors import SizingError, require_whole
from core.models.notebook import html_table

Source = Literal["rule", "meta device", "safetensors", "gguf", "typed"]
MAX_PARAMETERS = 10**15


@dataclass(frozen=True, kw_only=True)
class ExpertGroup:
    """Layers whose experts are alike: of num_experts a token takes experts_per_token, parameters_each one."""

    layers: int
    num_experts: int
    experts_per_token: int
    parameters_each: int


@dataclass(frozen=True, kw_only=True)
class ParameterCount:
    """How many parameters; a tied matrix counts once.

    embedding is the input table of token embeddings alone; head the output matrix, 0 where it is the embedding's own
    (tied). parts add up to total where they are known; kv_projections there is what a change of G changes. biases are
    those parameters of a part that a format which packs its matrices leaves at its kept width. active is
    the total less the experts that a token does not take and tables by layer, None where the experts are not known.
    """

    total: int
    source: Source
    sentence: str
    embedding: int | None = None
    head: int | None = None
    tied: bool | None = None
    routed_experts: int | None = None
    parts: Mapping[str, int] = field(default_factory=dict, hash=False)
    biases: Mapping[str, int] = field(default_factory=dict, hash=False)
    expert_groups: tuple[ExpertGroup, ...] = ()

    def __post_init__(self) -> None:
        whole = isinstance(self.total, int) and not isinstance(self.total, bool)
        if not whole or not 0 < self.total <= MAX_PARAMETERS:
            raise SizingError(f"parameters is {self.total!r}: give a whole number from 1 to 10^15")

    def _repr_html_(self) -> str:
        rows = [
            ("parameters", self.total),
            ("source", self.source),
            ("one token uses", self.active),
            *self.parts.items(),
        ]
        return html_table("Parameters", rows)

    def changed(self, sentence: str, **by: int) -> "ParameterCount":
        """This count with so many parameters more (or less) in each part named, and its biases in proportion."""
        parts = (
            {**self.parts, **{name: self.parts.get(name, 0) + more for name, more in by.items()}} if self.parts else {}
        )
        biases = {name: number * parts[name] // self.parts[name] for name, number in self.biases.items()}
        return replace(self, total=self.total + sum(by.values()), parts=parts, biases=biases, sentence=sentence)

    @property
    def active(self) -> int | None:
        """Parameters that one token goes through: the table of token embeddings is counted in, as published figures do,
        and tables by layer or n-gram are left out, as "effective" figures do (Gemma 3n E4B, Qwen3.8-Flash-Next)."""
        if self.routed_experts is None or (self.routed_experts and not self.expert_groups):
            return None
        idle = sum(
            group.layers * (group.num_experts - group.experts_per_token) * group.parameters_each
            for group in self.expert_groups
        )
        return self.total - idle - self.parts.get("per_layer_embeddings", 0)


def typed_count(parameters: int) -> ParameterCount:
    """A count that a person typed in. Raises SizingError for anything but a whole number from 1 to 10^15."""
    require_whole("parameters", parameters, 1, MAX_PARAMETERS)
    return ParameterCount(total=int(parameters), source="typed", sentence="Typed in.")
