"""What a class takes and builds no model of is refused by name, and by no other type's table."""

import pytest

from core.engines.release_cases import small
from core.engines.transformers_release import EXACT, NEITHER, look_at
from core.models.rules.class_defaults import model_classes
from core.models.rules.unbuilt import BY_TYPE, NULLS, ZEROS
from core.models.spec import UnsupportedConfig, read_config

ENTRIES = [(model_type, name, value) for model_type, found in sorted(BY_TYPE.items()) for name, value in found]


@pytest.mark.parametrize(("model_type", "name", "value"), ENTRIES)
def test_it_is_refused_with_what_to_give(model_type: str, name: str, value: int | None) -> None:
    word = "null" if value is None else "0"
    with pytest.raises(
        UnsupportedConfig, match=rf"^{name} is {word}: \w+ takes it.*Give another value, or leave it out"
    ):
        read_config(small(model_type) | {name: value})


@pytest.mark.torch
@pytest.mark.parametrize("model_type", sorted(BY_TYPE))
def test_transformers_builds_the_small_file_and_not_with_that_value(model_type: str) -> None:
    assert look_at(model_type, "small", small(model_type)).verdict == EXACT
    for name, value in BY_TYPE[model_type]:
        assert look_at(model_type, name, small(model_type) | {name: value}).verdict == NEITHER


@pytest.mark.parametrize("model_type", ["deepseek_v2", "nemotron"])
def test_a_shape_left_to_its_class_is_read_and_said_to_be_one(model_type: str) -> None:
    """Servers plan such a file by the class's defaults, though transformers runs no model of these two."""
    assert read_config({"model_type": model_type}).all_defaulted


def test_another_type_and_another_value_are_read() -> None:
    assert {layer.rope_dim for layer in read_config(small("kimi_linear") | {"qk_rope_head_dim": 0}).layers
            if hasattr(layer, "rope_dim")} == {0}  # fmt: skip
    assert read_config(small("hy_v4") | {"num_key_value_heads": 0}).layers[0].cached_elements(1) == 40 + 8
    assert read_config(small("llama") | {"head_dim": None}).kv_bytes_per_token() == 6 * 2 * 2 * 16 * 2


def test_the_types_are_those_of_transformers() -> None:
    assert set().union(*NULLS.values(), *ZEROS.values()) <= set(model_classes())
