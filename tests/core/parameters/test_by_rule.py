"""Rules against what transformers 5.23.0 built (tests/data/parameters.json.gz) and against published totals."""

import gzip
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.models.registry import load_registry
from core.models.rules.facts import UnsupportedConfig
from core.parameters import NotByRule, ParameterCount, count_by_rule
from core.parameters.by_rule import ONLY_NESTED

CASES = json.loads(gzip.decompress((Path(__file__).parents[2] / "data" / "parameters.json.gz").read_bytes()))
# Totals of the safetensors files on the model pages; what a repository holds beside the model is named
PUBLISHED = {
    "meta-llama/Llama-2-13b-hf": 13_015_864_320,
    "meta-llama/Llama-3.1-405B": 405_853_388_800,
    "mistralai/Mixtral-8x7B-v0.1": 46_702_792_704,
    "mistralai/Mixtral-8x22B-v0.1": 140_620_634_112,
    "tiiuae/falcon-7b": 7_217_189_760 - 65_024 * 4_544,  # the file holds the tied output matrix a second time
    "deepseek-ai/DeepSeek-V2-Lite": 15_706_484_224,
    # with the 58 x 256 correction biases of the router, which are no parameters in transformers
    "deepseek-ai/DeepSeek-V3": 671_026_419_200 - 58 * 256,
    "Qwen/Qwen3-30B-A3B": 30_532_122_624,
    "Qwen/Qwen3-235B-A22B": 235_093_634_560,
    "Qwen/Qwen3-8B": 8_190_735_360,
    "allenai/OLMo-2-1124-7B": 7_298_617_344,
    "google/gemma-2-9b": 9_241_705_984,
    "THUDM/chatglm3-6b": 6_243_584_000,
    "databricks/dbrx-instruct": 131_596_523_520,
    "ai21labs/Jamba-v0.1": 51_570_323_328,
    "mistralai/Mamba-Codestral-7B-v0.1": 7_285_403_648,
}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_a_rule_gives_what_transformers_built_or_says_that_it_is_none(case: dict[str, Any]) -> None:
    try:
        count = count_by_rule(case["config"])
    except NotByRule:
        return
    said = {name: getattr(count, name) for name in case["truth"]}
    assert said == case["truth"]
    assert sum(count.parts.values()) == count.total
    assert count.source == "rule"


def test_how_many_cases_a_rule_covers() -> None:
    verdicts = Counter(_by_rule(case["config"]) for case in CASES)
    assert verdicts[True] >= 347


def _by_rule(config: dict[str, Any]) -> bool:
    try:
        count_by_rule(config)
    except NotByRule:
        return False
    return True


@pytest.mark.parametrize("repository", PUBLISHED)
def test_published_totals(repository: str) -> None:
    config = next(model.config for model in load_registry() if model.repository == repository)
    assert count_by_rule(config).total == PUBLISHED[repository]


@pytest.mark.parametrize(
    ("repository", "billions"),
    [("mistralai/Mixtral-8x7B-v0.1", 12.9), ("deepseek-ai/DeepSeek-V3", 37.6), ("Qwen/Qwen3-235B-A22B", 22.2)],
)
def test_what_a_token_uses(repository: str, billions: float) -> None:
    """12.9 B (Mixtral, arXiv 2401.04088), 37 B (DeepSeek-V3, 2412.19437) and 22 B are the published active ones."""
    config = next(model.config for model in load_registry() if model.repository == repository)
    active = count_by_rule(config).active
    assert active is not None
    assert round(active / 1e9, 1) == billions


@pytest.mark.parametrize("model_type", sorted(ONLY_NESTED))
def test_a_text_part_alone_is_left_to_the_class_that_is_built(model_type: str) -> None:
    """Alone it has no head, inside its nesting type it has one: a rule that added one was off by vocabulary x width."""
    with pytest.raises(NotByRule, match="without a head"):
        count_by_rule({"model_type": model_type, "num_hidden_layers": 2})


def test_a_mixtral_layer_by_hand() -> None:
    """Layers 1, hidden 8, 2 of 4 heads of 4 with G 1, 3 experts of width 5, 10 words: each part by hand."""
    config = {
        "model_type": "mixtral", "num_hidden_layers": 1, "hidden_size": 8, "num_attention_heads": 2, "head_dim": 4,
        "num_key_value_heads": 1, "num_local_experts": 3, "num_experts_per_tok": 2, "intermediate_size": 5,
        "vocab_size": 10,
    }  # fmt: skip
    count = count_by_rule(config)
    assert count.parts == {
        "embedding": 80,
        "attention": 2 * 8 * 8,
        "kv_projections": 2 * 8 * 4,
        "routed_experts": 3 * 3 * 8 * 5,
        "routers": 3 * 8,
        "norms": 3 * 8,
        "head": 80,
    }
    assert (count.total, count.active) == (760, 640)


SIZES = ("num_hidden_layers", "hidden_size", "intermediate_size", "vocab_size", "num_key_value_heads", "head_dim")
DRAWN = st.fixed_dictionaries({name: st.integers(1, 64) for name in SIZES})


@given(
    model_type=st.sampled_from(["llama", "qwen2", "qwen3", "gemma2", "olmo2", "phi", "starcoder2", "mixtral", "glm4"]),
    sizes=DRAWN,
    larger=st.sampled_from(SIZES),
    more=st.integers(1, 9),
)
@settings(max_examples=200, deadline=None)
def test_the_total_grows_with_each_size(model_type: str, sizes: dict[str, int], larger: str, more: int) -> None:
    config = {"model_type": model_type, "num_attention_heads": 4, **sizes}
    small, large = count_by_rule(config), count_by_rule({**config, larger: sizes[larger] + more})
    assert sum(small.parts.values()) == small.total
    assert large.total > small.total


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"num_hidden_layers": 10**9}, r"num_hidden_layers is 1,000,000,000: no model has more than 10,000 layers"),
        ({"hidden_size": 10**13}, r"hidden_size is 1e\+13: no model has more than 1,000,000,000,000"),
        ({"vocab_size": 10**5000}, r"vocab_size has 4,153 hexadecimal digits"),
    ],
)
def test_sizes_that_no_model_has_are_refused_by_name(change: dict[str, int], message: str) -> None:
    with pytest.raises(UnsupportedConfig, match=message):
        count_by_rule({"model_type": "llama", **change})


@pytest.mark.parametrize(
    "change",
    [
        {"hidden_size": "4096"}, {"hidden_size": 4096.0}, {"hidden_size": True}, {"hidden_size": None},
        {"attention_bias": "yes"}, {"vocab_size": 0}, {"num_hidden_layers": -1},
        {"per_layer_config": {"0": {"num_key_value_heads": 1}}},
    ],
)  # fmt: skip
def test_what_a_rule_cannot_take_at_its_word_is_not_counted_by_it(change: dict[str, Any]) -> None:
    with pytest.raises(NotByRule):
        count_by_rule({"model_type": "llama", **change})


def test_a_key_that_the_class_reads_and_the_rule_does_not_is_not_counted_by_it() -> None:
    """transformers applies per_layer_config to any class, and one layer would weigh less then."""
    with pytest.raises(NotByRule, match="per_layer_config is an object"):
        count_by_rule({"model_type": "qwen3", "per_layer_config": {"0": {"head_dim": 64}}})


def test_a_count_can_be_a_key() -> None:
    count = count_by_rule({"model_type": "llama"})
    assert hash(count) == hash(count_by_rule({"model_type": "llama"}))
    assert isinstance(count, ParameterCount)


# Counts of transformers 5.24's class on the meta device
M3 = {
    "model_type": "minimax_m3_vl_text", "hidden_size": 64, "num_hidden_layers": 4, "num_attention_heads": 4,
    "num_key_value_heads": 2, "head_dim": 16, "vocab_size": 100, "intermediate_size": 32, "num_local_experts": 4,
    "num_experts_per_tok": 2, "dense_intermediate_size": 96, "shared_intermediate_size": 48,
}  # fmt: skip
M3_MIXED = M3 | {
    "moe_layer_freq": [0, 1, 1, 0],
    "sparse_attention_config": {
        "sparse_attention_freq": [0, 1, 0, 1], "sparse_index_dim": 24, "sparse_num_index_heads": 3,
    },
}  # fmt: skip
M3_TOWER = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}


@pytest.mark.parametrize(
    ("config", "total"),
    [
        (M3, 198_848),
        (M3_MIXED, 180_000),
        (M3_MIXED | {"tie_word_embeddings": True}, 173_600),
        (
            {"model_type": "minimax_m3_vl", "text_config": M3_MIXED, "vision_config": M3_TOWER}
            | {"projector_hidden_size": 40},
            251_632,
        ),
    ],
)
def test_minimax_m3_counts_indexes_dense_layers_and_its_tower(config: dict[str, Any], total: int) -> None:
    count = count_by_rule(config)
    assert count.total == sum(count.parts.values()) == total


@pytest.mark.parametrize("said", [[1], "hidden_size", 1])
def test_a_switch_that_is_no_boolean_is_not_counted_by_rule(said):
    config = {
        "model_type": "llama", "hidden_size": 32, "intermediate_size": 48, "num_attention_heads": 4,
        "num_hidden_layers": 2, "vocab_size": 64, "tie_word_embeddings": said,
    }  # fmt: skip
    with pytest.raises(NotByRule, match="tie_word_embeddings"):
        count_by_rule(config)
