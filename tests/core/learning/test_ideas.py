"""The map of what came after G: every kind of layer and every registry model stands on it, and its figures are held."""

from typing import get_args

import pytest

from core.evidence.studies import published as evidence
from core.figures import ideas as figure
from core.figures.palette import palette
from core.learning import ideas
from core.learning.ideas import FORMATS, IDEAS, bytes_per_token, idea, of_layer, read_per_token, registry, standing
from core.learning.techniques.published import published
from core.models.attention import (
    CompressedAttention,
    GroupedAttention,
    LatentAttention,
    Layer,
    NoAttention,
    ParallelLayer,
    RecurrentState,
    SharedCache,
)

KEYS = {found.key for found in IDEAS}
GQA = GroupedAttention(num_query_heads=8, num_kv_heads=2, head_dim=64, value_dim=64)
STATE = RecurrentState(mechanism="Mamba-2", state_elements=64)
EXAMPLES = (
    (GQA, ("grouped",)),
    (
        LatentAttention(num_query_heads=8, latent_dim=512, rope_dim=64, index_topk=64, index_key_dim=32),
        ("latent", "sparse"),
    ),
    (STATE, ("fewer-layers",)),
    (SharedCache(source_layer=0, num_query_heads=8, num_kv_heads=2), ("shared",)),
    (NoAttention(reason="removed"), ("fewer-layers",)),
    (ParallelLayer(attention=GQA, recurrent=STATE), ("grouped",)),  # it caches like any other layer
    (
        CompressedAttention(num_query_heads=8, head_dim=64, window=128, compress_rate=4),
        ("grouped", "shorter", "compressed", "tied"),
    ),
)  # fmt: skip


def test_every_kind_of_layer_that_the_reader_knows_has_its_place() -> None:
    assert {type(layer) for layer, _ in EXAMPLES} == set(get_args(Layer))
    for layer, expected in EXAMPLES:
        assert of_layer(layer) == expected
        assert set(expected) <= KEYS


def test_plain_mha_stands_on_no_idea() -> None:
    assert of_layer(GroupedAttention(num_query_heads=8, num_kv_heads=8, head_dim=64, value_dim=64)) == ()


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Llama-2 7B", ()),
        ("Llama-3.1 8B", ("grouped",)),
        ("DeepSeek-V3", ("latent",)),
        ("DeepSeek-V3.2", ("latent", "sparse")),
        ("Qwen3-Next 80B-A3B", ("grouped", "fewer-layers")),
        ("gpt-oss-20b", ("grouped", "shorter")),
        ("Gemma-3n E4B", ("grouped", "shorter", "shared")),
        ("Nemotron Super 49B v1", ("grouped", "fewer-layers")),
    ],
)
def test_a_model_stands_where_its_layers_say(name: str, expected: tuple[str, ...]) -> None:
    assert next(standing(spec) for model, spec in registry() if model.name == name) == expected


def test_every_registry_model_is_on_the_map() -> None:
    assert {row["model"] for row in figure.map_rows()} == {model.name for model, _ in registry()}
    assert figure.map_chart(palette("light")).to_dict()
    assert "Llama-2 7B" in figure.map_alt_text()


def test_each_idea_is_drawn_and_says_what_it_attacks() -> None:
    for found in IDEAS:
        assert set(found.factors) <= set(ideas.FACTORS)
        assert figure.layout_chart(found.key, palette("dark")).to_dict()
        assert found.model is None or ideas.model_of(found) is not None
    with pytest.raises(KeyError):
        idea("nothing")


def test_sparse_reads_lower_what_is_read_and_not_what_is_stored() -> None:
    # DeepSeek-V3.2: 61 layers x (576 x 2 + 128 index bytes...) kept; 2,048 latents and every index key are read
    spec = ideas.model_of(idea("sparse"))
    assert spec is not None
    latents = 61 * 576 * 2
    index = bytes_per_token(spec) - latents
    assert index > 0
    assert read_per_token(spec) == pytest.approx(latents * 2048 / 32768 + index)


def test_bits_count_their_scales() -> None:
    # 4 + 8/32 and 4 + 8/16
    assert [ideas.stored_bits(name) for name in FORMATS] == [16, 8, 4.25, 4.5]
    size = ideas.size_of(idea("bits"))
    assert size is not None
    assert size.formats["NVFP4"] == 131_072 * 4.5 / 16


def test_engines_say_what_they_take() -> None:
    size = ideas.size_of(idea("latent"))
    assert size is not None
    assert size.kept == 61 * 576 * 2
    assert len(size.engines) == 4
    assert size.engines["SGLang 0.5.23"] == 61 * 576 * 2
    hybrid = ideas.size_of(idea("fewer-layers"))
    assert hybrid is not None
    # 12 layers x 2 x 2 heads x 256 x 2 bytes a token, and five slots of 77,266,944 bytes of states
    assert hybrid.engines["SGLang 0.5.23"] == pytest.approx(24_576 + 5 * 77_266_944 / 32_768)


def test_compressed_entries_have_the_engines_figures_and_who_has_none() -> None:
    size = ideas.size_of(idea("compressed"))
    assert size is not None
    assert size.name == "DeepSeek-V4-Flash"
    assert list(size.engines) == ["vLLM 0.33.0", "SGLang 0.5.23", "llama.cpp build 11434"]
    assert size.kept < size.engines["SGLang 0.5.23"] < size.engines["vLLM 0.33.0"]
    assert size.refused == {
        "mlx": "mlx: mlx-lm 0.32.2 has no class for model_type 'deepseek_v4'. Choose another engine."
    }


def test_fewer_bits_are_asked_of_the_engines_at_eight() -> None:
    """32 x 2 x 8 heads x 128 numbers: 8 bits each, in llama.cpp's q8_0 8.5, in MLX 16 more twice for 64."""
    size = ideas.size_of(idea("bits"))
    assert size is not None
    assert size.engine_bits == 8
    assert size.engines["vLLM 0.33.0"] == size.engines["SGLang 0.5.23"] == 65_536
    assert size.engines["llama.cpp build 11434"] == 65_536 * 8.5 / 8
    assert size.engines["mlx-lm 0.32.2"] == 65_536 * (8 + 2 * 16 / 64) / 8


def test_published_figures_are_those_of_the_evidence() -> None:
    said = " ".join(figure.says for found in IDEAS for figure in found.published)
    kivi = {row["model"]: row["coqa"] for row in published()["kivi"]["rows"]}
    assert f"{kivi['Llama-2-13B'][16]:.2f} to {kivi['Llama-2-13B'][4]:.2f}" in said
    assert f"{kivi['Falcon-7B'][16]:.2f} to {kivi['Falcon-7B'][2]:.2f}" in said
    mha, mla = published()["mla"]["rows"][:2]
    assert f"MLA {mla['mmlu']:.1f}, MHA {mha['mmlu']:.1f}" in said
    sinks = published()["sinks"]
    assert (
        f"{sinks['llama2_13b_window_only']:.2f}; with four first tokens kept {sinks['llama2_13b_four_sinks']:.2f}"
        in said
    )
    assert all(figure.arxiv and "Table" in figure.where for found in IDEAS for figure in found.published)
    assert evidence().comparisons
