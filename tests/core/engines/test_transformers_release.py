"""The command that absorbs a release: what it calls new, exact, wrong and refused, by a table and cache of our own."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from core.engines import transformers_release as release
from core.engines.release_cases import small, variations
from core.engines.release_needs import NEEDS, OUTER
from core.models.rules import class_defaults
from core.models.rules.text_part import nested_text_types


@pytest.fixture(autouse=True)
def _table_of_the_file() -> Iterator[None]:
    yield
    class_defaults._IN_PLACE.clear()
    class_defaults.model_classes.cache_clear()
    nested_text_types.cache_clear()


def cache(tokens: int = 40, heads: int = 2, layers: int = 6, states: int = 0) -> dict[str, Any]:
    """What the worker says of layers of `heads` x 24, bfloat16, batch 2."""
    held = 2 * heads * tokens * 24 * 2 * 2
    shape = [2, heads, tokens, 24]
    layer = {"class": "DynamicLayer", "key_shape": shape, "value_shape": shape, "state_shapes": [], "kv_bytes": held}
    said = {"model_class": "M", "transformers_version": "9", "context_length": 40, "batch_size": 2}
    return said | {"layers": [layer | {"state_bytes": states, "indexer_bytes": 0}] * layers}


def test_new_and_changed_types_are_named_and_looked_at(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    table = class_defaults.as_table()
    after = table | {"newcomer": table["llama"], "qwen3": table["qwen3"] | {"class": "Qwen3ConfigAgain"}}
    monkeypatch.setattr(release.write_model_classes, "table", lambda: after)
    monkeypatch.setattr(release, "answer_to", lambda question: cache())
    assert release.main([]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == "New in the installed transformers: newcomer."
    assert printed[1] == "Changed in what a cache depends on: qwen3."
    assert printed[2] == "exact      newcomer: small"
    last = json.loads(printed[-1])
    assert (last["new"], last["changed"], last["types"], last["exact"]) == (1, 1, 2, 2)


@pytest.mark.parametrize(
    ("config", "answer", "verdict", "says"),
    [
        ({}, cache(), "exact", ""),
        ({}, cache(heads=4), "wrong", "6 layers differ, the first is 0 (GQA): 15,360 bytes read, 30,720 held"),
        ({}, cache(states=8), "wrong", "states: 0 bytes read, 48 held"),
        ({"num_key_value_heads": "two"}, cache(), "refused", 'num_key_value_heads is "two": a whole number'),
        ({}, {"error": "ValueError: no"}, "not built", "ValueError: no"),
        ({"num_key_value_heads": "two"}, {"error": "ValueError: no"}, "neither", ""),
    ],
)
def test_a_reading_is_laid_beside_the_cache(
    monkeypatch: pytest.MonkeyPatch, config: dict[str, Any], answer: dict[str, Any], verdict: str, says: str
) -> None:
    monkeypatch.setattr(release, "answer_to", lambda question: answer)
    look = release.look_at("llama", "small", small("llama") | config)
    assert look.verdict == verdict
    assert look.said.startswith(says)


def test_a_small_config_is_spelled_as_its_class_spells_it() -> None:
    assert small("gpt2")["n_embd"] == 128
    assert small("gemma3")["text_config"]["model_type"] == "gemma3_text"
    assert small("deepseek_v3")["num_key_value_heads"] == 8


def test_a_list_of_kinds_is_tried_under_every_name_of_its_class() -> None:
    cases = dict(variations("granitemoehybrid"))
    lists = [case for case in cases if "a list of 6, first sliding_attention" in case]
    assert any(case.startswith("layers_block_type") for case in lists)
    assert any(case.startswith("layer_types") for case in lists)
    assert dict(variations("inkling_text"))["local_layer_ids a list of 2, first 1"]["local_layer_ids"] == [1, 3]
    assert "intermediate_size" not in cases["intermediate_size left out"]


def test_a_nested_model_is_tried_in_other_places_and_varied_where_it_stands_in_no_file_alone() -> None:
    nested = dict(variations("aya_vision"))  # Cohere 2, which has files of its own
    assert nested["text_config as llm_config"]["llm_config"]["model_type"] == "cohere2"
    assert nested["text_config at the top"]["model_type"] == "aya_vision"
    assert len(nested) == 6
    alone = dict(variations("step3p7"))
    assert alone["text_config: sliding_window 7"]["text_config"]["sliding_window"] == 7


def test_what_a_class_needs_to_build_is_said_of_types_that_are_known() -> None:
    known = class_defaults.model_classes()
    assert NEEDS.keys() | OUTER.keys() <= known.keys()
    assert small("deepseek_v3")["n_group"] == 1  # eight groups of four experts have none each
    assert small("cosmos3_edge")["text_config"]["rope_parameters"]["mrope_section"] == [4, 4, 4]
    assert small("dots3_note")["audio_config"] == {"adapter_out_dim": 128}
