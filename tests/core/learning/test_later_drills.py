"""The six shapes: each seed has one right option among different ones, decided by the reader of configs."""

import pytest

from core.learning.ideas import registry
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


def test_a_question_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValueError, match="does not exist"):
        later_question(-1)
