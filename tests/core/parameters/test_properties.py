"""Counts by rule as properties: parts add up, more of anything is never less, hostile sizes end at once."""

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.api import UnsupportedConfig, count_parameters
from core.errors import SizingError
from core.parameters import count_by_rule
from core.parameters.formats import FORMATS, NAMED, named_storage
from core.parameters.gguf_mix import Build

SIZES = {
    "hidden_size": st.integers(1, 64).map(lambda n: 64 * n), "intermediate_size": st.integers(1, 9_000),
    "num_hidden_layers": st.integers(1, 90), "vocab_size": st.integers(1, 300_000),
}  # fmt: skip
CONFIGS = st.fixed_dictionaries(
    {
        **SIZES,
        "model_type": st.sampled_from(["llama", "mistral", "mixtral", "qwen2", "qwen3_moe", "gemma2", "olmo2", "phi3"]),
        "num_attention_heads": st.sampled_from([8, 16, 32]),
        "num_key_value_heads": st.sampled_from([1, 2, 8]),
        "head_dim": st.sampled_from([32, 64, 128]),
        "tie_word_embeddings": st.booleans(),
    }
)


@settings(max_examples=60, deadline=None)
@given(CONFIGS)
def test_parts_add_up_to_the_total(config: dict[str, Any]) -> None:
    count = count_by_rule(config)
    assert sum(count.parts.values()) == count.total
    assert count.active is not None
    assert 0 < count.active <= count.total
    assert count.routed_experts == sum(g.layers * g.num_experts * g.parameters_each for g in count.expert_groups)


@settings(max_examples=60, deadline=None)
@given(CONFIGS, st.sampled_from(sorted(SIZES)))
def test_the_total_grows_with_each_size(config: dict[str, Any], name: str) -> None:
    more = {**config, name: 2 * config[name]}
    assert count_by_rule(more).total > count_by_rule(config).total


@settings(max_examples=40, deadline=None)
@given(CONFIGS, st.sampled_from(sorted(NAMED)))
def test_no_format_stores_more_than_32_bits_a_weight_or_fewer_than_2(config: dict[str, Any], name: str) -> None:
    count = count_by_rule(config)
    build = Build(layers=config["num_hidden_layers"], query_heads=8, kv_heads=2, hidden_size=config["hidden_size"],
                  ffn_width=config["intermediate_size"], num_experts=0)  # fmt: skip
    assert 2 * count.total < named_storage(name, build).bits_stored(count) <= 32 * count.total
    assert name in FORMATS


@pytest.mark.parametrize("size", [10**9, 10**18, 10**400, -1, 0, True, "7", 1.5, [], None])
@pytest.mark.parametrize("key", ["num_hidden_layers", "hidden_size", "vocab_size", "num_local_experts"])
def test_hostile_sizes_are_refused_or_counted_without_building_anything(
    key: str, size: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing reaches the worker: a size that no rule takes is refused before it is asked, or asked of None here."""

    def asked(config: object, timeout: float) -> dict[str, str]:
        return {"error": "not built in this test"}

    monkeypatch.setattr("core.parameters.meta._WORKER.ask", asked)
    config = {"model_type": "mixtral", "num_hidden_layers": 2, key: size}
    with suppress(UnsupportedConfig, SizingError):
        assert count_parameters(config).total > 0
