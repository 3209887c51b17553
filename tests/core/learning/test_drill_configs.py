"""The config drill against the reader of configs and the registry: one kind, one G, and lines that really decide."""

import contextlib
import copy
from collections.abc import Mapping
from typing import Any

import pytest

from core.learning.drills import ConfigQuestion, config_questions
from core.models.attention import GroupedAttention
from core.models.registry import RegisteredModel, load_registry
from core.models.spec import ModelSpec, UnsupportedConfig, read_config

NAMES = {"model_type", "architectures"}  # who reads the file, not what it says


def read_answer(spec: ModelSpec) -> tuple[str, int]:
    """Kind and G as the reader has them; MLA has no KV heads to count, so the elements of a token in a layer."""
    if spec.kind == "MLA":
        return "MLA", spec.layers[0].cached_elements(1)
    counts = {layer.num_kv_heads for layer in spec.layers if isinstance(layer, GroupedAttention)}
    assert len(counts) == 1
    return spec.kind, counts.pop()


def flat(config: Mapping[str, Any], path: str = "") -> dict[str, Any]:
    """{'text_config': {'a': 1}} -> {'text_config.a': 1}."""
    found: dict[str, Any] = {}
    for key, value in config.items():
        found |= flat(value, f"{path}{key}.") if isinstance(value, dict) else {f"{path}{key}": value}
    return found


def stated_answer(asked: ConfigQuestion) -> tuple[str, int]:
    """What the drill states. Every MLA file of it says 512 + 64 (DeepSeek-V2, arXiv 2405.04434, section 2.1.4)."""
    return asked.kind, 512 + 64 if asked.num_kv_heads is None else asked.num_kv_heads


def registered(asked: ConfigQuestion) -> RegisteredModel:
    (known,) = [model for model in load_registry() if model.repository == asked.repository]
    return known


@pytest.mark.parametrize("asked", config_questions(), ids=lambda asked: asked.model)
def test_the_reader_and_the_registry_give_the_drills_answer(asked: ConfigQuestion) -> None:
    """The drill's file, the reader of configs and the registry's sources each state kind and G on their own."""
    known = registered(asked)
    assert read_answer(read_config(asked.config)) == stated_answer(asked)
    assert read_answer(read_config(known.config)) == stated_answer(asked)
    assert known.stated.kv_heads == asked.num_kv_heads
    assert (known.stated.kind == "MLA") is (asked.kind == "MLA")


@pytest.mark.parametrize("asked", config_questions(), ids=lambda asked: asked.model)
def test_a_key_that_the_registry_records_too_has_the_same_value(asked: ConfigQuestion) -> None:
    shown, recorded = flat(asked.config), flat(registered(asked).config)
    both = shown.keys() & recorded.keys()
    assert {"model_type"} < both
    assert {key: shown[key] for key in both} == {key: recorded[key] for key in both}


def answers_with(asked: ConfigQuestion, dotted: str) -> set[tuple[str, int]]:
    """What the reader says once that key has another value, or is gone; a file that it refuses says nothing."""
    *outer, key = dotted.split(".")
    old = flat(asked.config)[dotted]
    others: list[Any] = [None]
    if isinstance(old, bool):
        others.append(not old)
    elif isinstance(old, int):
        # the other head counts of the file are what makes kinds change; up to 128, no count of heads is larger
        others += [
            2 * old,
            max(1, old // 2),
            *(count for count in flat(asked.config).values() if type(count) is int and count <= 128),
        ]
    elif isinstance(old, str):
        others.append("multiquery_attention")
    found = set()
    for other in others:
        changed = copy.deepcopy(asked.config)
        part = changed[outer[0]] if outer else changed
        del part[key]
        if other is not None:
            part[key] = other
        with contextlib.suppress(UnsupportedConfig):
            found.add(read_answer(read_config(changed)))
    return found


@pytest.mark.parametrize("asked", config_questions(), ids=lambda asked: asked.model)
def test_lines_marked_as_deciding_decide_and_the_others_do_not(asked: ConfigQuestion) -> None:
    """Each key is changed and taken away: under a deciding one the answer moves, under the others it stands."""
    for dotted in flat(asked.config):
        if dotted.rpartition(".")[2] not in NAMES:
            moved = answers_with(asked, dotted) - {stated_answer(asked)}
            assert bool(moved) is (dotted in asked.deciding), f"{dotted}: {moved}"
