"""Every rule against the class itself under changed keys: flags flipped, sizes changed, lists reversed, keys dropped.

A rule must give what transformers builds, or say that it is none (NotByRule). The seed is fixed; what is drawn here is
a small part of what was drawn when the rules were written.
"""

import dataclasses
import json
import random
import subprocess
import sys
from typing import Any

import pytest

from core.models.rules.facts import UnsupportedConfig
from core.parameters import NotByRule, count_by_rule
from core.parameters.classes import config_classes
from core.parameters.rules import model_types
from tests.core.parameters.test_by_rule import CASES

FIELDS = ("total", "embedding", "head", "tied", "routed_experts")
LAYER_KEYS = ("num_hidden_layers", "n_layer", "n_layers", "num_layers")
TRIES = 4


@pytest.mark.parametrize("model_type", sorted(model_types()))
def test_a_changed_config_is_counted_as_it_is_built(model_type: str) -> None:
    transformers = pytest.importorskip("transformers")
    from core.parameters.worker import count

    if model_type not in transformers.CONFIG_MAPPING:
        pytest.skip("a type of published code that transformers does not ship")
    chance = random.Random(model_type)
    names = sorted(config_classes()[model_type].defaults)
    for _ in range(TRIES):
        config = _base(model_type, chance)
        for name in chance.sample(names, min(3, len(names))):
            config[name] = _changed(config.get(name, config_classes()[model_type].defaults[name]), chance)
        try:
            said = count_by_rule(config)
        except (NotByRule, UnsupportedConfig):
            continue
        try:
            built = count(json.loads(json.dumps(config)))
        except Exception:  # noqa: BLE001 - what transformers does not build has no truth
            continue
        assert {name: getattr(said, name) for name in FIELDS} == {name: built[name] for name in FIELDS}, config


def _base(model_type: str, chance: random.Random) -> dict[str, Any]:
    own = [case["config"] for case in CASES if case["model_type"] == model_type]
    if own:
        return dict(chance.choice(own))
    defaults = config_classes()[model_type].defaults
    return {"model_type": model_type, **{key: 4 for key in LAYER_KEYS if isinstance(defaults.get(key), int)}}


def _changed(value: Any, chance: random.Random) -> Any:
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return chance.choice([value * 2, value + 1, max(value // 2, 1)])
    if isinstance(value, list):
        return value[::-1]
    return value


def test_the_table_of_classes_is_up_to_date() -> None:
    command = [sys.executable, "-m", "core.parameters.write_classes", "--check"]
    assert subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip() == "up to date"


def test_every_declared_default_is_plain_json() -> None:
    for entry in config_classes().values():
        assert json.loads(json.dumps(entry.defaults)) == entry.defaults
        assert dataclasses.is_dataclass(entry)
