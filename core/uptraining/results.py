"""What an experiment gave: one point for each method and G, before and after uptraining, and sentences about them.

Nothing here knows which method ought to win. The sentences are made from the points, so they say what came out even
where it disagrees with what is published.
"""

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from statistics import mean
from typing import Any

from core.uptraining.conversion import METHODS
from core.uptraining.recipe import SCRATCH, Recipe, from_dict

RECORDED = Path(__file__).resolve().parent.parent / "data" / "uptraining_runs"
METHOD_WORDS = {**METHODS, SCRATCH: "trained with G from the start", "none": "MHA"}


@dataclass(frozen=True, kw_only=True)
class Point:
    """One variant. Losses in nats per answer on held-out sequences; accuracies from 0 to 1."""

    method: str
    num_kv_heads: int
    loss_before: float
    accuracy_before: float
    loss_after: float
    accuracy_after: float


@dataclass(frozen=True, kw_only=True)
class Result:
    """All points of one recipe. similarity is the mean |cosine| between two heads of the checkpoint."""

    recipe: Recipe
    checkpoint_loss: float
    checkpoint_accuracy: float
    similarity: float
    points: tuple[Point, ...]

    def of(self, method: str) -> tuple[Point, ...]:
        """The points of one method, G descending; 'none' is the untouched checkpoint, trained on as long."""
        found = [point for point in self.points if point.method == method]
        return tuple(sorted(found, key=lambda point: -point.num_kv_heads))

    @property
    def baseline(self) -> Point:
        """The MHA checkpoint after the same extra steps."""
        return self.of("none")[0]

    @property
    def chance_loss(self) -> float:
        """Loss of a guess among all values: ln(num_values) nats."""
        return math.log(self.recipe.num_values)

    def as_dict(self) -> dict[str, Any]:
        """Ready for JSON; from_json is the way back."""
        return {
            "recipe": self.recipe.as_dict(),
            "checkpoint_loss": self.checkpoint_loss,
            "checkpoint_accuracy": self.checkpoint_accuracy,
            "similarity": self.similarity,
            "points": [asdict(point) for point in self.points],
        }


def from_json(text: str) -> Result:
    """A stored result. Raises ValueError where a key is missing or a value is out of range."""
    found = json.loads(text)
    try:
        return Result(
            recipe=from_dict(found["recipe"]),
            checkpoint_loss=float(found["checkpoint_loss"]),
            checkpoint_accuracy=float(found["checkpoint_accuracy"]),
            similarity=float(found["similarity"]),
            points=tuple(Point(**point) for point in found["points"]),
        )
    except (KeyError, TypeError) as error:
        raise ValueError(f"a stored uptraining result lacks or misnames {error}: record it again") from error


def collect(recipe: Recipe, events: Iterable[Mapping[str, Any]]) -> Result:
    """The result from the worker's events. Raises ValueError where the run did not reach its end."""
    checkpoint: Mapping[str, Any] = {}
    points, finished = [], False
    for event in events:
        if event["event"] == "checkpoint":
            checkpoint = event
        elif event["event"] == "point":
            points.append(Point(**{key: value for key, value in event.items() if key != "event"}))
        finished = finished or event["event"] == "done"
    if not finished:
        raise ValueError("the experiment ended before its last point: start it again")
    return Result(
        recipe=recipe,
        checkpoint_loss=checkpoint["loss"],
        checkpoint_accuracy=checkpoint["accuracy"],
        similarity=checkpoint["similarity"],
        points=tuple(points),
    )


@cache
def recorded(folder: Path = RECORDED) -> tuple[Result, ...]:
    """The runs that ship with Headroom, by uptraining percent and seed."""
    found = [from_json(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.json"))]
    return tuple(sorted(found, key=lambda result: (result.recipe.uptrain_percent, result.recipe.seed)))


def recorded_result(recipe: Recipe) -> Result | None:
    """The shipped run that answers a recipe: of all else alike and with its methods, without any others it has.

    Each variant trains from the same checkpoint with seeds of its own, so a method's points do not depend on what
    else was tried.
    """
    for run in recorded():
        if replace(run.recipe, methods=recipe.methods) == recipe and set(recipe.methods) <= set(run.recipe.methods):
            asked = {"none", *recipe.methods}
            return replace(run, recipe=recipe, points=tuple(p for p in run.points if p.method in asked))
    return None


def averaged(results: tuple[Result, ...]) -> tuple[Point, ...]:
    """Mean of each variant over seeds. Raises ValueError unless the recipes differ in their seed alone."""
    recipes = {result.recipe.with_seed(0) for result in results}
    if len(recipes) != 1:
        raise ValueError("results of different recipes cannot be averaged: pass runs that differ in their seed alone")
    variants = dict.fromkeys((point.method, point.num_kv_heads) for result in results for point in result.points)
    return tuple(_mean_point(results, *variant) for variant in variants)


def spread(results: tuple[Result, ...], method: str, num_kv_heads: int) -> tuple[float, float]:
    """Smallest and largest loss after uptraining of one variant over the seeds."""
    losses = [p.loss_after for r in results for p in r.points if (p.method, p.num_kv_heads) == (method, num_kv_heads)]
    return min(losses), max(losses)


def finding(results: tuple[Result, ...], *, before: bool = False) -> str:
    """What came out: the best method at each G, after uptraining or right after conversion, beside plain MHA."""
    points = averaged(results)
    losses = {(p.method, p.num_kv_heads): p.loss_before if before else p.loss_after for p in points}
    methods = [method for method in METHODS if method in results[0].recipe.methods]
    choices = results[0].recipe.kv_head_choices
    best = {g: min(methods, key=lambda method: losses[method, g]) for g in choices}
    parts = [f"**G = {g}: {losses[best[g], g]:.3f}** ({METHOD_WORDS[best[g]]})" for g in choices]
    when = "right after conversion" if before else "after uptraining"
    baseline = losses["none", results[0].recipe.num_query_heads]
    ending = f"MHA{'' if before else ', trained on as long,'} stands at {baseline:.3f}."
    return f"Lowest loss {when} in nats, {_runs(results)}: {', '.join(parts)}. {ending}"


def agreement(results: tuple[Result, ...]) -> str:
    """Whether the order that the GQA paper states for T5-Large (mean, first, random) came out here too."""
    after = {(point.method, point.num_kv_heads): point.loss_after for point in averaged(results)}
    choices = results[0].recipe.kv_head_choices
    if not set(METHODS) <= set(results[0].recipe.methods):
        return ""
    agree = [g for g in choices if after["mean", g] <= after["first", g] <= after["random", g]]
    said = "The GQA paper reports mean before first before random for T5-Large. "
    if len(agree) == len(choices):
        return said + "This small model agrees at every G."
    if not agree:
        return said + "This small model disagrees at every G, for the reason that the text gives as likely."
    names = ", ".join(str(g) for g in agree)
    return said + f"This small model agrees at G = {names} and disagrees elsewhere."


def _mean_point(results: tuple[Result, ...], method: str, num_kv_heads: int) -> Point:
    found = [p for r in results for p in r.points if (p.method, p.num_kv_heads) == (method, num_kv_heads)]
    names = ("loss_before", "accuracy_before", "loss_after", "accuracy_after")
    values = {name: mean(getattr(point, name) for point in found) for name in names}
    return Point(method=method, num_kv_heads=num_kv_heads, **values)


def _runs(results: tuple[Result, ...]) -> str:
    return f"mean of {len(results)} seeds" if len(results) > 1 else f"seed {results[0].recipe.seed}"
