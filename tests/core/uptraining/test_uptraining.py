"""Conversion by hand arithmetic, the recipe's bounds, what is made of results, and the recorded runs."""

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.uptraining import record, results
from core.uptraining.conversion import METHODS, head_similarity, merge_heads
from core.uptraining.recipe import SCRATCH, Recipe, RecipeError, from_dict
from core.uptraining.results import Point, Result

# Four heads of head_dim 2 over 3 inputs; head h is filled with h + 1, so means are easy: (1 + 2) / 2, (3 + 4) / 2.
FOUR_HEADS = np.repeat(np.arange(1.0, 5.0, dtype=np.float32), 2)[:, None] * np.ones((1, 3), dtype=np.float32)


def merged(method: str, num_kv_heads: int) -> list[float]:
    found = merge_heads(FOUR_HEADS, num_query_heads=4, num_kv_heads=num_kv_heads, method=method, seed=0)
    assert found.shape == (num_kv_heads * 2, 3)
    return [float(value) for value in found[::2, 0]]


def test_mean_and_first_by_hand() -> None:
    assert merged("mean", 2) == [1.5, 3.5]
    assert merged("mean", 1) == [2.5]
    assert merged("first", 2) == [1.0, 3.0]
    assert merged("first", 1) == [1.0]


@pytest.mark.parametrize("method", ["mean", "first"])
def test_as_many_heads_as_before_changes_nothing(method: str) -> None:
    assert merged(method, 4) == [1.0, 2.0, 3.0, 4.0]


def test_random_keeps_the_spread_and_follows_its_seed() -> None:
    weight = np.random.default_rng(3).normal(0, 0.7, (64, 128)).astype(np.float32)
    new = merge_heads(weight, num_query_heads=8, num_kv_heads=4, method="random", seed=1)
    again = merge_heads(weight, num_query_heads=8, num_kv_heads=4, method="random", seed=1)
    other = merge_heads(weight, num_query_heads=8, num_kv_heads=4, method="random", seed=2)
    assert np.array_equal(new, again)
    assert not np.array_equal(new, other)
    assert float(new.std()) == pytest.approx(0.7, rel=0.05)


@pytest.mark.parametrize(
    ("heads", "g", "method", "says"),
    [(4, 3, "mean", "does not divide H"), (4, 0, "mean", "does not divide H"), (3, 1, "mean", "cannot be split"),
     (4, 2, "median", "not one of mean, first, random")],
)  # fmt: skip
def test_what_cannot_be_merged_is_refused(heads: int, g: int, method: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        merge_heads(FOUR_HEADS, num_query_heads=heads, num_kv_heads=g, method=method, seed=0)


def test_similarity_of_equal_and_orthogonal_heads() -> None:
    assert head_similarity(FOUR_HEADS, num_query_heads=4) == pytest.approx(np.ones((4, 4)))
    apart = np.eye(4, dtype=np.float32)
    assert head_similarity(apart, num_query_heads=4) == pytest.approx(np.eye(4))


def test_default_recipe_by_hand() -> None:
    recipe = Recipe()
    assert recipe.hidden_size == 64  # 8 heads x 8
    assert recipe.uptrain_steps == 80  # 10 % of 800
    assert recipe.kv_head_choices == (4, 2, 1)
    assert recipe.total_steps == 800 + 80 + 9 * 80
    assert [recipe.kv_bytes_per_token(g) for g in (8, 4, 2, 1)] == [512, 256, 128, 64]  # 2 x 2 layers x G x 8 x 2 B


def test_training_from_the_start_counts_its_steps() -> None:
    recipe = Recipe(methods=("mean", SCRATCH))
    assert recipe.total_steps == 880 + 3 * 80 + 3 * 880


@pytest.mark.parametrize(
    ("values", "says"),
    [({"seed": -1}, "seed is -1"), ({"train_steps": 5}, "training steps is 5"), ({"uptrain_percent": 51}, "51"),
     ({"head_dim": 7}, "even"),
     ({"num_pairs": 16, "num_keys": 8}, "num_keys is 8"), ({"methods": ["median"]}, "name at"),
     ({"methods": []}, "name at"), ({"methods": "mean"}, "list"), ({"steps": 3}, "unknown key 'steps'"),
     ({"seed": True}, "seed is True"), ({"seed": "1"}, "seed is '1'")],
)  # fmt: skip
def test_a_recipe_that_cannot_be_run_is_refused(values: dict[str, object], says: str) -> None:
    with pytest.raises(RecipeError, match=says):
        from_dict(values)


@given(st.integers(0, 10_000), st.integers(20, 2_000), st.integers(1, 50))
def test_a_recipe_survives_json(seed: int, steps: int, percent: int) -> None:
    recipe = Recipe(seed=seed, train_steps=steps, uptrain_percent=percent)
    assert from_dict(json.loads(json.dumps(recipe.as_dict()))) == recipe


def made(seed: int, mean: float, first: float) -> Result:
    """A result with G = 1 only in mind: losses after uptraining 'mean' and 'first' at every G, random 2.8."""
    points = [
        Point(method="none", num_kv_heads=8, loss_before=0.1, accuracy_before=1, loss_after=0.05, accuracy_after=1)
    ]
    for method, loss in (("mean", mean), ("first", first), ("random", 2.8)):
        points += [
            Point(method=method, num_kv_heads=g, loss_before=9, accuracy_before=0, loss_after=loss, accuracy_after=0.5)
            for g in (4, 2, 1)
        ]
    return Result(
        recipe=Recipe(seed=seed), checkpoint_loss=0.1, checkpoint_accuracy=1, similarity=0, points=tuple(points)
    )


def test_seeds_are_averaged_and_recipes_are_not() -> None:
    runs = (made(0, 1.0, 2.0), made(1, 2.0, 2.0))
    after = {(point.method, point.num_kv_heads): point.loss_after for point in results.averaged(runs)}
    assert after["mean", 1] == 1.5
    assert results.spread(runs, "mean", 1) == (1.0, 2.0)
    longer = Result(**{**vars(made(2, 1, 1)), "recipe": Recipe(train_steps=900)})
    with pytest.raises(ValueError, match="different recipes"):
        results.averaged((runs[0], longer))


def test_the_sentence_names_whatever_won() -> None:
    assert "G = 1: 0.500** (mean of the group)" in results.finding((made(0, 0.5, 0.6),))
    assert "G = 1: 0.600** (first head of the group)" in results.finding((made(0, 0.7, 0.6),))
    assert "stands at 0.050" in results.finding((made(0, 0.5, 0.6),))
    assert "stands at 0.100" in results.finding((made(0, 0.5, 0.6),), before=True)


def test_agreement_with_the_paper_is_said_either_way() -> None:
    assert "agrees at every G" in results.agreement((made(0, 0.5, 0.6),))
    assert "disagrees at every G" in results.agreement((made(0, 0.7, 0.6),))


def test_a_run_that_was_cut_off_is_no_result() -> None:
    with pytest.raises(ValueError, match="ended before its last point"):
        results.collect(Recipe(), [{"event": "checkpoint", "loss": 1, "accuracy": 0, "similarity": 0}])


@pytest.mark.parametrize("lost", ["recipe", "points", "similarity"])
def test_a_damaged_file_is_named(lost: str) -> None:
    stored = made(0, 1, 1).as_dict()
    del stored[lost]
    with pytest.raises(ValueError, match=lost):
        results.from_json(json.dumps(stored))


def test_results_survive_json() -> None:
    result = made(3, 1.25, 0.5)
    assert results.from_json(json.dumps(result.as_dict())) == result


def test_recorded_runs_are_those_that_the_recorder_makes() -> None:
    found = results.recorded()
    assert sorted(run.recipe.seed for run in found) == sorted(recipe.seed for recipe in record.recipes())
    assert {run.recipe for run in found} == set(record.recipes())


def test_recorded_checkpoints_learned_the_task_and_a_random_start_did_not_in_a_tenth() -> None:
    for run in results.recorded():
        assert run.chance_loss == pytest.approx(math.log(16))
        assert run.checkpoint_accuracy > 0.99
        if run.recipe.uptrain_percent == 10:
            assert all(point.accuracy_after < 0.1 for point in run.of("random"))


def test_what_the_page_says_of_the_recorded_runs_is_so() -> None:
    """The claims of core/data/techniques/uptraining.md, each against the recorded numbers."""
    for percent in record.PERCENTS:
        runs = tuple(run for run in results.recorded() if run.recipe.uptrain_percent == percent)
        after = {(point.method, point.num_kv_heads): point.loss_after for point in results.averaged(runs)}
        assert all(after["first", g] < after["mean", g] for g in (4, 2, 1))  # "The first head beats the mean here"
        assert all(after["mean", g] < after["random", g] for g in (4, 2))
        if percent == 40:  # "G = 4 and G = 2 come back ... G = 1 does not"
            assert after["first", 4] < after["first", 2] < 0.05 < 0.5 < after["first", 1]
        if percent == 10:  # "Nor does a model that had G = 1 from the start"
            assert after[SCRATCH, 4] < 0.05
            assert after[SCRATCH, 2] < 0.05
            assert after[SCRATCH, 1] > 0.3
    assert all(run.similarity < 0.1 for run in results.recorded())


def test_a_recorded_run_answers_for_the_methods_asked() -> None:
    asked = Recipe(seed=1, uptrain_percent=10)
    run = next(run for run in results.recorded() if (run.recipe.seed, run.recipe.uptrain_percent) == (1, 10))
    assert SCRATCH in run.recipe.methods
    found = results.recorded_result(asked)
    assert found is not None
    assert found.recipe == asked
    assert found.of(SCRATCH) == ()
    assert [len(found.of(method)) for method in ("none", "mean", "first", "random")] == [1, 3, 3, 3]
    assert found.of("mean") == run.of("mean")
    assert results.finding((found,)).startswith("Lowest loss after uptraining in nats, seed 1: **G = 4")


@pytest.mark.parametrize(
    "other",
    [
        Recipe(seed=3), Recipe(train_steps=801), Recipe(uptrain_percent=11), Recipe(num_values=17),
        Recipe(uptrain_percent=40, methods=("mean", SCRATCH)),  # recorded at 40 % without it
    ],
)  # fmt: skip
def test_what_was_not_recorded_is_not_answered(other: Recipe) -> None:
    assert results.recorded_result(other) is None


def test_methods_have_words() -> None:
    assert set(results.METHOD_WORDS) == {*METHODS, SCRATCH, "none"}
