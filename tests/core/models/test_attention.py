"""The layers: hand arithmetic, and properties that hold for every layout."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.models.attention import (
    GroupedAttention,
    LatentAttention,
    Layer,
    NoAttention,
    ParallelLayer,
    RecurrentState,
    SharedCache,
    kind_of,
)
from core.models.spec import ModelDimensions, ModelSpec


def test_grouped_attention_keeps_keys_and_values_of_each_kv_head() -> None:
    # Llama-3 8B, one layer: 8 KV heads x (128 + 128) = 2,048 elements per token
    layer = GroupedAttention(num_query_heads=32, num_kv_heads=8, head_dim=128, value_dim=128)
    assert layer.cached_elements(1) == 2_048
    assert layer.cached_elements(8_192) == 2_048 * 8_192
    assert layer.kind == "GQA"


def test_a_window_caps_the_tokens() -> None:
    layer = GroupedAttention(num_query_heads=32, num_kv_heads=8, head_dim=128, value_dim=128, window=4_096)
    assert layer.cached_elements(4_095) == 2_048 * 4_095
    assert layer.cached_elements(4_096) == layer.cached_elements(1_000_000) == 2_048 * 4_096


def test_latent_attention_keeps_one_vector_per_token() -> None:
    # DeepSeek-V3: 512 + 64 = 576 (DeepSeek-V2 paper, section 2.1.4, same widths)
    layer = LatentAttention(num_query_heads=128, latent_dim=512, rope_dim=64)
    assert (layer.cached_elements(1), layer.cached_elements(1_000), layer.kind) == (576, 576_000, "MLA")


@pytest.mark.parametrize(
    ("layer", "state"),
    [
        (RecurrentState(mechanism="Mamba", state_elements=100, float32_elements=80), 100),
        (SharedCache(source_layer=3, num_query_heads=8, num_kv_heads=2), 0),
        (NoAttention(reason="feed-forward only"), 0),
    ],
)
def test_layers_without_a_cache_of_their_own_keep_no_tokens(layer: Layer, state: int) -> None:
    assert layer.cached_elements(123_456) == 0
    assert layer.state_elements == state


def test_a_parallel_layer_keeps_what_both_keep() -> None:
    attention = GroupedAttention(num_query_heads=8, num_kv_heads=2, head_dim=16, value_dim=16)
    layer = ParallelLayer(attention=attention, recurrent=RecurrentState(mechanism="Mamba-2", state_elements=7))
    assert (layer.cached_elements(3), layer.state_elements, layer.kind) == (3 * 2 * 32, 7, "GQA")


@pytest.mark.parametrize(
    ("query", "kv", "kind"), [(32, 32, "MHA"), (32, 8, "GQA"), (32, 1, "MQA"), (1, 1, "MHA"), (71, 1, "MQA")]
)
def test_kinds(query: int, kv: int, kind: str) -> None:
    assert kind_of(query, kv) == kind


def test_state_in_float32_counts_four_bytes_whatever_the_cache_type() -> None:
    # 20 elements in the cache's own type, 80 in float32: 20 x 2 + 80 x 4 = 360
    layer = RecurrentState(mechanism="Mamba", state_elements=100, float32_elements=80)
    spec = ModelSpec(model_type="x", layers=(layer,), dimensions=ModelDimensions(hidden_size=1))
    assert (spec.state_bytes(bytes_per_element=2), spec.state_bytes(bytes_per_element=4)) == (360, 400)
    assert spec.state_bytes(batch_size=3, bytes_per_element=2) == 1_080


UNHURRIED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # a busy machine is no failure
heads = st.sampled_from([1, 2, 4, 8, 16])
widths = st.integers(1, 512)
windows = st.none() | st.integers(1, 5_000)
states = st.builds(RecurrentState, mechanism=st.just("x"), state_elements=st.integers(0, 10**6))


def attending(window: st.SearchStrategy[int | None]) -> st.SearchStrategy[Layer]:
    grouped = st.builds(
        GroupedAttention,
        num_query_heads=st.just(16),
        num_kv_heads=heads,
        head_dim=widths,
        value_dim=widths,
        window=window,
    )
    latent = st.builds(
        LatentAttention, num_query_heads=st.just(16), latent_dim=widths, rope_dim=st.integers(0, 64), window=window
    )
    parallel = st.builds(ParallelLayer, attention=grouped, recurrent=states)
    return st.one_of(grouped, latent, parallel)


no_attention = st.one_of(states, st.builds(NoAttention, reason=st.just("x")))
layers = st.lists(attending(windows) | no_attention, max_size=8)
windowed_layers = st.lists(attending(st.integers(1, 5_000)) | no_attention, max_size=8)


def spec_of(some: list[Layer]) -> ModelSpec:
    return ModelSpec(model_type="x", layers=tuple(some), dimensions=ModelDimensions(hidden_size=1))


def window_of(layer: Layer) -> int | None:
    inner = layer.attention if isinstance(layer, ParallelLayer) else layer
    return inner.window if isinstance(inner, GroupedAttention | LatentAttention) else 0


@UNHURRIED
@given(layers, st.integers(0, 10_000), st.integers(1, 64))
def test_the_cache_is_linear_in_the_batch(some: list[Layer], context: int, batch: int) -> None:
    spec = spec_of(some)
    one = spec.kv_cache_bytes(context_length=context)
    assert spec.kv_cache_bytes(context_length=context, batch_size=batch) == batch * one
    assert spec.state_bytes(batch_size=batch) == batch * spec.state_bytes()


@UNHURRIED
@given(layers, st.integers(0, 10_000), st.integers(0, 10_000))
def test_the_cache_never_shrinks_with_the_context(some: list[Layer], context: int, more: int) -> None:
    spec = spec_of(some)
    assert spec.kv_cache_bytes(context_length=context) <= spec.kv_cache_bytes(context_length=context + more)


@UNHURRIED
@given(widths, widths, windows, st.integers(1, 10_000))
def test_the_cache_grows_with_every_kv_head(key: int, value: int, window: int | None, context: int) -> None:
    sizes = [
        GroupedAttention(
            num_query_heads=16, num_kv_heads=count, head_dim=key, value_dim=value, window=window
        ).cached_elements(context)
        for count in (1, 2, 4, 8, 16)
    ]
    assert sizes == [sizes[0] * count for count in (1, 2, 4, 8, 16)]
    assert sizes[0] > 0


@UNHURRIED
@given(windowed_layers, st.integers(0, 10_000))
def test_the_cache_is_constant_once_every_window_is_full(some: list[Layer], more: int) -> None:
    spec = spec_of(some)
    longest = max((window_of(layer) or 0 for layer in some), default=0)
    full = spec.kv_cache_bytes(context_length=longest)
    assert spec.kv_cache_bytes(context_length=longest + more) == full
