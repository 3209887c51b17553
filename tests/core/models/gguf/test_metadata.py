"""read_metadata: what a header says the model attends to, whatever llama.cpp then allocates."""

from typing import Any

import pytest

from core.models.attention import (
    CompressedAttention,
    GroupedAttention,
    LatentAttention,
    NoAttention,
    ParallelLayer,
    RecurrentState,
    SharedCache,
)
from core.models.gguf.metadata import read_metadata
from core.models.rules.facts import UnsupportedConfig


def of(architecture: str, **keys: Any) -> dict[str, Any]:
    base = {"block_count": 2, "context_length": 4096, "embedding_length": 256, "attention.head_count": 4}
    named = base | {key.replace("__", "."): value for key, value in keys.items()}
    return {"general.architecture": architecture, **{f"{architecture}.{key}": value for key, value in named.items()}}


def test_absent_keys_mean_every_head_and_an_equal_share() -> None:
    spec = read_metadata(of("gpt2"))
    assert spec.layers == (GroupedAttention(num_query_heads=4, num_kv_heads=4, head_dim=64, value_dim=64),) * 2
    assert str(spec.declared_kv_heads) == "absent"
    assert {note.figure: note.source for note in spec.provenance}["num_kv_heads"] == "rule"


def test_a_number_a_layer_is_read_layer_by_layer() -> None:
    spec = read_metadata(of("deci", attention__head_count_kv=[2, 0], vocab_size=32))
    assert isinstance(spec.layers[1], NoAttention)
    assert spec.layers[0] == GroupedAttention(num_query_heads=4, num_kv_heads=2, head_dim=64, value_dim=64)
    assert spec.dimensions.vocab_size == 32
    with pytest.raises(UnsupportedConfig, match="holds 3 numbers for 2 layers"):
        read_metadata(of("deci", attention__head_count_kv=[2, 0, 1]))


def test_phi_3_s_window_is_the_model_s_though_llama_cpp_does_not_use_it() -> None:
    assert [layer.window for layer in read_metadata(of("phi3", attention__sliding_window=2047)).layers] == [2047, 2047]
    assert [layer.window for layer in read_metadata(of("llama", attention__sliding_window=2047)).layers] == [None, None]


def test_latent_attention_is_read_from_new_files_and_old_ones() -> None:
    """DeepSeek-V2-Lite: 512 latent and 64 rotary elements; heads of 192 and 128 once multiplied out."""
    new = of(
        "deepseek2", attention__head_count_kv=1, attention__key_length=576, attention__value_length=512,
        attention__kv_lora_rank=512, attention__key_length_mla=192, attention__value_length_mla=128,
    )  # fmt: skip
    old = of(
        "deepseek2", attention__head_count_kv=4, attention__key_length=192, attention__value_length=128,
        attention__kv_lora_rank=512, rope__dimension_count=64,
    )  # fmt: skip
    latent = LatentAttention(
        num_query_heads=4, latent_dim=512, rope_dim=64, expanded_key_dim=192, expanded_value_dim=128
    )
    assert read_metadata(new).layers == read_metadata(old).layers == (latent, latent)
    with pytest.raises(UnsupportedConfig, match="a file has both or neither"):
        read_metadata({**new, "deepseek2.attention.value_length_mla": 0})


def test_an_index_stands_beside_the_latent() -> None:
    spec = read_metadata(
        of("deepseek32", attention__head_count_kv=1, attention__key_length=160, attention__value_length=128,
           attention__kv_lora_rank=128, attention__key_length_mla=64, attention__value_length_mla=32,
           attention__indexer__key_length=64, attention__indexer__top_k=2048)
    )  # fmt: skip
    assert [(layer.index_key_dim, layer.index_topk) for layer in spec.layers] == [(64, 2048)] * 2


def test_deepseek_v4_keeps_a_window_and_compressed_entries() -> None:
    spec = read_metadata(
        of("deepseek4", block_count=3, attention__head_count_kv=1, attention__key_length=64,
           attention__value_length=64, attention__sliding_window=128, attention__compress_ratios=[0, 4, 128],
           attention__indexer__key_length=32, attention__indexer__top_k=512)
    )  # fmt: skip
    sliding, near, far = spec.layers
    assert sliding == GroupedAttention(num_query_heads=4, num_kv_heads=1, head_dim=64, value_dim=64, window=128)
    assert near == CompressedAttention(
        num_query_heads=4, head_dim=64, window=128, compress_rate=4, index_key_dim=32, index_topk=512
    )
    assert far == CompressedAttention(num_query_heads=4, head_dim=64, window=128, compress_rate=128)


def test_states_caches_that_are_shared_and_layers_that_keep_both() -> None:
    ssm = {"ssm__conv_kernel": 4, "ssm__inner_size": 512, "ssm__state_size": 32, "ssm__group_count": 1}
    elements = 3 * (512 + 64) + 512 * 32
    mamba = read_metadata(of("mamba2", attention__head_count=0, **ssm)).layers
    assert mamba == (RecurrentState(mechanism="Mamba-2", state_elements=elements, float32_elements=elements),) * 2
    both = read_metadata(of("falcon-h1", attention__head_count_kv=2, **ssm)).layers
    assert all(isinstance(layer, ParallelLayer) for layer in both)
    gemma = read_metadata(
        of("gemma4", block_count=4, attention__sliding_window=512, attention__shared_kv_layers=2,
           attention__sliding_window_pattern=[True, False, True, False])
    ).layers  # fmt: skip
    assert [layer.source_layer for layer in gemma if isinstance(layer, SharedCache)] == [0, 1]


def test_draft_layers_behind_the_trunk_are_left_out() -> None:
    assert len(read_metadata(of("glm4moe", block_count=5, nextn_predict_layers=1)).layers) == 4


@pytest.mark.parametrize(
    ("metadata", "says"),
    [
        ({}, "general.architecture is null"),
        ({"general.architecture": "clip"}, "projector"),
        ({"general.architecture": "llama", "general.type": "adapter"}, "adapter"),
        ({"general.architecture": "gptj"}, "no such model"),
        ({"general.architecture": "eagle3"}, "draft head"),
        ({"general.architecture": "llama"}, "llama.block_count is absent"),
        (of("llama", block_count=0), "takes 1 to 512 layers"),
        (of("llama", block_count=2**31), "whole number"),
        (of("llama", nextn_predict_layers=3), "more than the 2 layers"),
        (of("llama", attention__head_count_kv=8), "for 4 query heads"),
        (of("gemma4", attention__sliding_window=512), "needs an array"),
        (of("mimo2", attention__sliding_window_pattern=[True, False]), "sliding_window is absent"),
        (of("llama") | {"split.no": 1}, "split model"),
    ],
)
def test_what_cannot_be_read_is_refused_by_name(metadata: dict[str, Any], says: str) -> None:
    with pytest.raises(UnsupportedConfig, match=says):
        read_metadata(metadata)
