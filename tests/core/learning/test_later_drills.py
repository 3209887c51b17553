"""The six shapes: each seed has one right option among different ones, decided by the reader of configs."""

import pytest

from core.learning.ideas import idea, models_on, registry
from core.learning.later_drills import SHAPES, later_question

SPECS = {model.name: spec for model, spec in registry()}


def test_six_in_a_row_are_of_six_shapes_and_a_seed_is_a_question() -> None:
    assert len({later_question(seed).shape for seed in range(6)}) == len(SHAPES) == 6
    assert later_question(41) == later_question(41)


def test_every_question_has_different_options_and_a_reason() -> None:
    for seed in range(120):
        asked = later_question(seed)
        assert len(set(asked.options)) == len(asked.options) == 3, asked
        assert 0 <= asked.answer < 3
        assert asked.why


def test_the_hybrid_is_the_only_one_with_layers_that_do_not_cache() -> None:
    for seed in range(0, 60, 6):
        asked = later_question(seed)
        partial = [any(layer.cached_elements(1) == 0 for layer in SPECS[name].layers) for name in asked.options]
        assert [place for place, found in enumerate(partial) if found] == [asked.answer]


def test_no_wrong_option_can_be_argued_for() -> None:
    """Gemma-4 takes its full layers' values from the keys' projection (attention_k_eq_v) and caches both."""
    asked = [each for seed in range(3, 6000, 6) if "Gemma-4 26B" in (each := later_question(seed)).text]
    assert {each.shape for each in asked} == {"which idea"}
    assert not [each for each in asked if idea("tied").name in each.options]


def test_a_model_that_caches_in_every_layer_is_not_one_of_fewer_layers() -> None:
    """Falcon-H1 has an attention and a state in each of its 36 layers."""
    assert all(layer.cached_elements(1) for layer in SPECS["Falcon-H1 0.5B"].layers)
    assert "Falcon-H1 0.5B" not in models_on("fewer-layers")


def test_a_question_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValueError, match="does not exist"):
        later_question(-1)
