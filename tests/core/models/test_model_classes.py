"""The table of configuration classes, and our rules for layer kinds, against the classes that are installed."""

import json
import subprocess
import sys
from typing import Any

import pytest

from core.models.rules.class_defaults import model_classes
from core.models.rules.fields import ConfigPart
from core.models.rules.kinds import OLDER_NAMES
from core.models.rules.layer_kinds import COMPUTED, PATTERNS, layer_kinds

COMPARE = """
import json, sys, warnings
warnings.simplefilter("ignore")
from transformers.models.auto.configuration_auto import CONFIG_MAPPING
answers = {}
for name, config in json.load(sys.stdin):
    if name not in CONFIG_MAPPING:
        answers[name] = []
        continue
    try:
        kinds = list(CONFIG_MAPPING[name](**config).layer_types)
    except Exception as error:
        kinds = type(error).__name__
    answers.setdefault(name, []).append(kinds)
json.dump(answers, sys.stdout)
"""
LAYERS = (1, 2, 3, 5, 6, 7, 12, 24, 35)
VARIATIONS: dict[str, list[dict[str, Any]]] = {
    "afmoe": [{"global_attn_every_n_layers": 3, "num_hidden_layers": 7}],
    "bailing_hybrid": [{"layer_group_size": 3, "num_hidden_layers": 7}],
    "cohere2": [{"sliding_window_pattern": 3, "num_hidden_layers": 7}],
    "dots1": [{"sliding_window": 8, "max_window_layers": 3, "num_hidden_layers": 7}],
    "exaone4": [{"sliding_window_pattern": 3, "sliding_window": 8, "num_hidden_layers": 7}],
    "gemma3_text": [{"sliding_window_pattern": 2, "num_hidden_layers": 7}],
    "llama4_text": [
        {"no_rope_layer_interval": 3, "num_hidden_layers": 7},
        {"no_rope_layers": [1, 0, 1], "num_hidden_layers": 3},
    ],
    "qwen2": [
        {"use_sliding_window": True, "sliding_window": 8, "max_window_layers": 3, "num_hidden_layers": 7},
        {"use_sliding_window": False, "sliding_window": 8, "max_window_layers": 3, "num_hidden_layers": 7},
    ],
    "qwen2_moe": [{"use_sliding_window": True, "sliding_window": 8, "max_window_layers": 3, "num_hidden_layers": 7}],
    "qwen3_next": [{"full_attention_interval": 3, "num_hidden_layers": 7}],
    "smollm3": [{"use_sliding_window": True, "sliding_window": 8, "num_hidden_layers": 9}],
}  # fmt: skip
# their lists are derived under another name, or from lists that a plain count does not fit
ELSEWHERE = COMPUTED | {"deci", "nemotron-nas", "nemotron_h", "gpt_neo", "lfm2_moe", "minimax_m3_vl_text"}
COMPARED = sorted(name for name in PATTERNS if name not in ELSEWHERE and name in model_classes())


@pytest.fixture(scope="module")
def class_answers() -> dict[str, list[list[str] | str]]:
    questions = [(name, config) for name in COMPARED for config in questions_for(name)]
    done = subprocess.run(
        [sys.executable, "-c", COMPARE], input=json.dumps(questions), capture_output=True, text=True, check=True
    )
    answers: dict[str, list[list[str] | str]] = json.loads(done.stdout)
    return answers


def questions_for(name: str) -> list[dict[str, Any]]:
    return [{"num_hidden_layers": layers} for layers in LAYERS] + VARIATIONS.get(name, [])


@pytest.mark.parametrize("name", COMPARED)
def test_layer_kinds_equal_those_of_the_installed_class(
    name: str, class_answers: dict[str, list[list[str] | str]]
) -> None:
    if not class_answers[name]:
        pytest.skip("the installed transformers is older than this class")
    compared = 0
    for config, expected in zip(questions_for(name), class_answers[name], strict=True):
        if isinstance(expected, str):
            continue  # the class itself refuses that number of layers
        part = ConfigPart(raw=config, path="", model_type=name, model_class=model_classes()[name])
        ours = layer_kinds(part, config["num_hidden_layers"]).kinds
        assert list(ours) == [OLDER_NAMES.get(kind, kind) for kind in expected], config
        compared += 1
    assert compared >= 3


@pytest.mark.torch
def test_the_table_is_what_the_installed_classes_say() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "core.models.rules.write_model_classes", "--check"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout[-500:]


def test_the_table_knows_where_the_classes_are_special() -> None:
    classes = model_classes()
    assert len(classes) > 700
    # FalconConfig has no num_key_value_heads; Gemma-3's class gives 4 KV heads of 256; Mistral's a window of 4,096
    assert "num_key_value_heads" not in classes["falcon"].defaults
    assert classes["gemma3_text"].defaults["num_key_value_heads"] == 4
    assert classes["gemma3_text"].defaults["head_dim"] == 256
    assert classes["mistral"].defaults["sliding_window"] == 4_096
    assert classes["llava"].parts["text_config"].model_type == "llama"
