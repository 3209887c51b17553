"""What the experiment is: the task, the small model, and how long each part trains. Seeded, so a recipe names a result.

Task: associative recall. Every sequence first shows `num_pairs` records, each a key with `num_attributes` values; then
it asks, for every key in another order, for one of its values. Nothing but attention can answer: the records are
new in every sequence, so the model must look the key up and carry the value over.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from core.models.attention import GroupedAttention
from core.uptraining.conversion import METHODS

SCRATCH = "scratch"  # not a conversion: trained with G heads from the start, for as long as training and uptraining
LIMITS = {
    "seed": (0, 10_000),
    "train_steps": (20, 2_000),
    "uptrain_percent": (1, 50),
    "num_query_heads": (2, 16),
    "head_dim": (2, 32),
    "num_layers": (1, 4),
    "num_pairs": (2, 16),
    "num_attributes": (1, 8),
    "num_values": (2, 64),
    "num_keys": (2, 64),
    "batch_size": (4, 128),
}
WORDS = {"seed": "seed", "train_steps": "training steps", "uptrain_percent": "uptraining percent"}


class RecipeError(ValueError):
    """A recipe that cannot be run: the message says what, which value and what to do."""


STEPS_A_MINUTE = 1_600  # of one core of an AMD EPYC (Zen 3), torch 2.13


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """One experiment. uptrain_percent is of train_steps, as the paper's alpha is of pretraining."""

    seed: int = 0
    train_steps: int = 800
    uptrain_percent: int = 10
    num_query_heads: int = 8
    head_dim: int = 8
    num_layers: int = 2
    num_pairs: int = 8
    num_attributes: int = 4
    num_values: int = 16
    num_keys: int = 32
    batch_size: int = 64
    methods: tuple[str, ...] = ("mean", "first", "random")

    def __post_init__(self) -> None:
        for name, (low, high) in LIMITS.items():
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
                words = WORDS.get(name, name)
                raise RecipeError(f"{words} is {value!r}: give a whole number from {low:,} to {high:,}.")
        if self.head_dim % 2:
            raise RecipeError(f"head_dim is {self.head_dim}: rotary positions need an even number.")
        if self.num_pairs > self.num_keys:
            raise RecipeError(f"{self.num_pairs} records need as many keys: num_keys is {self.num_keys}, raise it.")
        unknown = [method for method in self.methods if method not in METHODS and method != SCRATCH]
        if unknown or not self.methods:
            raise RecipeError(f"methods {self.methods!r}: name at least one of {', '.join([*METHODS, SCRATCH])}.")

    @property
    def hidden_size(self) -> int:
        return self.num_query_heads * self.head_dim

    @property
    def uptrain_steps(self) -> int:
        """At least one step."""
        return max(1, round(self.train_steps * self.uptrain_percent / 100))

    @property
    def kv_head_choices(self) -> tuple[int, ...]:
        """The divisors of H below H, largest first: what the checkpoint is converted to."""
        return tuple(g for g in range(self.num_query_heads // 2, 0, -1) if self.num_query_heads % g == 0)

    @property
    def total_steps(self) -> int:
        """Training steps of everything together: the checkpoint, its own uptraining, and each method at each G."""
        each = {SCRATCH: self.train_steps + self.uptrain_steps}
        per_g = sum(each.get(method, self.uptrain_steps) for method in self.methods)
        return self.train_steps + self.uptrain_steps + per_g * len(self.kv_head_choices)

    @property
    def time_in_words(self) -> str:
        """'about a minute', as one core of a server of today takes it."""
        minutes = max(1, round(self.total_steps / STEPS_A_MINUTE))
        return "about a minute" if minutes == 1 else f"about {minutes:,} minutes"

    def kv_bytes_per_token(self, num_kv_heads: int, bytes_per_element: int = 2) -> int:
        """Cache bytes that one token keeps with G heads: 2 x L x G x head_dim x bytes."""
        layer = GroupedAttention(
            num_query_heads=self.num_query_heads,
            num_kv_heads=num_kv_heads,
            head_dim=self.head_dim,
            value_dim=self.head_dim,
        )
        return self.num_layers * layer.cached_elements(1) * bytes_per_element

    def with_seed(self, seed: int) -> "Recipe":
        return replace(self, seed=seed)

    def as_dict(self) -> dict[str, Any]:
        """Ready for JSON; from_dict is the way back."""
        return {**asdict(self), "methods": list(self.methods)}


def from_dict(values: Mapping[str, Any]) -> Recipe:
    """A recipe from JSON. Raises RecipeError for keys that are unknown and values that are out of range."""
    known = {field.name for field in fields(Recipe)}
    unknown = sorted(set(values) - known)
    if unknown:
        raise RecipeError(f"recipe has an unknown key '{unknown[0]}': known are {', '.join(sorted(known))}.")
    methods = values.get("methods", Recipe.methods)
    if not isinstance(methods, list | tuple) or not all(isinstance(method, str) for method in methods):
        raise RecipeError(f"methods is {methods!r}: give a list of names.")
    return Recipe(**{**values, "methods": tuple(methods)})
