"""Which tokens a bounded cache keeps: the newest, the newest with the first few, or those that were attended to most.

The attention here is made up and seeded: a few first tokens draw attention whatever they say (sinks), recent tokens
draw much of it, and some tokens anywhere keep being looked at (heavy hitters). It shows how the policies behave; how
much a policy costs a real model is for the published figures on the page.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

POLICIES = {
    "all": "keep everything",
    "window": "window: the newest",
    "sinks": "sinks and window",
    "heavy": "heavy hitters and window",
}
MAX_TOKENS, MAX_SINKS, RECENT_SHARE = 512, 16, 0.5
NUM_HITTERS = 8
SINK_TOKENS, SINK_SHARE, HITTER_SHARE, FADE_TOKENS = 4, 0.35, 0.25, 12.0


class EvictionError(ValueError):
    """An input that cannot be: the message says what, which value and what to do."""


@dataclass(frozen=True, kw_only=True)
class Kept:
    """What one policy holds after the last token. attention_kept is the share of the last step's full attention."""

    policy: str
    kept: tuple[bool, ...]  # one flag a token, oldest first
    attention_kept: float
    sinks_kept: bool

    @property
    def num_kept(self) -> int:
        return sum(self.kept)

    def holds(self, position: int) -> bool:
        """Is the token at that position, from 0, still there?"""
        return self.kept[position]


def attention_weights(num_tokens: int, *, num_hitters: int, seed: int) -> NDArray[np.float64]:
    """Rows are steps, columns tokens, (num_tokens, num_tokens): made-up attention, each row summing to 1."""
    random = np.random.default_rng(seed)
    ages = np.arange(num_tokens)[:, None] - np.arange(num_tokens)[None, :]
    recent = np.where(ages >= 0, np.exp(-np.maximum(ages, 0) / FADE_TOKENS), 0.0)
    recent *= random.uniform(0.3, 1.0, num_tokens)[None, :]
    sinks, hitters = np.zeros(num_tokens), np.zeros(num_tokens)
    sinks[:SINK_TOKENS] = [4, 2, 1, 1]
    hitters[hitter_positions(num_tokens, num_hitters=num_hitters, seed=seed)] = 1.0
    causal = ages >= 0
    weights = (1 - SINK_SHARE - HITTER_SHARE) * _rows(recent)
    weights += SINK_SHARE * _rows(causal * sinks) + HITTER_SHARE * _rows(causal * hitters)
    return _rows(weights)


def hitter_positions(num_tokens: int, *, num_hitters: int, seed: int) -> NDArray[np.int64]:
    """Tokens outside the sinks that keep being attended to."""
    choices = np.arange(SINK_TOKENS, num_tokens)
    count = min(num_hitters, len(choices))
    return np.sort(np.random.default_rng(seed + 1).choice(choices, count, replace=False))


def keep(
    policy: str, *, num_tokens: int, budget: int, num_sinks: int, num_hitters: int = NUM_HITTERS, seed: int = 0
) -> Kept:
    """The tokens that a policy holds after num_tokens steps with room for budget tokens.

    sinks: the first num_sinks and the newest. heavy: half the budget for the newest, the rest for the tokens with the
    most attention so far, as H2O does (arXiv 2306.14048). Raises EvictionError for inputs out of range.
    """
    _check(policy, num_tokens, budget, num_sinks)
    weights = attention_weights(num_tokens, num_hitters=num_hitters, seed=seed)
    if policy == "all" or budget >= num_tokens:
        kept = np.ones(num_tokens, dtype=bool)
    elif policy == "heavy":
        kept = _heavy(weights, budget)
    else:
        first = min(num_sinks, budget - 1) if policy == "sinks" else 0  # the newest token always stays
        kept = np.zeros(num_tokens, dtype=bool)
        kept[:first] = True
        kept[num_tokens - (budget - first) :] = True
    return Kept(
        policy=policy,
        kept=tuple(bool(flag) for flag in kept),
        attention_kept=float(weights[-1][kept].sum()),
        sinks_kept=bool(kept[:SINK_TOKENS].all()),
    )


def _heavy(weights: NDArray[np.float64], budget: int) -> NDArray[np.bool_]:
    """Step by step: when the cache is full, the least attended token outside the newest half leaves for good."""
    num_tokens, recent = len(weights), max(1, round(budget * RECENT_SHARE))
    kept = np.zeros(num_tokens, dtype=bool)
    received = np.zeros(num_tokens)
    for step in range(num_tokens):
        kept[step] = True
        row = np.where(kept, weights[step], 0.0)
        received += row / max(row.sum(), 1e-12)
        if kept.sum() > budget:
            old = np.flatnonzero(kept[: max(1, step - recent + 1)])
            kept[old[np.argmin(received[old])]] = False
    return kept


def _rows(weights: NDArray[np.float64]) -> NDArray[np.float64]:
    total = weights.sum(axis=1, keepdims=True)
    scaled: NDArray[np.float64] = np.divide(weights, total, out=np.zeros_like(weights, dtype=float), where=total > 0)
    return scaled


def _check(policy: str, num_tokens: int, budget: int, num_sinks: int) -> None:
    if policy not in POLICIES:
        raise EvictionError(f"policy '{policy}' is not one of {', '.join(POLICIES)}.")
    for name, value, low, high in (
        ("the number of tokens", num_tokens, SINK_TOKENS + 1, MAX_TOKENS),
        ("the budget", budget, 1, MAX_TOKENS),
        ("the number of sinks", num_sinks, 0, MAX_SINKS),
    ):
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise EvictionError(f"{name} is {value!r}: give a whole number from {low} to {high}.")
