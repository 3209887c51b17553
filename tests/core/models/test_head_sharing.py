"""Layouts: literal bytes from config.json facts by hand arithmetic, and properties over every H."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.models.head_sharing import PRESETS, Layout, LayoutError, alt_text, divisors, formula, sentence

SHAPES = {
    # name: (H, G, head_dim, layers, kind, bytes per token in bf16 = 2 x L x G x head_dim x 2)
    "Llama-2 70B": (64, 8, 128, 80, "GQA", 327_680),
    "Mistral 7B": (32, 8, 128, 32, "GQA", 131_072),
    "Falcon 7B": (71, 1, 64, 32, "MQA", 8_192),
    "Falcon 40B": (128, 8, 64, 60, "GQA", 122_880),
    "Llama-2 13B": (40, 40, 128, 40, "MHA", 819_200),
}


@pytest.mark.parametrize("preset", PRESETS, ids=lambda preset: preset.name)
def test_presets_are_the_published_shapes(preset):
    layout = preset.layout
    found = (
        layout.num_query_heads,
        layout.num_kv_heads,
        layout.head_dim,
        layout.num_layers,
        layout.kind,
        layout.kv_bytes_per_token,
    )
    assert found == SHAPES[preset.name]


def test_divisors_of_the_headline_model():
    assert divisors(40) == [1, 2, 4, 5, 8, 10, 20, 40]
    assert divisors(71) == [1, 71]  # prime: Falcon-7B had no choice between MQA and MHA


def test_consecutive_query_heads_share():
    layout = Layout(num_query_heads=8, num_kv_heads=2)
    assert [layout.kv_head_of(i) for i in range(8)] == [0, 0, 0, 0, 1, 1, 1, 1]


@pytest.mark.parametrize(
    ("heads", "kv_heads", "says"),
    [
        (40, 3, "G = 3 does not divide H = 40: choose one of 1, 2, 4, 5, 8, 10, 20, 40."),
        (0, 1, "query heads H is 0: give a whole number from 1 to 512."),
        (513, 1, "query heads H is 513"),
        (8, 16, "KV heads G is 16: give a whole number from 1 to 8."),
        (8, True, "KV heads G is True"),
        (8.0, 1, "query heads H is 8.0"),
        ("8", 1, "query heads H is '8'"),
    ],
)
def test_impossible_layouts_are_refused_by_name(heads, kv_heads, says):
    with pytest.raises(LayoutError, match=says.replace(".", r"\.")):
        Layout(num_query_heads=heads, num_kv_heads=kv_heads)


def test_sentences_name_the_kind_and_the_numbers():
    gqa = Layout(num_query_heads=64, num_kv_heads=8)
    assert sentence(gqa) == (
        "GQA: 64 query heads share 8 key and value heads, 8 to each. The cache is 8 times smaller than MHA's."
    )
    assert sentence(gqa.with_kv_heads(64)).startswith("MHA: each of the 64 query heads keeps")
    assert sentence(gqa.with_kv_heads(1)).startswith("MQA: all 64 query heads read one")


def test_alt_text_says_what_the_picture_shows():
    text = alt_text(Layout(num_query_heads=64, num_kv_heads=8))
    assert "a row of 64 query heads" in text
    assert "4,096 bytes per token and layer, 12.5% of MHA's" in text


def test_formula_puts_the_numbers_in():
    text = formula(PRESETS[0].layout)
    for factor in (r"{80}_{L}", r"{8}_{G}", r"{128}_{\text{head\_dim}}", "327{,}680"):
        assert factor in text


@given(heads=st.integers(1, 512), data=st.data())
def test_bytes_are_linear_in_g_and_every_kv_head_serves_equally(heads, data):
    kv_heads = data.draw(st.sampled_from(divisors(heads)))
    layout = Layout(num_query_heads=heads, num_kv_heads=kv_heads)
    one = layout.with_kv_heads(1)
    assert layout.kv_bytes_per_token == kv_heads * one.kv_bytes_per_token
    readers = [layout.kv_head_of(head) for head in range(heads)]
    assert {readers.count(kv_head) for kv_head in range(kv_heads)} == {layout.group_size}
