"""Every config whose cache transformers really allocated: bytes, states, heads and widths, layer by layer."""

from typing import Any

import pytest

from core.engines.definitions import transformers_stored
from core.models.attention import GroupedAttention, LatentAttention, Layer, ParallelLayer
from core.models.spec import UnsupportedConfig, read_config
from tests.core.measured_cases import measured_cases

CASES = measured_cases()
PLAIN = [case for case in CASES if not set(case["tags"]) & {"stray", "encdec", "exotic"}]
SPECIAL = [case for case in CASES if set(case["tags"]) & {"stray", "encdec", "exotic"}]
# What is measured there is not the state: RecurrentGemma keeps it outside the cache
STATE_ELSEWHERE = ("recurrent_gemma",)


def named(case: dict[str, Any]) -> str:
    return str(case["case"])


def job(run: dict[str, Any]) -> dict[str, Any]:
    return {"context_length": run["seq"], "batch_size": run["batch"], "bytes_per_element": run["dtype_bytes"]}


@pytest.mark.parametrize("case", PLAIN, ids=named)
def test_payload_equals_the_measured_cache(case: dict[str, Any]) -> None:
    spec = read_config(case["config"])
    for run in case["truth"]:
        assert spec.kv_cache_bytes(**job(run)) == run["architecture"]
        assert spec.cache_bytes(**job(run)) == run["with_indexer"]
        assert transformers_stored(spec, **job(run)).total_bytes == run["transformers_dynamic"]
        if case["model_type"] not in STATE_ELSEWHERE:
            state = spec.state_bytes(batch_size=run["batch"], bytes_per_element=run["dtype_bytes"])
            assert state == run["state_bytes"]
        if run["expanded_mla"] is not None:
            assert transformers_stored(spec, **job(run), expanded_latent=True).total_bytes == run["expanded_mla"]


@pytest.mark.parametrize("case", PLAIN, ids=named)
def test_heads_and_widths_of_every_layer(case: dict[str, Any]) -> None:
    facts = case["facts"]
    kept = [inner for layer in read_config(case["config"]).layers if (inner := attention(layer)) is not None]
    assert [heads(layer) for layer in kept] == facts["kv_heads_distinct_per_layer"]
    assert [stored(layer) for layer in kept] == facts["kv_heads_stored_per_layer"]
    assert [widths(layer) for layer in kept] == list(
        zip(facts["head_dim_k_per_layer"], facts["head_dim_v_per_layer"], strict=True)
    )
    query = facts["query_heads"]
    if query is not None and kept:
        assert {layer.num_query_heads for layer in kept} == set(query if isinstance(query, list) else [query])


@pytest.mark.parametrize("case", SPECIAL, ids=named)
def test_unusual_files_are_read_right_or_refused(case: dict[str, Any]) -> None:
    """Keys that the class does not know, encoder-decoders, caches that are no keys and values."""
    try:
        spec = read_config(case["config"])
    except UnsupportedConfig as error:
        assert len(str(error)) > 40  # noqa: PT017 - either outcome is right, and a refusal says why
        return
    for run in case["truth"]:
        assert spec.kv_cache_bytes(**job(run)) == run["architecture"]


def test_none_of_the_usual_files_is_refused_and_few_of_the_others() -> None:
    refused = 0
    for case in CASES:
        try:
            read_config(case["config"])
        except UnsupportedConfig:
            refused += 1
    assert len(PLAIN) == 1_448
    assert refused <= 45


def attention(layer: Layer) -> GroupedAttention | LatentAttention | None:
    inner = layer.attention if isinstance(layer, ParallelLayer) else layer
    return inner if isinstance(inner, GroupedAttention | LatentAttention) else None


def heads(layer: GroupedAttention | LatentAttention) -> int:
    return layer.num_kv_heads if isinstance(layer, GroupedAttention) else 1


def stored(layer: GroupedAttention | LatentAttention) -> int:
    broadcast = isinstance(layer, GroupedAttention) and layer.broadcast_when_stored
    return layer.num_query_heads if broadcast else heads(layer)


def widths(layer: GroupedAttention | LatentAttention) -> tuple[int, int]:
    if isinstance(layer, GroupedAttention):
        return layer.head_dim, layer.value_dim
    return layer.latent_dim, layer.rope_dim
